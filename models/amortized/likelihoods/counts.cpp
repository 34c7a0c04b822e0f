// Counts: the decoder gives the log of the mean or, from a row's total (its library size), the logits of what share of
// it a feature has: mean = total * softmax(outputs), with independent cells, so that rows of other totals have some
// probability too (Lopez et al. 2018, "Deep generative modeling for single-cell transcriptomics", Methods, with the
// library size observed). Negative binomial: the dispersion r is one number a feature or predicted, the variance is
// mean + mean^2 / r; zero-inflated: more zeros than that, with a predicted probability.
#include "vem/dist/poisson.h"
#include "vem/dist/soft_bound.h"
#include "vem/dist/zero_inflated.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

constexpr double kSmallestMean = 1e-3;  // of a feature that is always zero, at the start
constexpr double kNoCount = 1e-8;       // the total that stands for that of a row of zeros

constexpr const char* kTotal = "likelihood.total";  // of a row on average

enum class Library { none, observed };

struct CountOptions : LikelihoodOptions {
  Library library = Library::none;
  Cells cells() const override { return Cells::counts; }
  void visit(OptionVisitor& v) override {
    v("library", library, {{"none", Library::none}, {"observed", Library::observed}},
      "observed: the decoder says how a row's total is shared out: cells are independent counts whose means add up to "
      "the total of those that are there, and densities are the products of theirs. They are no densities given the "
      "total, which likelihoods multinomial (of Poisson counts) and dirichlet-multinomial (of negative binomial ones) "
      "have");
  }
};

/// The first parameter of each feature is the log of its mean, or a logit of its share; the rest is the family's own.
class CountLikelihood : public IndependentLikelihood {
 public:
  CountLikelihood(const CountOptions& options, const Context& context)
      : observed_(options.library == Library::observed), constants_(context.constants) {
    if (observed_) constants_->add(kTotal, at::ones({}, context.dtype));
  }
  Tensor log_prob(const Tensor& outputs, const Tensor& x) const final {
    if (!observed_) return IndependentLikelihood::log_prob(outputs, x);
    const Tensor missing = x.isnan(), total = x.masked_fill(missing, 0).sum(-1, true);
    return IndependentLikelihood::log_prob(shared_out(outputs, total, missing), x);
  }
  /// For rows as large as the training data's are on average, where the total is given.
  Tensor mean(const Tensor& outputs) const final { return cell_mean(at_average(outputs)); }
  Tensor sample(const Tensor& outputs, const Rng& rng) const final {
    return IndependentLikelihood::sample(at_average(outputs), rng);
  }
  Tensor output_bias(const Tensor& mean, const Tensor& variance) const final {
    if (observed_) constants_->set(kTotal, mean.sum());
    return cell_bias(mean.clamp_min(kSmallestMean), variance);
  }
  Range support() const override { return at_least(0); }
  bool whole_numbers() const override { return true; }

 protected:
  /// Of each cell, given the log of the means; zero-inflation and the like included.
  virtual Tensor cell_mean(const Tensor& outputs) const { return log_mean(outputs).exp(); }
  /// The output bias for means [D] above zero, whose logs are its first part.
  virtual Tensor cell_bias(const Tensor& mean, const Tensor& variance) const = 0;
  /// Softly bounded, which means that share a total need not be.
  Tensor log_mean(const Tensor& outputs) const {
    const Tensor first = parameter(outputs, 0, parameters_per_feature());
    return observed_ ? first : soft_bound(first);
  }

 private:
  /// Outputs with logits of shares replaced by the logs of means that add up to `total` [..., 1]. A row without any
  /// count has means so small that its zeros are certain.
  Tensor shared_out(const Tensor& outputs, const Tensor& total, const Tensor& missing) const {
    std::vector<Tensor> parts = outputs.chunk(parameters_per_feature(), -1);
    const Tensor logits = missing.defined() ? parts[0].masked_fill(missing, -INFINITY) : parts[0];
    const Tensor log_share = at::log_softmax(logits, -1);
    parts[0] = (missing.defined() ? log_share.masked_fill(missing, 0) : log_share) + total.clamp_min(kNoCount).log();
    return parts.size() == 1 ? parts[0] : at::cat(parts, -1);
  }
  Tensor at_average(const Tensor& outputs) const {
    return observed_ ? shared_out(outputs, constants_->get(kTotal).view({1}), {}) : outputs;
  }

