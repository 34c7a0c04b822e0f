// Priors and draws of rates.
#include "gamma_rows.h"

#include "vem/core/error.h"

namespace vem {

void GammaRowsOptions::visit(OptionVisitor& v) {
  v.when(has_prior(), "estimate is map or posterior",
         [&] { v("shape", shape, positive(), "a0 of the gamma prior of the rates; its mean is that of the data"); });
}

GammaRows::GammaRows(const char* name, const GammaRowsOptions& options, const Context& context, double min_rate,
                     double max_rate)
    : Observation(context), shape_(options.shape) {
  if (context.estimate == Estimate::ml)
    refuse_without_effect(shape_ != GammaRowsOptions().shape, fmt::format("{}: shape", name),
                          "estimate is map or posterior");
  if (context.estimate == Estimate::map && shape_ < 1)
    fail<ConfigError>("{}: shape must be >= 1 when estimate is map, got {}: below 1 the density has no mode", name,
                      shape_);
  add_components(std::make_shared<GammasFamily>(D(), max_rate, min_rate), K());
}

void GammaRows::set_prior_mean(const Tensor& rate) {
  const Tensor a = at::full_like(rate, shape_ - 1), b = shape_ / rate;
  blocks_[0]->set_prior(at::cat({a, b}).unsqueeze(0).expand({K(), 2 * D()}));
}

Tensor GammaRows::drawn_rates(const Tensor& component, const Rng& rng) const {
  return rng.gamma(shape().index_select(0, component), "rate") / rate().index_select(0, component);
}

}  // namespace vem
