// Columns of different families in one row: given the component they are independent, so log-likelihoods add up,
// statistics and t stand side by side, and every family keeps its own block, its own prior and its own exact update.
#include <array>

#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/infer/observation.h"

namespace vem {
namespace {

constexpr std::array<const char*, 6> kFamilies{"normal",      "bernoulli", "categorical",
                                               "multinomial", "poisson",   "exponential"};

struct ProductObservationOptions final : ConjugateOptions {
  std::array<std::string, kFamilies.size()> columns;
  std::array<Choice, kFamilies.size()> parts;

  ProductObservationOptions() {
    for (size_t i = 0; i < kFamilies.size(); ++i) parts[i] = {"observation", kFamilies[i], nullptr};
  }
  bool real_valued() const override { return !columns[0].empty(); }
  void visit(OptionVisitor& v) override {
    for (size_t i = 0; i < kFamilies.size(); ++i) {
      const std::string name = std::string(kFamilies[i]) + "_columns";
      v(name.c_str(), columns[i],
        "names of the columns of this family, with commas between them; one with a comma in it stands in double "
        "quotes");
    }
    for (size_t i = 0; i < kFamilies.size(); ++i)
      v.when(!columns[i].empty(), fmt::format("{}_columns names some", kFamilies[i]), [&] {
        if (estimate) tell(parts[i], *estimate);
        v(kFamilies[i], parts[i], "the family of these columns");
        if (estimate) tell(parts[i], *estimate);
      });
  }
};

struct Part {
  std::string name;
  Tensor columns;  // [d] int64
  std::shared_ptr<Observation> rows;
  int64_t first, size;  // of its statistics
};

/// The parts' kernels side by side; a chunk's features are kept in float64, which holds those in float32 exactly.
class ProductKernel final : public RowKernel {
 public:
  struct Piece {
    Tensor columns;
    std::unique_ptr<const RowKernel> kernel;
    int64_t width, sum_width;  // of its features and of their sums
    at::ScalarType dtype;
  };
  void add(const Tensor& columns, std::unique_ptr<const RowKernel> kernel, int64_t num_components) {
    const Tensor none = kernel->features(at::zeros({0, columns.numel()}, at::kDouble));
    const Tensor sums = kernel->sums(none, at::zeros({0, num_components}, none.scalar_type()));
    pieces_.push_back({columns, std::move(kernel), none.size(1), sums.size(1), none.scalar_type()});
  }
  Tensor features(const Tensor& x) const override {
    std::vector<Tensor> parts;
    for (const Piece& p : pieces_) parts.push_back(p.kernel->features(x.index_select(1, p.columns)).to(at::kDouble));
    return at::cat(parts, 1);
  }
  Tensor log_lik(const Tensor& features) const override {
    Tensor sum;
    each(features, [&](const Piece& p, const Tensor& own) {
      const Tensor log_p = p.kernel->log_lik(own).to(at::kDouble);
      sum = sum.defined() ? sum + log_p : log_p;
    });
    return sum;
  }
  Tensor sums(const Tensor& features, const Tensor& marginals) const override {
    std::vector<Tensor> parts;
    each(features, [&](const Piece& p, const Tensor& own) {
      parts.push_back(p.kernel->sums(own, marginals.to(p.dtype)).to(at::kDouble));
    });
    return at::cat(parts, 1);
  }
  Tensor drawn_sums(const Tensor& features, const Tensor& marginals, const RowNoise& noise) const override {
    std::vector<Tensor> parts;
    each(features, [&](const Piece& p, const Tensor& own) {
      parts.push_back(p.kernel->drawn_sums(own, marginals.to(p.dtype), noise).to(at::kDouble));
    });
    return at::cat(parts, 1);
  }
  Tensor statistics(const Tensor& sums) const override {
    std::vector<Tensor> parts;
    int64_t first = 0;
    for (const Piece& p : pieces_) {
      parts.push_back(p.kernel->statistics(sums.narrow(1, first, p.sum_width)));
      first += p.sum_width;
    }
    return at::cat(parts, 1);
  }

 private:
  template <class Body>
  void each(const Tensor& features, const Body& body) const {
    int64_t first = 0;
    for (const Piece& p : pieces_) {
      body(p, features.narrow(1, first, p.width).to(p.dtype));
      first += p.width;
    }
  }
  std::vector<Piece> pieces_;
};

class ProductRows final : public Observation {
 public:
  ProductRows(const ProductObservationOptions& options, const Context& context) : Observation(context) {
    std::vector<std::string> owner(static_cast<size_t>(D()));
    int64_t first = 0;
    for (size_t i = 0; i < kFamilies.size(); ++i) {
      if (options.columns[i].empty()) continue;
      Part part{kFamilies[i],
                places(listed_names(options.columns[i], std::string(kFamilies[i]) + "_columns"), kFamilies[i], owner),
                nullptr, first, 0};
      part.rows = context.registry->create<Observation>(options.parts[i], part_context(part));
      part.size = part.rows->point().size(1);
      first += part.size;
      for (const auto& block : part.rows->blocks()) blocks_.push_back(block);
      parts_.push_back(part);
    }
    for (size_t d = 0; d < owner.size(); ++d)
      if (owner[d].empty())
        fail<ConfigError>(
            "product: column '{}' belongs to no family; name it in one of the _columns, or leave it out of "
            "the data",
            column_name(d));
  }

