// Independent rows of a Dirichlet process mixture, truncated at K components: weight_k = v_k prod_{j<k} (1 - v_j) with
// v_k ~ Beta(1, concentration) and v_K = 1 (Blei and Jordan 2006, "Variational inference for Dirichlet process
// mixtures").
#include "independent_rows.h"
#include "vem/core/error.h"
#include "vem/dist/independent_dirichlets.h"

namespace vem {
namespace {

struct StickBreakingOptions final : ConjugateOptions {
  double concentration = 1;

  void visit(OptionVisitor& v) override {
    v.when(has_prior(), "estimate is map or posterior", [&] {
      v("concentration", concentration, positive(),
        "of the Dirichlet process: the larger, the more components are expected");
    });
  }
};

class StickBreaking final : public IndependentRows {
 public:
  StickBreaking(const StickBreakingOptions& options, const Context& context)
      : IndependentRows(context, "sticks", std::make_shared<DirichletsFamily>(context.num_components - 1, 2)),
        concentration_(options.concentration) {}

  void set_priors() override {
    const Tensor beta = at::tensor({0., concentration_ - 1}, at::kDouble);
    block_->set_prior(beta.repeat({K() - 1}).view({1, -1}));
  }

 protected:
  Tensor expand(const Tensor& t) const override { return weights_of(t); }
  Tensor collapse(const Tensor& counts) const override {
    // Rows in later components: added up from the last one, so that the sum is 0 where there are none.
    const Tensor from_here = counts.flip(1).cumsum(1).flip(1);
    const Tensor beyond = at::cat({from_here.slice(1, 1), at::zeros_like(counts.slice(1, 0, 1))}, 1);
    return at::stack({counts, beyond}, 2).slice(1, 0, K() - 1).reshape({1, -1});
  }
  Tensor counts_of(const Tensor& sums) const override {
    const Tensor pairs = sums.view({K() - 1, 2});
    return at::cat({pairs.select(1, 0), pairs.select(1, 1).slice(0, -1)});
  }
  Tensor log_expected(const Tensor& eta) const override {
    const Tensor beta = (eta + 1).view({K() - 1, 2});
    return weights_of((beta / beta.sum(1, true)).log().view({1, -1}));
  }

 private:
  /// (log v, log(1 - v)) of every stick to log weights.
  Tensor weights_of(const Tensor& t) const {
    const Tensor sticks = t.view({1, K() - 1, 2}), zero = at::zeros({1, 1}, t.options());
    return at::cat({sticks.select(2, 0), zero}, 1) + at::cat({zero, sticks.select(2, 1).cumsum(1)}, 1);
  }

  double concentration_;
};

std::shared_ptr<Allocation> create_stick_breaking(const StickBreakingOptions& options,
                                                  const Allocation::Context& context) {
  if (context.num_components < 2)
    fail<ConfigError>("stick-breaking: num_components, the truncation, must be >= 2, got {}", context.num_components);
  if (context.estimate == Estimate::ml)
    refuse_without_effect(options.concentration != StickBreakingOptions().concentration,
                          "stick-breaking: concentration", "estimate is map or posterior");
  if (context.estimate == Estimate::map && options.concentration < 1)
    fail<ConfigError>(
        "stick-breaking: concentration must be >= 1 when estimate is map, got {}: below 1 the density of "
        "the weights has no mode",
        options.concentration);
  return std::make_shared<StickBreaking>(options, context);
}

}  // namespace

void register_stick_breaking(Registry& registry) {
  registry.add<Allocation, StickBreakingOptions>(
      "stick-breaking", "independent rows, truncated Dirichlet process: unneeded components stay empty",
      create_stick_breaking);
}

}  // namespace vem
