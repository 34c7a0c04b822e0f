// Rows of counts over the columns: log p(x | k) = log of the multinomial coefficient + sum_d x_d log pi_d, given the
// total, with a Dirichlet prior. Where cells are missing, the total of those that are there is what is given:
//   log p(x_o | k) = coefficient + sum_o x_o log pi_o - x_+ log(1 - sum_m pi_m),
// which treats the missing counts as negative multinomial with their exact expectations x_+ pi_m / (1 - sum_m pi_m).
#include "dirichlet_rows.h"
#include "vem/core/error.h"
#include "vem/dist/counts.h"
#include "vem/dist/incomplete.h"

namespace vem {
namespace {

struct MultinomialObservationOptions final : DirichletRowsOptions {
  int64_t num_trials = 100;
  void visit(OptionVisitor& v) override {
    DirichletRowsOptions::visit(v);
    v("num_trials", num_trials, at_least(1), "total of a row that `vem sample` draws");
  }
};

Tensor log_coefficient(const Tensor& x) { return (at::lgamma(x.sum(1) + 1) - at::lgamma(x + 1).sum(1)).unsqueeze(1); }

/// Rows with missing cells; features are the rows. With a component whose counts are all in cells that are missing, a
/// count that is there is impossible.
class IncompleteMultinomial final : public RowKernel {
 public:
  IncompleteMultinomial(const Observation& observation, const Tensor& t)
      : observation_(observation), t_(t), p_(t.exp()) {}
  Tensor features(const Tensor& x) const override { return x.to(at::kDouble); }
  Tensor log_lik(const Tensor& x) const override {
    const Tensor counts = x.nan_to_num(), total = counts.sum(1, true);
    const Tensor rest = total * at::log1p(-lost(x)), log_p = observation_.log_lik(counts, t_);
    return log_p - at::where((total > 0).logical_and(log_p.isinf().logical_not()), rest, at::zeros_like(rest));
  }
  Tensor sums(const Tensor& x, const Tensor& marginals) const override {
    const Tensor counts = x.nan_to_num(), total = counts.sum(1, true);
    const Tensor none = at::zeros_like(marginals), odds = marginals * total / (1 - lost(x));
    const Tensor used = at::where((total > 0).logical_and(marginals.ne(0)), odds, none);
    return at::mm(marginals.t(), counts) + at::mm(used.t(), x.isnan().to(at::kDouble)) * p_;
  }
  Tensor drawn_sums(const Tensor&, const Tensor&, const RowNoise&) const override {
    fail<ConfigError>("multinomial: estimate = \"gibbs\" needs complete rows");
  }
  Tensor statistics(const Tensor& sums) const override { return sums; }

 private:
  /// Probability of the missing cells [N, K].
  Tensor lost(const Tensor& x) const { return at::mm(x.isnan().to(at::kDouble), p_.t()); }
  const Observation& observation_;
  Tensor t_, p_;
};

class MultinomialRows final : public DirichletRows {
 public:
  MultinomialRows(const MultinomialObservationOptions& options, const Context& context)
      : DirichletRows("multinomial", options, context, 1, context.num_features), num_trials_(options.num_trials) {}

  TensorMap describe(const Tensor& t) const override {
    const Tensor p = probabilities(t);
    return {{"probabilities", p / p.sum(1, true)}};
  }
  std::vector<std::string> parameters() const override { return {"probabilities"}; }

  /// In a row whose total is too large, it is the largest count that can not be explained.
  Tensor supported(const Tensor& x) const override {
    const Tensor counts = x.to(at::kDouble).nan_to_num(0), total = counts.sum(1, true);
    const Tensor fits = (total <= kMostCounts).logical_or(counts < counts.amax(1, true));
    return x.isnan().logical_or((x >= 0).logical_and(x.eq(x.floor())).logical_and(fits));
  }
  std::string support(int64_t) const override {
    return "a whole number >= 0 in a row of at most 2^46 counts (log-probabilities of more keep no digits), or NaN "
           "where "
           "it is missing,";
  }

  Tensor statistics(const Tensor& x) const override { return x.to(at::kDouble); }
  Tensor log_base(const Tensor& s) const override { return log_coefficient(s); }
  std::unique_ptr<const RowKernel> incomplete_kernel(const Tensor& t) const override {
    return std::make_unique<IncompleteMultinomial>(*this, t);
  }