  void set_priors(const Moments& moments) override {
    for (const Part& p : parts_) p.rows->set_priors(moments.of(p.columns));
  }
  using Observation::point;
  Tensor point(const TensorMap& globals) const override {
    std::vector<Tensor> t;
    for (const Part& p : parts_) t.push_back(p.rows->point(globals));
    return at::cat(t, 1);
  }
  TensorMap spread(const Tensor& sums) const override {
    TensorMap all;
    for (const Part& p : parts_) all.merge(p.rows->spread(own(p, sums).contiguous()));
    return all;
  }

  TensorMap describe(const Tensor& t) const override {
    TensorMap all;
    for (const Part& p : parts_)
      for (const auto& [name, value] : p.rows->describe(own(p, t))) all[p.name + "." + name] = value;
    return all;
  }
  std::vector<std::string> parameters() const override {
    std::vector<std::string> names;
    for (const Part& p : parts_)
      for (const std::string& name : p.rows->parameters()) names.push_back(p.name + "." + name);
    return names;
  }
  TensorMap rescaled(TensorMap parts, const Tensor& scale, const Tensor& center) const override {
    TensorMap all;
    for (const Part& p : parts_) {
      TensorMap mine;
      for (const std::string& name : p.rows->parameters()) mine[name] = parts.at(p.name + "." + name);
      mine = p.rows->rescaled(mine, scale.index_select(0, p.columns), center.index_select(0, p.columns));
      for (const auto& [name, value] : mine) all[p.name + "." + name] = value;
    }
    return all;
  }

  Tensor real_columns() const override {
    Tensor real = at::zeros({D()}, at::kBool);
    for (const Part& p : parts_) real = real.index_copy(0, p.columns, p.rows->real_columns());
    return real;
  }
  Tensor symbol_columns() const override {
    Tensor symbols = at::zeros({D()}, at::kBool);
    for (const Part& p : parts_) symbols = symbols.index_copy(0, p.columns, p.rows->symbol_columns());
    return symbols;
  }
  Tensor supported(const Tensor& x) const override {
    Tensor all = at::zeros(x.sizes(), at::kBool);
    for (const Part& p : parts_) all = all.index_copy(1, p.columns, p.rows->supported(x.index_select(1, p.columns)));
    return all;
  }
  std::string support(int64_t column) const override {
    for (const Part& p : parts_)
      if (p.columns.eq(column).any().item<bool>()) return p.rows->support(0);
    return "";
  }
  Tensor coordinates(const Tensor& x) const override {
    return gather(x, [](const Part& p, const Tensor& rows) { return p.rows->coordinates(rows); });
  }

  Tensor statistics(const Tensor& x) const override {
    return gather(x, [](const Part& p, const Tensor& rows) { return p.rows->statistics(rows); });
  }
  Tensor log_base(const Tensor& s) const override {
    Tensor sum = at::zeros({}, s.options());
    for (const Part& p : parts_) sum = sum + p.rows->log_base(own(p, s));
    return sum;
  }
  std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool exact) const override {
    auto all = std::make_unique<ProductKernel>();
    for (const Part& p : parts_) all->add(p.columns, p.rows->kernel(own(p, t).contiguous(), exact), K());
    return all;
  }
  std::unique_ptr<const RowKernel> incomplete_kernel(const Tensor& t) const override {
    auto all = std::make_unique<ProductKernel>();
    for (const Part& p : parts_) {
      const Tensor mine = own(p, t).contiguous();
      auto incomplete = p.rows->incomplete_kernel(mine);
      all->add(p.columns, incomplete ? std::move(incomplete) : p.rows->kernel(mine, true), K());
    }
    return all;
  }

