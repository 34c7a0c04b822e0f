#include "location_scale.h"

#include "vem/dist/soft_bound.h"

namespace vem {

void LocationScaleOptions::visit(OptionVisitor& v) {
  v("scale", scale, {{"fixed", Scale::fixed}, {"shared", Scale::shared}, {"predicted", Scale::predicted}},
    "scale: one given number, one learned number a feature, or an output of the decoder");
  v.when(scale == Scale::fixed, "scale is fixed", [&] { v("value", value, positive(), "the scale"); });
  v.when(scale != Scale::fixed, "scale is shared or predicted",
         [&] { v("min_scale", min_scale, positive(), "floor of the scale, which maximum likelihood needs"); });
}

LocationScale::LocationScale(const LocationScaleOptions& options, const Context& context, double std)
    : o_(options), std_(std) {
  if (o_.scale == Scale::shared)
    log_scale_ = context.block->add("likelihood.log_scale", {context.num_features}, context.dtype);
}

Tensor LocationScale::scale(const Tensor& outputs) const {
  if (o_.scale == Scale::fixed) return at::full({}, o_.value, outputs.options());
  return soft_bound(o_.scale == Scale::shared ? log_scale_ : parameter(outputs, 1, 2)).exp() + o_.min_scale;
}

Tensor LocationScale::output_bias(const Tensor& mean, const Tensor& variance) const {
  // at least twice the floor
  const Tensor start = (variance.sqrt() / std_ - o_.min_scale).clamp_min(o_.min_scale).log();
  if (o_.scale == Scale::shared) log_scale_.detach().copy_(start);
  return o_.scale == Scale::predicted ? at::cat({mean, start}) : mean;
}

}  // namespace vem
