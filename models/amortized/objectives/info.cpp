// Zhao, Song and Ermon 2019, "InfoVAE", equation 6: less weight on the KL of each item, more on the distance of the
// aggregate posterior to the prior, here the squared maximum mean discrepancy with a Gaussian kernel. Of the prior
// N(0, I) its expectations are known, so draws of q alone make noise (Gretton et al. 2012, lemma 6; without bias).
#include "vem/infer/objective.h"

namespace vem {
namespace {

struct InfoOptions final : Options {
  double information = 0, scale = 1000, bandwidth = 0;
  int64_t num_samples = 1;
  void visit(OptionVisitor& v) override {
    v("information", information, {-10, 1},
      "alpha: the KL of an item weighs 1 - alpha; 1 leaves the discrepancy alone");
    v("scale", scale, at_least(0), "lambda: the discrepancy weighs alpha + lambda - 1");
    v("bandwidth", bandwidth, at_least(0), "variance of the kernel exp(-|z - z'|^2 / (2 bandwidth)); 0: latent_dim");
    v("num_samples", num_samples, {1, 10000}, "draws of z an item");
  }
};

class Info final : public Objective {
 public:
  explicit Info(const InfoOptions& options) : o_(options) {}

  ObjectiveValue operator()(const Trace& trace, const Step& step) const override {
    const Tensor log_px = mean_over_samples(trace.log_px);
    Tensor kl, paid;
    for (const Latent& latent : trace.latents) {
      const Tensor exact = trace.kl(latent);
      const Tensor own = exact.defined() ? exact.sum(-1) : mean_over_samples(latent.log_q() - latent.log_p());
      kl = kl.defined() ? kl + own : own;
      if (!step.training) continue;
      const Tensor bent =
          (1 - o_.information) * own + (o_.information + o_.scale - 1) * discrepancy(latent.z(), latent.weight());
      paid = paid.defined() ? paid + bent : bent;
    }
    return {log_px - kl, step.training ? log_px - paid : log_px - kl, {}};
  }
  int64_t num_samples() const override { return o_.num_samples; }
  bool additive() const override { return false; }
  bool standard_prior() const override { return true; }

 private:
  /// Squared discrepancy of draws z [S, items, L] to N(0, I), the mean over S; an item that weighs w is w items.
  Tensor discrepancy(const Tensor& z, const Tensor& weight) const {
    const double dims = static_cast<double>(z.size(-1)), h = o_.bandwidth > 0 ? o_.bandwidth : dims;
    const Tensor w = weight.to(z.scalar_type()), total = w.sum();
    const Tensor square = z.square().sum(-1);                                                    // [S, items]
    const Tensor distance = square.unsqueeze(-1) + square.unsqueeze(-2) - 2 * z.matmul(z.mT());  // [S, items, items]
    const Tensor kernel = (distance * (-0.5 / h)).exp();
    const Tensor pairs = (kernel.matmul(w) * w).sum(-1) - total;  // an item with itself: 1
    const Tensor among = pairs / (total * (total - 1)).clamp_min(1);
    const Tensor with_prior =
        std::pow(h / (1 + h), dims / 2) * ((square * (-0.5 / (1 + h))).exp() * w).sum(-1) / total.clamp_min(1e-300);
    return (among - 2 * with_prior).mean() + std::pow(h / (2 + h), dims / 2);
  }
  InfoOptions o_;
};

}  // namespace

void register_info(Registry& registry) {
  registry.add<Objective, InfoOptions>(
      "info", "less KL, more discrepancy of the aggregate posterior (InfoVAE, MMD); of a batch, no sum over items",
      [](const InfoOptions& options, const Objective::Context&) { return std::make_shared<Info>(options); });
}

}  // namespace vem
