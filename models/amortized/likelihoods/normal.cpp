// Normal likelihood: the scale is the standard deviation.
#include "vem/dist/normal.h"

#include "location_scale.h"
#include "vem/dist/normal_function.h"

namespace vem {
namespace {

class NormalLikelihood final : public LocationScale {
 public:
  NormalLikelihood(const LocationScaleOptions& options, const Context& context) : LocationScale(options, context, 1) {}

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<Normal>(location(outputs), scale(outputs));
  }
  Tensor log_prob_cells(const Tensor& outputs, const Tensor& x) const override {
    const Tensor scale = this->scale(outputs);
    return normal_log_density(((x - location(outputs)) / scale).square(), scale.log());
  }
};

}  // namespace

void register_normal_likelihood(Registry& registry) {
  registry.add<Likelihood, LocationScaleOptions>(
      "normal", "real numbers; fixed, shared or predicted scale",
      [](const LocationScaleOptions& options, const Likelihood::Context& context) {
        return std::make_shared<NormalLikelihood>(options, context);
      });
}

}  // namespace vem
