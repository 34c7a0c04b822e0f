// Counts: the decoder gives the log of the mean. Negative binomial: the dispersion r is one number a feature or
// predicted, the variance is mean + mean^2 / r; zero-inflated: more zeros than that, with a predicted probability
// (Lopez et al. 2018).
#include "vem/dist/poisson.h"
#include "vem/dist/zero_inflated.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

constexpr double kSmallestMean = 1e-3;  // of a feature that is always zero, at the start

class CountLikelihood : public IndependentLikelihood {
 public:
  Tensor mean(const Tensor& outputs) const override { return log_mean(outputs).exp(); }
  Range support() const override { return at_least(0); }
  bool whole_numbers() const override { return true; }

 protected:
  Tensor log_mean(const Tensor& outputs) const { return parameter(outputs, 0, parameters_per_feature()); }
};

struct PoissonOptions final : Options {
  void visit(OptionVisitor&) override {}
};

class PoissonLikelihood final : public CountLikelihood {
 public:
  int64_t parameters_per_feature() const override { return 1; }
  Tensor output_bias(const Tensor& mean, const Tensor&) const override { return mean.clamp_min(kSmallestMean).log(); }

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<Poisson>(mean(outputs));
  }
};

enum class Dispersion { shared, predicted };

struct NegativeBinomialOptions final : Options {
  Dispersion dispersion = Dispersion::shared;
  bool zero_inflated = false;
  void visit(OptionVisitor& v) override {
    v("dispersion", dispersion, {{"shared", Dispersion::shared}, {"predicted", Dispersion::predicted}},
      "one learned number a feature, or an output of the decoder");
    v("zero_inflated", zero_inflated, "a feature is zero by itself with a predicted probability");
  }
};

class NegativeBinomialLikelihood final : public CountLikelihood {
 public:
  NegativeBinomialLikelihood(const NegativeBinomialOptions& options, const Context& context) : o_(options) {
    if (o_.dispersion == Dispersion::shared)
      log_count_ = context.block->add("likelihood.log_dispersion", {context.num_features}, context.dtype);
  }
  int64_t parameters_per_feature() const override {
    return 1 + (o_.dispersion == Dispersion::predicted) + o_.zero_inflated;
  }
  Tensor mean(const Tensor& outputs) const override {
    const Tensor mean = CountLikelihood::mean(outputs);
    return o_.zero_inflated ? mean * at::sigmoid(-gate(outputs)) : mean;
  }
  /// Of the moments; few zeros are inflated at the start.
  Tensor output_bias(const Tensor& mean, const Tensor& variance) const override {
    constexpr double kGate = -3;
    const Tensor m = mean.clamp_min(kSmallestMean);
    const Tensor log_count = (m * m / (variance - m).clamp_min(1e-2 * m)).clamp(1e-2, 1e2).log();
    std::vector<Tensor> parts{m.log()};
    if (o_.dispersion == Dispersion::shared)
      log_count_.detach().copy_(log_count);
    else
      parts.push_back(log_count);
    if (o_.zero_inflated) parts.push_back(at::full_like(m, kGate));
    return at::cat(parts);
  }

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    const Tensor log_count =
        o_.dispersion == Dispersion::shared ? log_count_ : parameter(outputs, 1, parameters_per_feature());
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
  registry.add<Likelihood, PoissonOptions>("poisson", "counts", [](const PoissonOptions&, const Likelihood::Context&) {
    return std::make_shared<PoissonLikelihood>();
  });
  registry.add<Likelihood, NegativeBinomialOptions>(
      "negative-binomial", "counts that vary more than a Poisson's",
      [](const NegativeBinomialOptions& options, const Likelihood::Context& context) {
        return std::make_shared<NegativeBinomialLikelihood>(options, context);
      });
}

}  // namespace vem
