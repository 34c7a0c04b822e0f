// The evidence lower bound. What weighs or bends the KL term (beta, warm-up, free bits, capacity) acts on the surrogate
// only; the bound is never weighted. Kingma and Welling 2014, equations 3 and 8; beta: Higgins et al. 2017; free bits:
// Kingma et al. 2016, appendix C.8, for each datum; capacity: Burgess et al. 2018, equation 8; sticking the landing:
// Roeder, Wu and Duvenaud 2017.
#include "vem/infer/objective.h"

namespace vem {
namespace {

enum class Kl { analytic, monte_carlo, sticking };

struct ElboOptions final : Options {
  Kl kl = Kl::analytic;
  int64_t num_samples = 1;
  double free_bits = 0;
  enum class Per { dimension, group } free_bits_per = Per::dimension;
  bool pull_to_capacity = false;
  Choice kl_weight = constant_schedule(1), capacity = constant_schedule(0);
  void visit(OptionVisitor& v) override {
    v("kl", kl, {{"analytic", Kl::analytic}, {"monte-carlo", Kl::monte_carlo}, {"sticking", Kl::sticking}},
      "KL(q || p) in closed form (Monte Carlo where the prior has none), or from the samples; sticking: and the "
      "gradient by way of the samples only, which is less noisy where q is nearly right");
    v("num_samples", num_samples, {1, 100000}, "draws of z an item");
    v("kl_weight", kl_weight, "weight of the KL term: beta, or a schedule that warms it up");
    v.when(kl == Kl::analytic, "kl is analytic", [&] {
      v("free_bits", free_bits, at_least(0),
        "nats of KL, a dimension and item (a whole item's where the KL is not a sum), that nothing is gained below");
      v.when(free_bits > 0, "free_bits is above 0", [&] {
        v("free_bits_per", free_bits_per, {{"dimension", Per::dimension}, {"group", Per::group}},
          "what has so many: each dimension of z by itself, or the group of them all");
      });
    });
    v("pull_to_capacity", pull_to_capacity, "pay kl_weight * |KL - capacity| instead of kl_weight * KL");
    v.when(pull_to_capacity, "pull_to_capacity is true",
           [&] { v("capacity", capacity, "nats that the KL of an item is pulled to: a number or a schedule"); });
  }
};

class Elbo final : public Objective {
 public:
  Elbo(const ElboOptions& options, const Context& context)
      : options_(options),
        weight_(context.registry.create<Schedule>(options.kl_weight, {context.registry})),
        capacity_(context.registry.create<Schedule>(options.capacity, {context.registry})) {}

  ObjectiveValue operator()(const Trace& trace, const Step& step) const override {
    const double weight = step.training ? step.weight("kl_weight") : 1.0;
    const Tensor log_px = trace.expected_log_px();
    Tensor kl, bent;  // as it is, and as it is paid for
    for (const Latent& latent : trace.latents) {
      const auto [own, paid] = kl_of(trace, latent);
      kl = kl.defined() ? kl + own : own;
      bent = bent.defined() ? bent + paid : paid;
    }
    const Tensor bound = log_px - kl;
    if (options_.pull_to_capacity && step.training) bent = (bent - step.weight("capacity")).abs();
    return {bound, weight == 1 && bent.is_same(kl) ? bound : log_px - weight * bent, {}};
  }
  int64_t num_samples() const override { return options_.num_samples; }
  Discrete discrete() const override { return options_.kl == Kl::analytic ? Discrete::expectation : Discrete::none; }
  Needs needs() const override { return options_.kl == Kl::sticking ? Needs::density : Needs::draws; }
  Schedules schedules() const override {
    Schedules all{{"kl_weight", weight_}};
    if (options_.pull_to_capacity) all["capacity"] = capacity_;
    return all;
  }

 private:
  /// [items]: the KL, and what is paid for it.
  std::pair<Tensor, Tensor> kl_of(const Trace& trace, const Latent& latent) const {
    if (options_.kl == Kl::analytic)
      if (const Tensor by_dimension = trace.kl(latent); by_dimension.defined()) {
        const Tensor kl = by_dimension.sum(-1);
        if (options_.free_bits == 0) return {kl, kl};
        if (options_.free_bits_per == ElboOptions::Per::group) return {kl, kl.clamp_min(options_.free_bits)};
        return {kl, by_dimension.clamp_min(options_.free_bits).sum(-1)};
      }
    const Tensor kl = trace.expected(latent.log_q() - latent.log_p());
    if (options_.kl == Kl::analytic && options_.free_bits > 0) return {kl, kl.clamp_min(options_.free_bits)};
    if (options_.kl != Kl::sticking) return {kl, kl};
    return {kl, trace.expected(latent.log_q_stopped() - latent.log_p())};
  }

  ElboOptions options_;
  std::shared_ptr<const Schedule> weight_, capacity_;
};

}  // namespace

void register_elbo(Registry& registry) {
  registry.add<Objective, ElboOptions>("elbo", "evidence lower bound, analytic or Monte Carlo KL, any KL weight",
                                       [](const ElboOptions& options, const Objective::Context& context) {
                                         return std::make_shared<Elbo>(options, context);
                                       });
}

}  // namespace vem
