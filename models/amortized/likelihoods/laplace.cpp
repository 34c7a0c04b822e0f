// Laplace likelihood: absolute errors, so that outliers weigh less than with a normal.
#include "vem/dist/laplace.h"

#include "location_scale.h"

namespace vem {
namespace {

class LaplaceLikelihood final : public LocationScale {
 public:
  LaplaceLikelihood(const LocationScaleOptions& options, const Context& context)
      : LocationScale(options, context, M_SQRT2) {}

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<Laplace>(location(outputs), scale(outputs));
  }
};

}  // namespace

void register_laplace_likelihood(Registry& registry) {
  registry.add<Likelihood, LocationScaleOptions>(
      "laplace", "real numbers with outliers; fixed, shared or predicted scale",
      [](const LocationScaleOptions& options, const Likelihood::Context& context) {
        return std::make_shared<LaplaceLikelihood>(options, context);
      });
}

}  // namespace vem
