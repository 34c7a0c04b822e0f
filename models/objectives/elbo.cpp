// The evidence lower bound. The KL weight (beta, warm-up) acts on the surrogate only; the bound is never weighted.
// Kingma and Welling 2014, equations 3 and 8; beta: Higgins et al. 2017.
#include "vem/infer/objective.h"

namespace vem {
namespace {

enum class Kl { analytic, monte_carlo };

struct ElboOptions final : Options {
  Kl kl = Kl::analytic;
  int64_t num_samples = 1;
  Choice kl_weight = constant_schedule(1);
  void visit(OptionVisitor& v) override {
    v("kl", kl, {{"analytic", Kl::analytic}, {"monte-carlo", Kl::monte_carlo}},
      "KL(q || p) in closed form (Monte Carlo where the prior has none), or from the samples");
    v("num_samples", num_samples, {1, 100000}, "draws of z an item");
    v("kl_weight", kl_weight, "weight of the KL term: beta, or a schedule that warms it up");
  }
};

class Elbo final : public Objective {
 public:
  Elbo(const ElboOptions& options, const Context& context)
      : options_(options), weight_(context.registry.create<Schedule>(options.kl_weight, {context.registry})) {}

  ObjectiveValue operator()(const Trace& trace, const Step& step) const override {
    const double weight = step.training ? step.weight("kl_weight") : 1.0;
    const Tensor log_px = mean_over_samples(trace.log_px);
    Tensor kl;
    for (const Latent& latent : trace.latents) kl = kl.defined() ? kl + kl_of(latent) : kl_of(latent);
    const Tensor bound = log_px - kl;
    return {bound, weight == 1 ? bound : log_px - weight * kl, {}};
  }
  int64_t num_samples() const override { return options_.num_samples; }
  Schedules schedules() const override { return {{"kl_weight", weight_}}; }

 private:
  Tensor kl_of(const Latent& latent) const {
    if (options_.kl == Kl::analytic)
      if (const Tensor kl = latent.kl(); kl.defined()) return kl.sum(-1);
    return mean_over_samples(latent.log_q() - latent.log_p());
  }

  ElboOptions options_;
  std::shared_ptr<const Schedule> weight_;
};

}  // namespace

void register_elbo(Registry& registry) {
  registry.add<Objective, ElboOptions>("elbo", "evidence lower bound, analytic or Monte Carlo KL, any KL weight",
                                       [](const ElboOptions& options, const Objective::Context& context) {
                                         return std::make_shared<Elbo>(options, context);
                                       });
}

}  // namespace vem
