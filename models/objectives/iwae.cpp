// Bounds from weighted samples, log 1/S sum_s w_s with w_s = p(x, z_s) / q(z_s | x) (Burda, Grosse, Salakhutdinov 2016,
// equation 8); of powers of weights (Li and Turner 2016, equation 13); the mean over groups of samples (MIWAE) and a
// mix with the ELBO (CIWAE: Rainforth et al. 2018). The encoder's gradient is the bound's own, or doubly
// reparameterised (Tucker et al. 2019, equation 8): the same on average, and less noisy.
#include "vem/infer/objective.h"

namespace vem {
namespace {

enum class Path { standard, dreg };

struct IwaeOptions final : Options {
  int64_t num_samples = 5, groups = 1;
  double alpha = 0, elbo_share = 0;
  Path gradient = Path::standard;
  void visit(OptionVisitor& v) override {
    v("num_samples", num_samples, {1, 100000}, "draws of z an item and group");
    v("groups", groups, {1, 100000}, "groups of draws whose bounds are averaged");
    v("alpha", alpha, {-10, 0.999}, "Renyi's alpha: 0 is the importance-weighted bound, towards 1 lies the ELBO");
    v("elbo_share", elbo_share, {0, 1}, "share of the ELBO of the same draws in what is maximised");
    v.when(alpha == 0 && elbo_share == 0, "alpha and elbo_share are 0", [&] {
      v("gradient", gradient, {{"standard", Path::standard}, {"dreg", Path::dreg}},
        "how the encoder learns: by the bound's own gradient, or doubly reparameterised, which is less noisy");
    });
  }
};

class Iwae final : public Objective {
 public:
  explicit Iwae(const IwaeOptions& options) : o_(options) {}
  ObjectiveValue operator()(const Trace& trace, const Step&) const override {
    Tensor log_weight = trace.log_px, stopped = trace.log_px;
    for (const Latent& latent : trace.latents) {
      const Tensor log_p = latent.log_p();
      log_weight = log_weight + log_p - latent.log_q();
      if (o_.gradient == Path::dreg) stopped = stopped + log_p - latent.log_q_stopped();
    }
    const Tensor bound = bound_of(log_weight);
    if (o_.gradient == Path::standard) return {bound, bound, {}};
    return {bound, bound_of(stopped), at::softmax(grouped(stopped.detach()), 1).flatten(0, 1)};
  }
  Needs needs() const override { return o_.gradient == Path::dreg ? Needs::density : Needs::draws; }
  int64_t num_samples() const override { return o_.num_samples * o_.groups; }

 private:
  /// [groups, S, items].
  Tensor grouped(const Tensor& log_weight) const {
    return log_weight.reshape({o_.groups, o_.num_samples, log_weight.size(1)});
  }
  Tensor bound_of(const Tensor& log_weight) const {
    const double power = 1 - o_.alpha;
    const Tensor means =
        at::logsumexp(grouped(log_weight) * power, {1}) - std::log(static_cast<double>(o_.num_samples));
    const Tensor bound = mean_over_samples(means / power);
    return o_.elbo_share > 0 ? (1 - o_.elbo_share) * bound + o_.elbo_share * log_weight.mean(0) : bound;
  }

  IwaeOptions o_;
};

}  // namespace

void register_iwae_objective(Registry& registry) {
  registry.add<Objective, IwaeOptions>(
      "iwae", "importance-weighted bound over several samples, its relatives, and lower-variance gradients",
      [](const IwaeOptions& options, const Objective::Context&) { return std::make_shared<Iwae>(options); });
}

}  // namespace vem
