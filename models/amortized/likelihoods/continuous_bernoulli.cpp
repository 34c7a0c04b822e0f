// Continuous Bernoulli likelihood on [0, 1] (Loaiza-Ganem and Cunningham 2019), by logits.
#include "vem/dist/bernoulli.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

struct ContinuousBernoulliOptions final : Options {
  void visit(OptionVisitor&) override {}
};

class ContinuousBernoulliLikelihood final : public IndependentLikelihood {
 public:
  int64_t parameters_per_feature() const override { return 1; }
  Tensor mean(const Tensor& outputs) const override { return ContinuousBernoulli::mean(outputs); }
  /// Bisection on E[x] = mean, which rises with l.
  Tensor output_bias(const Tensor& mean, const Tensor&) const override {
    const Tensor target = mean.to(at::kDouble).clamp(1e-3, 1 - 1e-3);
    Tensor low = at::full_like(target, -1100), high = at::full_like(target, 1100);
    for (int i = 0; i < 60; ++i) {
      const Tensor middle = 0.5 * (low + high), below = ContinuousBernoulli::mean(middle) < target;
      low = at::where(below, middle, low);
      high = at::where(below, high, middle);
    }
    return (0.5 * (low + high)).to(mean.scalar_type());
  }
  Range support() const override { return {0, 1, false}; }

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<ContinuousBernoulli>(outputs);
  }
  Tensor log_prob_cells(const Tensor& outputs, const Tensor& x) const override {
    return ContinuousBernoulli::log_prob(outputs, x);
  }
};

}  // namespace

void register_continuous_bernoulli(Registry& registry) {
  registry.add<Likelihood, ContinuousBernoulliOptions>(
      "continuous-bernoulli", "intensities in [0, 1], properly normalised",
      [](const ContinuousBernoulliOptions&, const Likelihood::Context&) {
        return std::make_shared<ContinuousBernoulliLikelihood>();
      });
}

}  // namespace vem
