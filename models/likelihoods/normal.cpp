// Normal likelihood: the decoder gives the mean, and the scale is fixed, learned as one number a feature, or predicted.
// A learned scale is min_scale + exp(parameter): the floor is approached but never reached, so no gradient dies on it.
#include "vem/dist/normal_function.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

enum class Scale { fixed, shared, predicted };

struct NormalOptions final : Options {
  Scale scale = Scale::shared;
  double value = 1, min_scale = 1e-3;
  void visit(OptionVisitor& v) override {
    v("scale", scale, {{"fixed", Scale::fixed}, {"shared", Scale::shared}, {"predicted", Scale::predicted}},
      "standard deviation: one given number, one learned number a feature, or an output of the decoder");
    v.when(scale == Scale::fixed, "scale is fixed", [&] { v("value", value, positive(), "the standard deviation"); });
    v.when(scale != Scale::fixed, "scale is shared or predicted", [&] {
      v("min_scale", min_scale, positive(), "floor of the standard deviation, which maximum likelihood needs");
    });
  }
};

class NormalLikelihood final : public Likelihood {
 public:
  NormalLikelihood(const NormalOptions& options, const Context& context)
      : o_(options), features_(context.num_features) {
    if (o_.scale == Scale::shared) log_scale_ = context.block->add("likelihood.log_scale", {features_}, context.dtype);
  }
  int64_t parameters_per_feature() const override { return o_.scale == Scale::predicted ? 2 : 1; }

  Tensor log_prob(const Tensor& outputs, const Tensor& x) const override {
    const Tensor scale = this->scale(outputs), standardized = (x - mean(outputs)) / scale;
    const Tensor half_log_det = scale.log().sum(-1) * (scale.dim() == 0 ? features_ : 1);
    return normal_log_density(standardized.square().sum(-1), half_log_det, features_);
  }
  Tensor mean(const Tensor& outputs) const override { return outputs.narrow(-1, 0, features_); }
  Tensor sample(const Tensor& outputs, const Tensor& index, const Rng& rng) const override {
    const Tensor noise = rng.normal(index, {features_}, "likelihood", outputs.scalar_type());
    return mean(outputs) + noise * scale(outputs);
  }
  Tensor output_bias(const Tensor& mean, const Tensor& variance) const override {
    const Tensor start = (variance.sqrt() - o_.min_scale).clamp_min(o_.min_scale).log();  // at least twice the floor
    if (o_.scale == Scale::shared) log_scale_.detach().copy_(start);
    return o_.scale == Scale::predicted ? at::cat({mean, start}) : mean;
  }
  Range support() const override { return {}; }

 private:
  /// [] where it is fixed, else [features] or [..., features].
  Tensor scale(const Tensor& outputs) const {
    if (o_.scale == Scale::fixed) return at::full({}, o_.value, outputs.options());
    const Tensor parameter = o_.scale == Scale::shared ? log_scale_ : outputs.narrow(-1, features_, features_);
    return parameter.exp() + o_.min_scale;
  }

  NormalOptions o_;
  int64_t features_;
  Tensor log_scale_;
};

}  // namespace

void register_normal_likelihood(Registry& registry) {
  registry.add<Likelihood, NormalOptions>("normal", "real numbers; fixed, shared or predicted scale",
                                          [](const NormalOptions& options, const Likelihood::Context& context) {
                                            return std::make_shared<NormalLikelihood>(options, context);
                                          });
}

}  // namespace vem
