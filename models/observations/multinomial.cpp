// Rows of counts over the columns: log p(x | k) = log of the multinomial coefficient + sum_d x_d log pi_d, given the
// total, with a Dirichlet prior. Where cells are missing, the total of those that are there is what is given:
//   log p(x_o | k) = coefficient + sum_o x_o log pi_o - x_+ log(1 - sum_m pi_m),
// which treats the missing counts as negative multinomial with their exact expectations x_+ pi_m / (1 - sum_m pi_m).
#include "dirichlet_rows.h"
#include "vem/core/error.h"

namespace vem {
namespace {

struct MultinomialOptions final : DirichletRowsOptions {
  int64_t num_trials = 100;
  void visit(OptionVisitor& v) override {
    DirichletRowsOptions::visit(v);
    v("num_trials", num_trials, at_least(1), "total of a row that `vem sample` draws");
  }
};

Tensor log_coefficient(const Tensor& x) { return (at::lgamma(x.sum(1) + 1) - at::lgamma(x + 1).sum(1)).unsqueeze(1); }

/// Rows with missing cells; features are the rows.
class IncompleteMultinomial final : public RowKernel {
 public:
  explicit IncompleteMultinomial(const Tensor& t) : t_(t), p_(t.exp()) {}
  Tensor features(const Tensor& x) const override { return x.to(at::kDouble); }
  Tensor log_lik(const Tensor& x) const override {
    const Tensor counts = x.nan_to_num(), total = counts.sum(1, true);
    const Tensor rest = total * at::log1p(-lost(x)), none = at::zeros_like(rest);
    return at::mm(counts, t_.t()) + log_coefficient(counts) - at::where(total > 0, rest, none);
  }
  Tensor sums(const Tensor& x, const Tensor& marginals) const override {
    const Tensor counts = x.nan_to_num(), total = counts.sum(1, true);
    const Tensor odds = at::where(total > 0, marginals * total / (1 - lost(x)), at::zeros_like(marginals));
    return at::mm(marginals.t(), counts) + at::mm(odds.t(), x.isnan().to(at::kDouble)) * p_;
  }
  Tensor drawn_sums(const Tensor&, const Tensor&, const RowNoise&) const override {
    fail<ConfigError>("multinomial: estimate = \"gibbs\" needs complete rows");
  }
  Tensor statistics(const Tensor& sums) const override { return sums; }

 private:
  /// Probability of the missing cells [N, K].
  Tensor lost(const Tensor& x) const { return at::mm(x.isnan().to(at::kDouble), p_.t()); }
  Tensor t_, p_;
};

class MultinomialRows final : public DirichletRows {
 public:
  MultinomialRows(const MultinomialOptions& options, const Context& context)
      : DirichletRows("multinomial", options, context, 1, context.num_features), num_trials_(options.num_trials) {}

  TensorMap describe(const Tensor& t) const override {
    const Tensor p = probabilities(t);
    return {{"probabilities", p / p.sum(1, true)}};
  }
  std::vector<std::string> parameters() const override { return {"probabilities"}; }

  Tensor supported(const Tensor& x) const override {
    return x.isnan().logical_or((x >= 0).logical_and(x.isinf().logical_not()).logical_and(x.eq(x.floor())));
  }
  std::string support(int64_t) const override { return "a whole number >= 0, or NaN where it is missing,"; }

  Tensor statistics(const Tensor& x) const override { return x.to(at::kDouble); }
  Tensor log_base(const Tensor& s) const override { return log_coefficient(s); }
  std::unique_ptr<const RowKernel> incomplete_kernel(const Tensor& t) const override {
    return std::make_unique<IncompleteMultinomial>(t);
  }

  Tensor log_prob(const Tensor& x, const Tensor& t) const override {
    return IncompleteMultinomial(t).log_lik(x.to(at::kDouble));
  }
  Tensor completed(const Tensor& x, const Tensor& t, const Tensor& r) const override {
    const Tensor p = t.exp(), lost = at::mm(x.isnan().to(at::kDouble), p.t());
    return at::where(x.isnan(), at::mm(r * x.nan_to_num().sum(1, true) / (1 - lost), p), x);
  }
  /// Dirichlet-multinomial over the cells that are there.
  Tensor log_predictive(const Tensor& x) const override {
    const Tensor alpha = components().eta() + 1, there = x.isnan().logical_not().to(at::kDouble);
    const Tensor counts = x.to(at::kDouble).nan_to_num(), all = at::mm(there, alpha.t()).clamp_min(1e-300);  // [N, K]
    const Tensor cells = at::lgamma(counts.unsqueeze(1) + alpha) - at::lgamma(alpha);  // [N, K, D]; 0 where missing
    return cells.sum(2) + at::lgamma(all) - at::lgamma(all + counts.sum(1, true)) + log_coefficient(counts);
  }
  Tensor sample(const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return counts(component, probabilities(t), rng);
  }
  /// The probabilities of a row are drawn first: its cells are Dirichlet-multinomial.
  Tensor sample_predictive(const Tensor& component, const Rng& rng) const override {
    const Tensor alpha = (components().eta() + 1).index_select(0, component);
    const Tensor edges = rng.gamma(alpha, "probabilities").cumsum(1).contiguous();
    const Tensor u = rng.uniform(at::arange(component.size(0), at::kLong), {num_trials_}, "row");
    return histogram(at::searchsorted(edges, (u * edges.slice(1, D() - 1)).contiguous()));
  }
  std::string sample_script() const override {
    const std::string p =
        context_.estimate == Estimate::posterior ? "torch._standard_gamma(p[:, 0][label])" : "p[:, 0][label]";
    return weights_script() + fmt::format(
                                  "    trial = torch.multinomial({}, {}, True)\n"
                                  "    x = torch.zeros([n, {}], dtype=p.dtype).scatter_add(1, trial, torch.ones([n, "
                                  "{}], dtype=p.dtype))\n",
                                  p, num_trials_, D(), num_trials_);
  }

 private:
  Tensor counts(const Tensor& component, const Tensor& p, const Rng& rng) const {
    const Tensor edges = p.cumsum(1).index_select(0, component).contiguous();
    const Tensor u = rng.uniform(at::arange(component.size(0), at::kLong), {num_trials_}, "row");
    return histogram(at::searchsorted(edges, (u * edges.slice(1, D() - 1)).contiguous()));
  }
  /// Categories [n, trials] to counts [n, D].
  Tensor histogram(const Tensor& category) const {
    return at::zeros({category.size(0), D()}, at::kDouble)
        .scatter_add(1, category.clamp_max(D() - 1), at::ones(category.sizes(), at::kDouble));
  }

  int64_t num_trials_;
};

}  // namespace

void register_multinomial_observation(Registry& registry) {
  registry.add<Observation, MultinomialOptions>(
      "multinomial", "rows of counts over the columns, exact Dirichlet prior",
      [](const MultinomialOptions& options, const Observation::Context& context) {
        return std::make_shared<MultinomialRows>(options, context);
      });
}

}  // namespace vem
