// Bernoulli likelihood of pixels in [0, 1], by logits.
#include "vem/dist/bernoulli.h"

#include "bernoulli_kernel.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

struct BernoulliOptions final : Options {
  void visit(OptionVisitor&) override {}
};

class BernoulliLikelihood final : public IndependentLikelihood {
 public:
  int64_t parameters_per_feature() const override { return 1; }
  Tensor mean(const Tensor& outputs) const override { return at::sigmoid(outputs); }
  Tensor output_bias(const Tensor& mean, const Tensor&) const override { return at::logit(mean, 1e-3); }
  Range support() const override { return {0, 1, false}; }

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<Bernoulli>(outputs);
  }
  Tensor log_prob_cells(const Tensor& outputs, const Tensor& x) const override {
    return Bernoulli::log_prob(outputs, x);
  }
  Tensor log_prob_rows(const Tensor& outputs, const Tensor& x) const override {
    if (outputs.scalar_type() == at::kFloat && outputs.device().is_cpu() && outputs.dim() == 3)
      return bernoulli_log_prob(outputs, x);
    return log_prob_cells(outputs, x).sum(-1);
  }
};

}  // namespace

void register_bernoulli(Registry& registry) {
  registry.add<Likelihood, BernoulliOptions>(
      "bernoulli", "pixels that are 0 or 1 (or probabilities in between)",
      [](const BernoulliOptions&, const Likelihood::Context&) { return std::make_shared<BernoulliLikelihood>(); });
}

}  // namespace vem