  Tensor log_prob(const Tensor& x, const Tensor& t) const override {
    return IncompleteMultinomial(*this, t).log_lik(x.to(at::kDouble));
  }
  Tensor completed(const Tensor& x, const Tensor& r) const override {
    const Tensor p = current_probabilities(), lost = at::mm(x.isnan().to(at::kDouble), p.t());
    const Tensor odds = (r * x.nan_to_num().sum(1, true) / (1 - lost)).masked_fill(r.eq(0), 0);
    return at::where(x.isnan(), at::mm(odds, p), x);
  }
  /// Of a row of num_trials counts: binomial, or beta-binomial for a posterior.
  Marginals marginals() const override {
    const auto n = static_cast<double>(num_trials_);
    const Tensor p = current_probabilities();
    Marginals all{n * p, n * p * (1 - p), n * p, at::ones_like(p), at::ones({D()}, at::kBool), {}, {}};
    all.symbols.resize(static_cast<size_t>(D()));
    if (context_.estimate != Estimate::posterior) {
      all.cdf = [p, n](int64_t k, int64_t d, double x) {
        return x < 0 ? 0 : x >= n ? 1 : special::incomplete_beta(n - x, x + 1, 1 - p.accessor<double, 2>()[k][d]);
      };
      return all;
    }
    const Tensor alpha = components().eta() + 1, total = alpha.sum(1, true), beta = total - alpha;
    all.variance = all.variance * (n + total) / (1 + total);
    const Tensor x = at::arange(n + 1, at::kDouble), y = n - x;
    const auto log_beta = [](const Tensor& a, const Tensor& b) {
      return at::lgamma(a) + at::lgamma(b) - at::lgamma(a + b);
    };
    const Tensor a = alpha.unsqueeze(-1), b = beta.unsqueeze(-1);
    const Tensor below = (log_beta(x + a, y + b) - log_beta(a, b) - log_beta(x + 1, y + 1) - std::log(n + 1))
                             .exp()
                             .cumsum(-1)
                             .contiguous();  // [K, D, n + 1]
    all.cdf = [below, n](int64_t k, int64_t d, double at) {
      return at < 0 ? 0 : at >= n ? 1 : below.accessor<double, 3>()[k][d][static_cast<int64_t>(at)];
    };
    return all;
  }
  /// Dirichlet-multinomial over the cells that are there.
  Tensor log_predictive(const Tensor& x) const override {
    const Tensor alpha = components().eta() + 1, there = x.isnan().logical_not().to(at::kDouble);
    const Tensor counts = x.to(at::kDouble).nan_to_num(), all = at::mm(there, alpha.t()).clamp_min(1e-300);  // [N, K]
    const Tensor cells = at::lgamma(counts.unsqueeze(1) + alpha) - at::lgamma(alpha);  // [N, K, D]; 0 where missing
    return cells.sum(2) + at::lgamma(all) - at::lgamma(all + counts.sum(1, true)) + log_coefficient(counts);
  }
  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return drawn(index, probabilities(t).cumsum(1).index_select(0, component).contiguous(), rng);
  }
  /// The probabilities of a row are drawn first: its cells are Dirichlet-multinomial.
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    const Tensor alpha = (components().eta() + 1).index_select(0, component);
    return drawn(index, log_dirichlet_draw(alpha, rng, "probabilities").exp().cumsum(1).contiguous(), rng);
  }

 private:
  /// Counts [n, D] of num_trials categories a row, from running sums [n, D] of its weights.
  Tensor drawn(const Tensor& index, const Tensor& edges, const Rng& rng) const {
    const Tensor u = rng.uniform(index, {num_trials_}, "row");
    const Tensor category = at::searchsorted(edges, (u * edges.slice(1, D() - 1)).contiguous()).clamp_max(D() - 1);
    return at::zeros_like(edges).scatter_add(1, category, at::ones_like(u));
  }

  int64_t num_trials_;
};

}  // namespace

void register_multinomial_observation(Registry& registry) {
  registry.add<Observation, MultinomialObservationOptions>(
      "multinomial", "rows of counts over the columns, exact Dirichlet prior",
      [](const MultinomialObservationOptions& options, const Observation::Context& context) {
        return std::make_shared<MultinomialRows>(options, context);
      });
}

}  // namespace vem