  bool observed_;
  std::shared_ptr<ConstantBlock> constants_;
};

class PoissonLikelihood final : public CountLikelihood {
 public:
  using CountLikelihood::CountLikelihood;
  int64_t parameters_per_feature() const override { return 1; }

 protected:
  Tensor cell_bias(const Tensor& mean, const Tensor&) const override { return mean.log(); }
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<Poisson>(Poisson::of_log_rate(log_mean(outputs)));
  }
};

enum class Dispersion { shared, predicted };

struct NegativeBinomialOptions final : CountOptions {
  Dispersion dispersion = Dispersion::shared;
  bool zero_inflated = false;
  void visit(OptionVisitor& v) override {
    CountOptions::visit(v);
    v("dispersion", dispersion, {{"shared", Dispersion::shared}, {"predicted", Dispersion::predicted}},
      "one learned number a feature, or an output of the decoder");
    v("zero_inflated", zero_inflated, "a feature is zero by itself with a predicted probability");
  }
};

class NegativeBinomialLikelihood final : public CountLikelihood {
 public:
  NegativeBinomialLikelihood(const NegativeBinomialOptions& options, const Context& context)
      : CountLikelihood(options, context), o_(options) {
    if (o_.dispersion == Dispersion::shared)
      log_count_ = context.block->add("likelihood.log_dispersion", {context.num_features}, context.dtype);
  }
  int64_t parameters_per_feature() const override {
    return 1 + (o_.dispersion == Dispersion::predicted) + o_.zero_inflated;
  }

 protected:
  Tensor cell_mean(const Tensor& outputs) const override {
    const Tensor mean = CountLikelihood::cell_mean(outputs);
    return o_.zero_inflated ? mean * at::sigmoid(-gate(outputs)) : mean;
  }
  /// Of the moments; few zeros are inflated at the start.
  Tensor cell_bias(const Tensor& m, const Tensor& variance) const override {
    constexpr double kGate = -3;
    const Tensor log_count = (m * m / (variance - m).clamp_min(1e-2 * m)).clamp(1e-2, 1e2).log();
    std::vector<Tensor> parts{m.log()};
    if (o_.dispersion == Dispersion::shared)
      log_count_.detach().copy_(log_count);
    else
      parts.push_back(log_count);
    if (o_.zero_inflated) parts.push_back(at::full_like(m, kGate));
    return at::cat(parts);
  }
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    const Tensor log_count =
        soft_bound(o_.dispersion == Dispersion::shared ? log_count_ : parameter(outputs, 1, parameters_per_feature()));
    const auto counts = std::make_shared<NegativeBinomial>(log_count.exp(), log_mean(outputs) - log_count);
    if (!o_.zero_inflated) return counts;
    return std::make_shared<ZeroInflated>(counts, gate(outputs));
  }

 private:
  Tensor gate(const Tensor& outputs) const {
    return parameter(outputs, parameters_per_feature() - 1, parameters_per_feature());
  }

  NegativeBinomialOptions o_;
  Tensor log_count_;  // [D], where it is shared
};

}  // namespace

void register_counts(Registry& registry) {
  registry.add<Likelihood, CountOptions>("poisson", "counts",
                                         [](const CountOptions& options, const Likelihood::Context& context) {
                                           return std::make_shared<PoissonLikelihood>(options, context);
                                         });
  registry.add<Likelihood, NegativeBinomialOptions>(
      "negative-binomial", "counts that vary more than a Poisson's",
      [](const NegativeBinomialOptions& options, const Likelihood::Context& context) {
        return std::make_shared<NegativeBinomialLikelihood>(options, context);
      });
}

}  // namespace vem
