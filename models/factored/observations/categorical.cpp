// Rows of symbols 0 .. C - 1, each column with probabilities of its own a component and a Dirichlet prior.
#include "dirichlet_rows.h"
#include "vem/core/error.h"
#include "vem/core/target_clones.h"
#include "vem/data/sequences.h"

namespace vem {
namespace {

/// f(row, the table's row of its symbol) for every cell of x [rows, D] that is there.
template <class F>
VEM_INLINE void each_symbol(const double* x, int64_t rows, int64_t D, int64_t C, const F& f) {
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t d = 0; d < D; ++d)
      if (const double symbol = x[n * D + d]; symbol >= 0 && symbol < static_cast<double>(C))
        f(n, d * C + static_cast<int64_t>(symbol));
}
/// log_lik [rows, K] += table [D C, K].
VEM_CLONES void look_up(const double* x, int64_t rows, int64_t D, int64_t C, int64_t K, const double* table,
                        double* log_lik) {
  each_symbol(x, rows, D, C, [&](int64_t n, int64_t symbol) {
    const double* const from = table + symbol * K;
    double* const to = log_lik + n * K;
#pragma omp simd
    for (int64_t k = 0; k < K; ++k) to[k] += from[k];
  });
}
/// table [D C, K] += marginals [rows, K].
VEM_CLONES void count(const double* x, int64_t rows, int64_t D, int64_t C, int64_t K, const double* marginals,
                      double* table) {
  each_symbol(x, rows, D, C, [&](int64_t n, int64_t symbol) {
    const double* const from = marginals + n * K;
    double* const to = table + symbol * K;
#pragma omp simd
    for (int64_t k = 0; k < K; ++k) to[k] += from[k];
  });
}

/// Features are the rows: a symbol is a place in a table, which costs C times less than its statistics.
class SymbolKernel final : public RowKernel {
 public:
  /// t [K, D C].
  SymbolKernel(const Tensor& t, int64_t num_symbols)
      : table_(t.to(at::kDouble).t().contiguous()), D_(t.size(1) / num_symbols), C_(num_symbols), K_(t.size(0)) {}
  Tensor features(const Tensor& x) const override { return x.to(at::kDouble).contiguous(); }
  Tensor log_lik(const Tensor& x) const override {
    const Tensor log_lik = at::zeros({x.size(0), K_}, at::kDouble), rows = x.contiguous();
    look_up(rows.data_ptr<double>(), x.size(0), D_, C_, K_, table_.data_ptr<double>(), log_lik.data_ptr<double>());
    return log_lik;
  }
  Tensor sums(const Tensor& x, const Tensor& marginals) const override {
    const Tensor table = at::zeros({D_ * C_, K_}, at::kDouble), r = marginals.contiguous(), rows = x.contiguous();
    count(rows.data_ptr<double>(), x.size(0), D_, C_, K_, r.data_ptr<double>(), table.data_ptr<double>());
    return table.t().contiguous();
  }
  Tensor statistics(const Tensor& sums) const override { return sums; }

 private:
  Tensor table_;
  int64_t D_, C_, K_;
};

struct CategoricalObservationOptions final : DirichletRowsOptions {
  int64_t num_symbols = 0;
  void visit(OptionVisitor& v) override {
    v("num_symbols", num_symbols, {0, 65536},
      "symbols of a column, written as 0 .. num_symbols - 1; 0: as many as the alphabet of the data has, and 2 where "
      "columns are numbers");
    DirichletRowsOptions::visit(v);
  }
};

/// The number of symbols that the options ask for, or that the alphabet of the data has.
int64_t num_symbols(const CategoricalObservationOptions& options, const Observation::Context& context) {
  const auto needed = std::max<int64_t>(2, static_cast<int64_t>(symbols_of(context.feature_names).size()));
  if (options.num_symbols == 0) return needed;
  if (options.num_symbols < needed)
    fail<ConfigError>("categorical: num_symbols = {} is too small: the data have {} symbols, which 0 would take",
                      options.num_symbols, needed);
  return options.num_symbols;
}

class CategoricalRows final : public DirichletRows {
 public:
  CategoricalRows(const CategoricalObservationOptions& options, const Context& context)
      : DirichletRows("categorical", options, context, context.num_features, num_symbols(options, context)) {}

  TensorMap describe(const Tensor& t) const override {
    const Tensor p = probabilities(t).view({K(), D(), C_});
    return {{"probabilities", p / p.sum(2, true)}};
  }
  std::vector<std::string> parameters() const override { return {"probabilities"}; }

  Tensor symbol_columns() const override { return at::ones({D()}, at::kBool); }
  Tensor supported(const Tensor& x) const override {
    return x.isnan().logical_or((x >= 0).logical_and(x < C_).logical_and(x.eq(x.floor())));
  }
  std::string support(int64_t) const override {
    return fmt::format("a whole number in [0, {}] (num_symbols = {}), or NaN where it is missing,", C_ - 1, C_);
  }
  /// One coordinate a symbol.
  Tensor coordinates(const Tensor& x) const override {
    return at::where(x.isnan().unsqueeze(-1), at::full({}, std::nan(""), at::kDouble), one_hot(x)).flatten(1);
  }

  Tensor statistics(const Tensor& x) const override { return one_hot(x).flatten(1); }
  Tensor log_base(const Tensor& s) const override { return at::zeros({}, s.options()); }
  std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool) const override {
    return std::make_unique<SymbolKernel>(t, C_);
  }

  Tensor completed(const Tensor& x, const Tensor& r) const override {
    const Tensor p = at::mm(r, current_probabilities()).view({x.size(0), D(), C_});
    const Tensor best = p.argmax(2).to(at::kDouble).masked_fill(p.isnan().any(2), std::nan(""));
    return at::where(x.isnan(), best, x);
  }
  Marginals marginals() const override {
    const Tensor p = current_probabilities().view({K(), D(), C_});
    const Tensor none = at::full({K(), D()}, std::nan(""), at::kDouble);
    return {none, none, none, none, at::zeros({D()}, at::kBool), {}, p.unbind(1)};
  }
  Tensor log_predictive(const Tensor& x) const override {
    return log_lik(statistics(x), expected_probabilities().log());
  }
  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return draw(index, component, probabilities(t), rng, "row").to(at::kDouble);
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    return draw(index, component, expected_probabilities(), rng, "row").to(at::kDouble);
  }

 private:
  /// [N, D, C]; zeros where a cell is missing.
  Tensor one_hot(const Tensor& x) const {
    return x.to(at::kDouble).unsqueeze(-1).eq(at::arange(C_, at::kDouble)).to(at::kDouble);
  }
};

}  // namespace

void register_categorical_observation(Registry& registry) {
  registry.add<Observation, CategoricalObservationOptions>(
      "categorical", "rows of symbols, exact Dirichlet prior",
      [](const CategoricalObservationOptions& options, const Observation::Context& context) {
        return std::make_shared<CategoricalRows>(options, context);
      });
}

}  // namespace vem
