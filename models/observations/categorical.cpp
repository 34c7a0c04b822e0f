// Rows of symbols 0 .. C - 1, each column with probabilities of its own a component and a Dirichlet prior.
#include "dirichlet_rows.h"

namespace vem {
namespace {

struct CategoricalOptions final : DirichletRowsOptions {
  int64_t num_symbols = 2;
  void visit(OptionVisitor& v) override {
    v("num_symbols", num_symbols, {2, 65536}, "symbols of a column, written as 0 .. num_symbols - 1");
    DirichletRowsOptions::visit(v);
  }
};

class CategoricalRows final : public DirichletRows {
 public:
  CategoricalRows(const CategoricalOptions& options, const Context& context)
      : DirichletRows("categorical", options, context, context.num_features, options.num_symbols) {}

  TensorMap describe(const Tensor& t) const override {
    const Tensor p = probabilities(t).view({K(), D(), C_});
    return {{"probabilities", p / p.sum(2, true)}};
  }
  std::vector<std::string> parameters() const override { return {"probabilities"}; }

  Tensor supported(const Tensor& x) const override {
    return x.isnan().logical_or((x >= 0).logical_and(x < C_).logical_and(x.eq(x.floor())));
  }
  std::string support(int64_t) const override {
    return fmt::format("a whole number in [0, {}], or NaN where it is missing,", C_ - 1);
  }
  /// One coordinate a symbol.
  Tensor coordinates(const Tensor& x) const override {
    return at::where(x.isnan().unsqueeze(-1), at::full({}, std::nan(""), at::kDouble), one_hot(x)).flatten(1);
  }

  Tensor statistics(const Tensor& x) const override { return one_hot(x).flatten(1); }
  Tensor log_base(const Tensor& s) const override { return at::zeros({}, s.options()); }

  Tensor completed(const Tensor& x, const Tensor& t, const Tensor& r) const override {
    const Tensor p = at::mm(r, describe(t).at("probabilities").flatten(1)).view({x.size(0), D(), C_});
    return at::where(x.isnan(), p.argmax(2).to(at::kDouble), x);
  }
  Tensor log_predictive(const Tensor& x) const override {
    return log_lik(statistics(x), expected_probabilities().log());
  }
  Tensor sample(const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return draw(component, probabilities(t), rng, "row").to(at::kDouble);
  }
  Tensor sample_predictive(const Tensor& component, const Rng& rng) const override {
    return draw(component, expected_probabilities(), rng, "row").to(at::kDouble);
  }
  std::string sample_script() const override {
    return weights_script() +
           fmt::format("    x = torch.multinomial(p[label].view(-1, {}), 1).view(n, {}).to(p.dtype)\n", C_, D());
  }

 private:
  /// [N, D, C]; zeros where a cell is missing.
  Tensor one_hot(const Tensor& x) const {
    return x.to(at::kDouble).unsqueeze(-1).eq(at::arange(C_, at::kDouble)).to(at::kDouble);
  }
};

}  // namespace

void register_categorical_observation(Registry& registry) {
  registry.add<Observation, CategoricalOptions>(
      "categorical", "rows of symbols, exact Dirichlet prior",
      [](const CategoricalOptions& options, const Observation::Context& context) {
        return std::make_shared<CategoricalRows>(options, context);
      });
}

}  // namespace vem
