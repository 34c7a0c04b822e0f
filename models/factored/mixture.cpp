// A mixture of any observation family in closed form: EM for maximum likelihood and MAP, variational Bayes with the
// exact bound for a posterior (Bishop, PRML, sections 9.2 and 10.2).
#include "model.h"

namespace vem {
namespace {

struct MixtureOptions final : FactoredOptions {
  MixtureOptions() : FactoredOptions("mixture-weights") {}
};

}  // namespace

void register_mixture(Registry& registry) {
  registry.add<Model, MixtureOptions>(
      "mixture", "a mixture of any observation family, fitted in closed form",
      [](const MixtureOptions& options, const Model::Context& context) {
        return std::make_shared<FactoredModel>("mixture", options, context);
      },
      "train.epochs = 200");
}

}  // namespace vem
