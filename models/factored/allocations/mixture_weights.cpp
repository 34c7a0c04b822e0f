// Independent rows of a mixture: one weight a component, with a Dirichlet prior (Bishop, PRML, section 10.2).
#include "independent_rows.h"
#include "vem/core/error.h"
#include "vem/dist/dirichlet.h"

namespace vem {
namespace {

struct MixtureWeightsOptions final : ConjugateOptions {
  double concentration = 1;

  void visit(OptionVisitor& v) override {
    v.when(has_prior(), "estimate is map or posterior", [&] {
      v("concentration", concentration, positive(), "alpha of the symmetric Dirichlet prior of the weights");
    });
  }
};

class MixtureWeights final : public IndependentRows {
 public:
  MixtureWeights(const MixtureWeightsOptions& options, const Context& context)
      : IndependentRows(context, "weights", std::make_shared<DirichletFamily>(context.num_components)),
        concentration_(options.concentration) {}
  Labelings labelings() const override { return Labelings::all_orders(K()); }
  void set_priors() override { block_->set_prior(at::full({1, K()}, concentration_ - 1, at::kDouble)); }

 protected:
  Tensor log_expected(const Tensor& eta) const override {
    const Tensor alpha = eta + 1;
    return (alpha / alpha.sum(-1, true)).log();
  }

 private:
  double concentration_;
};

std::shared_ptr<Allocation> create_mixture_weights(const MixtureWeightsOptions& options,
                                                   const Allocation::Context& context) {
  if (context.estimate == Estimate::ml)
    refuse_without_effect(options.concentration != MixtureWeightsOptions().concentration,
                          "mixture-weights: concentration", "estimate is map or posterior");
  if (context.estimate == Estimate::map && options.concentration < 1)
    fail<ConfigError>(
        "mixture-weights: concentration must be >= 1 when estimate is map, got {}: below 1 the density of "
        "the weights has no mode",
        options.concentration);
  return std::make_shared<MixtureWeights>(options, context);
}

}  // namespace

void register_mixture_weights(Registry& registry) {
  registry.add<Allocation, MixtureWeightsOptions>("mixture-weights", "independent rows, a weight a component",
                                                  create_mixture_weights);
}

}  // namespace vem