  Tensor log_prob(const Tensor& x, const Tensor& t) const override {
    return added(x, [&](const Part& p, const Tensor& rows) { return p.rows->log_prob(rows, own(p, t).contiguous()); });
  }
  Tensor completed(const Tensor& x, const Tensor& r) const override {
    Tensor all = x;
    for (const Part& p : parts_) all = all.index_copy(1, p.columns, p.rows->completed(x.index_select(1, p.columns), r));
    return all;
  }
  Marginals marginals() const override {
    std::vector<Marginals> all;
    const auto columns = static_cast<size_t>(D());
    std::vector<std::pair<size_t, int64_t>> place(columns);  // of each column: its part, and where it stands in there
    Marginals joined{{}, {}, {}, {}, at::zeros({D()}, at::kBool), {}, std::vector<Tensor>(columns)};
    for (Tensor* values : {&joined.mean, &joined.variance, &joined.location, &joined.spread})
      *values = at::zeros({K(), D()}, at::kDouble);
    for (const Part& p : parts_) {
      const Marginals own = p.rows->marginals();
      joined.mean.index_copy_(1, p.columns, own.mean);
      joined.variance.index_copy_(1, p.columns, own.variance);
      joined.location.index_copy_(1, p.columns, own.location);
      joined.spread.index_copy_(1, p.columns, own.spread);
      joined.whole.index_copy_(0, p.columns, own.whole);
      for (int64_t i = 0; i < p.columns.numel(); ++i) {
        const auto column = static_cast<size_t>(p.columns[i].item<int64_t>());
        place[column] = {all.size(), i};
        joined.symbols[column] = own.symbols[static_cast<size_t>(i)];
      }
      all.push_back(own);
    }
    joined.cdf = [all, place](int64_t k, int64_t d, double x) {
      const auto [part, column] = place[static_cast<size_t>(d)];
      return all[part].cdf(k, column, x);
    };
    return joined;
  }
  std::map<std::string, double> diagnostics() const override {
    std::map<std::string, double> all;
    for (const Part& p : parts_)
      for (const auto& [name, value] : p.rows->diagnostics()) all[p.name + "." + name] = value;
    return all;
  }
  Tensor log_predictive(const Tensor& x) const override {
    return added(x, [](const Part& p, const Tensor& rows) { return p.rows->log_predictive(rows); });
  }
  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return scatter(component, [&](const Part& p) {
      return p.rows->sample(index, component, own(p, t).contiguous(), rng.fold(p.name));
    });
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    return scatter(component,
                   [&](const Part& p) { return p.rows->sample_predictive(index, component, rng.fold(p.name)); });
  }

 private:
  static Tensor own(const Part& p, const Tensor& all) { return all.narrow(1, p.first, p.size); }

  template <class Body>
  Tensor gather(const Tensor& x, const Body& body) const {
    std::vector<Tensor> all;
    for (const Part& p : parts_) all.push_back(body(p, x.index_select(1, p.columns)));
    return at::cat(all, 1);
  }
  template <class Body>
  Tensor added(const Tensor& x, const Body& body) const {
    Tensor sum;
    for (const Part& p : parts_) {
      const Tensor log_p = body(p, x.index_select(1, p.columns));
      sum = sum.defined() ? sum + log_p : log_p;
    }
    return sum;
  }
  template <class Body>
  Tensor scatter(const Tensor& component, const Body& body) const {
    Tensor x = at::zeros_like(component, at::TensorOptions(at::kDouble)).unsqueeze(-1).repeat({1, D()});
    for (const Part& p : parts_) x = x.index_copy(1, p.columns, body(p));
    return x;
  }

  std::string column_name(size_t d) const {
    return d < context_.feature_names.size() ? context_.feature_names[d] : fmt::format("x{}", d);
  }

  /// Positions of named columns; takes them in `owner`, where no column may have two families.
  Tensor places(const std::vector<std::string>& names, const std::string& family,
                std::vector<std::string>& owner) const {
    std::vector<std::string> known;
    for (size_t d = 0; d < owner.size(); ++d) known.push_back(column_name(d));
    std::vector<int64_t> found;
    for (const std::string& name : names) {
      const auto it = std::find(known.begin(), known.end(), name);
      if (it == known.end()) {
        const std::string near = nearest(name, known);
        fail<ConfigError>("product: {}_columns names '{}', but the columns are {}{}", family, name,
                          fmt::join(known, ", "), near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
      }
      std::string& taken = owner[static_cast<size_t>(it - known.begin())];
      if (!taken.empty())
        fail<ConfigError>("product: column '{}' is named in {}_columns and in {}_columns", name, taken, family);
      taken = family;
      found.push_back(it - known.begin());
    }
    return at::tensor(found, at::kLong);
  }

  Context part_context(const Part& part) const {
    Context context = context_;
    context.num_features = part.columns.numel();
    context.prefix += part.name + ".";
    context.feature_names.clear();
    for (int64_t i = 0; i < context.num_features; ++i)
      context.feature_names.push_back(column_name(static_cast<size_t>(part.columns[i].item<int64_t>())));
    return context;
  }

  std::vector<Part> parts_;
};

}  // namespace

void register_product_observation(Registry& registry) {
  registry.add<Observation, ProductObservationOptions>(
      "product", "columns of different families, each with its own exact prior",
      [](const ProductObservationOptions& options, const Observation::Context& context) {
        return std::make_shared<ProductRows>(options, context);
      });
}

}  // namespace vem
