// Counts of a row given their total n. Multinomial: with probabilities p = softmax(outputs), which is what Poisson
// counts are given their total; bags of words. Dirichlet-multinomial: p ~ Dirichlet(alpha) anew in each row, which is
// what negative binomial counts are given their total where all have the same odds (and alpha as their dispersions):
//   log p(x | n) = sum_d log b(x_d, alpha_d) - log b(n, sum_d alpha_d),  b(x, a) = Gamma(x + a) / (Gamma(a) x!)
// (Mosimann 1962, "On the compound multinomial distribution"). Where cells are missing, the others are given their own
// total; both families are closed under that.
#include "vem/core/missing.h"
#include "vem/dist/dirichlet.h"
#include "vem/dist/poisson.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

constexpr const char* kTotalCount = "likelihood.total";  // of a row on average

struct MultinomialLikelihoodOptions final : LikelihoodOptions {
  Cells cells() const override { return Cells::counts; }
  void visit(OptionVisitor&) override {}
};

/// One output a feature. Means and draws are of rows as large as the training data's are on average.
class GivenTotal : public Likelihood {
 public:
  explicit GivenTotal(const Context& context) : constants_(context.constants) {
    constants_->add(kTotalCount, at::ones({}, context.dtype));
  }
  int64_t parameters_per_feature() const final { return 1; }
  Tensor mean(const Tensor& outputs) const final { return constants_->get(kTotalCount) * at::softmax(outputs, -1); }
  Range support() const final { return at_least(0); }
  bool whole_numbers() const final { return true; }

 protected:
  /// Sets the total that rows have on average, and gives the shares [D] of means [D].
  Tensor shares_of(const Tensor& mean) const {
    constants_->set(kTotalCount, mean.sum());
    return (mean / mean.sum()).clamp_min(1e-6);
  }
  /// Counts [rows, D] that add up to the average total, with probabilities p [rows, D] float64.
  Tensor drawn(const Tensor& p, const Rng& rng) const {
    const int64_t total = constants_->get(kTotalCount).round().to(at::kLong).item<int64_t>();
    const Tensor edges = p.cumsum(-1);
    const Tensor u = rng.uniform(at::arange(p.size(0), at::kLong), {total}, "words") * edges.slice(-1, -1);
    const Tensor word = at::searchsorted(edges.contiguous(), u).clamp_max(p.size(-1) - 1);
    return at::zeros_like(p).scatter_add_(-1, word, at::ones_like(u));
  }

 private:
  std::shared_ptr<ConstantBlock> constants_;
};

class MultinomialLikelihood final : public GivenTotal {
 public:
  using GivenTotal::GivenTotal;
  /// Of a row in which cells are missing, the others given their own number.
  Tensor log_prob(const Tensor& outputs, const Tensor& x) const override {
    const Tensor orders = log_orders(x).to(outputs.scalar_type());
    if (!has_missing(x)) return (x * at::log_softmax(outputs, -1)).sum(-1) + orders;
    const Tensor missing = x.isnan(), count = x.masked_fill(missing, 0);
    const Tensor log_p = at::log_softmax(outputs.masked_fill(missing, -INFINITY), -1).masked_fill(missing, 0);
    return (count * log_p).sum(-1) + orders;
  }
  /// Most words of a vocabulary are in a row once or not at all, where log x! is 0.
  Tensor log_orders(const Tensor& x) const override {
    const Tensor rows = x.detach().contiguous(), orders = at::empty({x.size(0)}, at::kDouble);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "log_orders", [&] {
      const scalar_t* count = rows.data_ptr<scalar_t>();
      for (int64_t r = 0; r < x.size(0); ++r) {
        double total = 0, same = 0;
        for (int64_t i = 0; i < x.size(1); ++i, ++count) {
          if (!(*count > 0)) continue;  // NaN is missing
          total += static_cast<double>(*count);
          if (*count > 1) same += std::lgamma(static_cast<double>(*count) + 1);
        }
        orders.data_ptr<double>()[r] = std::lgamma(total + 1) - same;
      }
    });
    return orders;
  }
  Tensor sample(const Tensor& outputs, const Rng& rng) const override {
    return drawn(at::softmax(outputs, -1).to(at::kDouble), rng).to(outputs.scalar_type());
  }
  Tensor output_bias(const Tensor& mean, const Tensor&) const override { return shares_of(mean).log(); }
};

