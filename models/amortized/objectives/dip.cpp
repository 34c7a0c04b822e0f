// The ELBO less what the latents' covariance over the data differs from the identity (Kumar, Sattigeri and Balakrishnan
// 2018, DIP-VAE, equations 6 and 7): of the means of q (DIP-VAE-I), or of q(z) as a whole (DIP-VAE-II).
#include "vem/infer/objective.h"

namespace vem {
namespace {

enum class Of { means, aggregate };

struct DipOptions final : Options {
  double off_diagonal = 10, diagonal = 100;
  Of of = Of::means;
  int64_t num_samples = 1;
  void visit(OptionVisitor& v) override {
    v("off_diagonal", off_diagonal, at_least(0), "weight of squared covariances of two dimensions");
    v("diagonal", diagonal, at_least(0), "weight of squared differences of variances from 1");
    v("covariance", of, {{"means", Of::means}, {"aggregate", Of::aggregate}},
      "of the means of q(z | x), or of the aggregate posterior q(z)");
    v("num_samples", num_samples, {1, 10000}, "draws of z an item");
  }
};

class Dip final : public Objective {
 public:
  explicit Dip(const DipOptions& options) : o_(options) {}

  ObjectiveValue operator()(const Trace& trace, const Step& step) const override {
    Tensor bound = mean_over_samples(trace.log_px), penalty;
    for (const Latent& latent : trace.latents) {
      bound = bound - trace.kl(latent).sum(-1);
      if (!step.training) continue;
      const Tensor excess = covariance(latent) - at::eye(latent.q().event_shape()[0], latent.z().options());
      const Tensor on = excess.diag().square().sum(), all = excess.square().sum();
      const Tensor own = o_.off_diagonal * (all - on) + o_.diagonal * on;
      penalty = penalty.defined() ? penalty + own : own;
    }
    return {bound, penalty.defined() ? bound - penalty : bound, {}};
  }
  int64_t num_samples() const override { return o_.num_samples; }
  bool additive() const override { return false; }
  Needs needs() const override { return o_.of == Of::aggregate ? Needs::independent : Needs::density; }
  bool standard_prior() const override { return true; }

 private:
  /// [L, L] over the items of the batch.
  Tensor covariance(const Latent& latent) const {
    const Tensor mean = latent.q().mean();
    const Tensor share = (latent.weight() / latent.weight().sum()).to(mean.scalar_type()).unsqueeze(-1);
    const Tensor centered = mean - (share * mean).sum(0);
    const Tensor of_means = at::mm((share * centered).t(), centered);
    return o_.of == Of::means ? of_means : of_means + (share * latent.q().variance()).sum(0).diag();
  }
  DipOptions o_;
};

}  // namespace

void register_dip(Registry& registry) {
  registry.add<Objective, DipOptions>(
      "dip", "ELBO with the latents' covariance pulled to the identity (DIP-VAE); of a batch, no sum over items",
      [](const DipOptions& options, const Objective::Context&) { return std::make_shared<Dip>(options); });
}

}  // namespace vem
