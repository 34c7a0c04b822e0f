// Bounds from weighted samples, log 1/S sum_s w_s with w_s = p(x, z_s) / q(z_s | x) (Burda, Grosse, Salakhutdinov 2016,
// equation 8); of powers of weights (Li and Turner 2016, equation 13); the mean over groups of samples (MIWAE), for the
// encoder alone (PIWAE), and a mix with the ELBO (CIWAE: Rainforth et al. 2018). The encoder's gradient is the bound's
// own, or doubly reparameterised (Tucker et al. 2019, equation 8): the same on average, and less noisy. Where draws
// have no derivative it is by the score function, each draw's signal what it adds to the bound over the mean of the
// others (VIMCO: Mnih and Rezende 2016, equations 9 and 10).
#include "vem/infer/objective.h"

namespace vem {
namespace {

enum class Path { standard, dreg };

struct IwaeOptions final : Options {
  int64_t num_samples = 5, groups = 1;
  bool pooled = false;
  double alpha = 0, elbo_share = 0;
  Path gradient = Path::standard;
  void visit(OptionVisitor& v) override {
    v("num_samples", num_samples, {1, 100000}, "draws of z an item and group");
    v("groups", groups, {1, 100000}, "groups of draws whose bounds are averaged");
    v.when(groups > 1, "groups is above 1", [&] {
      v("pooled", pooled, "groups are for the encoder alone, the decoder learns from the bound of all draws together");
    });
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
    const Tensor bound = bound_of(log_weight, o_.pooled ? 1 : o_.groups);
    Tensor of_q = o_.pooled ? bound_of(log_weight, o_.groups) : bound;
    if (o_.gradient == Path::dreg) {
      of_q = bound_of(stopped, o_.groups);
      return {bound, o_.pooled ? bound : of_q, of_q,
              at::softmax(grouped(stopped.detach(), o_.groups), 1).flatten(0, 1)};
    }
    for (const Latent& latent : trace.latents)
      if (latent.scored() && bound.requires_grad()) {
        const Tensor log_q = latent.log_q();
        of_q = of_q + (signals(log_weight) * (log_q - log_q.detach())).sum(0);
      }
    if (o_.pooled) return {bound, bound, of_q, {}};
    return {bound, of_q, {}, {}};
  }
  Needs needs() const override { return o_.gradient == Path::dreg ? Needs::density : Needs::draws; }
  Discrete discrete() const override { return o_.gradient == Path::dreg ? Discrete::none : Discrete::weights; }
  int64_t num_samples() const override { return o_.num_samples * o_.groups; }
  int64_t group_size() const override { return o_.num_samples; }

 private:
  /// [groups, S, items].
  static Tensor grouped(const Tensor& log_weight, int64_t groups) {
    return log_weight.reshape({groups, log_weight.size(0) / groups, log_weight.size(1)});
  }
  Tensor bound_of(const Tensor& log_weight, int64_t groups) const {
    const double power = 1 - o_.alpha;
    const int64_t size = num_samples() / groups;
    const Tensor means = at::logsumexp(grouped(log_weight, groups) * power, {1}) - std::log(static_cast<double>(size));
    const Tensor bound = mean_over_samples(means / power);
    return o_.elbo_share > 0 ? (1 - o_.elbo_share) * bound + o_.elbo_share * log_weight.mean(0) : bound;
  }
  /// [S, items]: the bound less the one in which the mean of its group's other log weights stands for a draw's own,
  /// which does not depend on the draw.
  Tensor signals(const Tensor& log_weight) const {
    const at::NoGradGuard no_grad;
    const Tensor groups = grouped(log_weight, o_.groups), bound = bound_of(log_weight, o_.groups);
    const Tensor others =
        ((groups.sum(1, true) - groups) / static_cast<double>(o_.num_samples - 1)).reshape(log_weight.sizes());
    std::vector<Tensor> signals;
    for (int64_t s = 0; s < log_weight.size(0); ++s) {
      const Tensor without = log_weight.clone();
      without[s].copy_(others[s]);
      signals.push_back(bound - bound_of(without, o_.groups));
    }
    return at::stack(signals);
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