enum class Concentration { shared, predicted };

struct DirichletMultinomialOptions final : LikelihoodOptions {
  Concentration concentration = Concentration::shared;
  Cells cells() const override { return Cells::counts; }
  void visit(OptionVisitor& v) override {
    v("concentration", concentration, {{"shared", Concentration::shared}, {"predicted", Concentration::predicted}},
      "the sum of alpha: one learned number, or the decoder's (alpha is then exp of its outputs); the larger, the "
      "closer rows of one z are to each other's shares");
  }
};

class DirichletMultinomialLikelihood final : public GivenTotal {
 public:
  DirichletMultinomialLikelihood(const DirichletMultinomialOptions& options, const Context& context)
      : GivenTotal(context) {
    if (options.concentration == Concentration::shared)
      log_concentration_ = context.block->add("likelihood.log_concentration", {1}, context.dtype);
  }
  /// The terms of b() that cancel are as large as log Gamma(n), so they are formed in float64.
  Tensor log_prob(const Tensor& outputs, const Tensor& x) const override {
    const Tensor missing = x.isnan(), count = x.masked_fill(missing, 0).to(at::kDouble),
                 a = alpha(outputs).masked_fill(missing, kSmallest);
    const Tensor cells = log_b(count, a).masked_fill(missing, 0), total = count.sum(-1, true);
    return (cells.sum(-1, true) - log_b(total, a.sum(-1, true))).squeeze(-1).to(outputs.scalar_type());
  }
  Tensor sample(const Tensor& outputs, const Rng& rng) const override {
    return drawn(Dirichlet(alpha(outputs)).sample({}, rng.fold("shares")), rng).to(outputs.scalar_type());
  }
  /// Of the moments: variances are n p (1 - p) (n + A) / (1 + A), for rows of the average total n.
  Tensor output_bias(const Tensor& mean, const Tensor& variance) const override {
    const Tensor share = shares_of(mean), n = mean.sum(), excess = variance.sum() / (mean * (1 - share)).sum();
    const Tensor log_concentration = ((n - excess).clamp_min(1) / (excess - 1).clamp_min(1e-2)).clamp(1, 1e4).log();
    if (!log_concentration_.defined()) return share.log() + log_concentration;
    log_concentration_.detach().copy_(log_concentration.view({1}));
    return share.log();
  }

 private:
  static constexpr double kSmallest = 1e-30;  // alpha of what never happens
  static Tensor log_b(const Tensor& x, const Tensor& a) {
    return NegativeBinomial(a, at::zeros({}, a.options())).log_base(x);
  }
  Tensor alpha(const Tensor& outputs) const {
    const Tensor out = outputs.to(at::kDouble);
    const Tensor log_alpha = log_concentration_.defined() ? at::log_softmax(out, -1) + log_concentration_ : out;
    return log_alpha.exp().clamp_min(kSmallest);
  }

  Tensor log_concentration_;  // [1], where it is shared
};

}  // namespace

void register_multinomial_likelihood(Registry& registry) {
  registry.add<Likelihood, DirichletMultinomialOptions>(
      "dirichlet-multinomial", "rows of counts given their total, whose shares vary more than a multinomial's",
      [](const DirichletMultinomialOptions& options, const Likelihood::Context& context) {
        return std::make_shared<DirichletMultinomialLikelihood>(options, context);
      });
  registry.add<Likelihood, MultinomialLikelihoodOptions>(
      "multinomial", "bags of words as rows of counts, given their number",
      [](const MultinomialLikelihoodOptions&, const Likelihood::Context& context) {
        return std::make_shared<MultinomialLikelihood>(context);
      });
}

}  // namespace vem
