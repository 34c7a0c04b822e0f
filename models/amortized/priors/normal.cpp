// Normal priors with independent dimensions: the standard one, and one whose mean and standard deviations are learned.
#include "vem/dist/kl.h"
#include "vem/dist/normal_function.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

struct NormalPriorOptions final : PriorOptions {
  void visit(OptionVisitor&) override {}
};

class NormalPrior final : public Prior {
 public:
  NormalPrior(const Context& context, bool learned) : latent_dim_(context.latent_dim), dtype_(context.dtype) {
    if (!learned) return;
    mean_ = context.block->add(context.prefix + ".mean", {latent_dim_}, dtype_);
    log_std_ = context.block->add(context.prefix + ".log_std", {latent_dim_}, dtype_);
  }

  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const override {
    const Tensor x = learned() ? (z - mean_) * (-log_std_).exp() : z,
                 half_log_det = learned() ? log_std_.sum() : at::zeros({}, z.options());
    return batch.per_item(normal_log_density((x * x).sum(-1), half_log_det, latent_dim_));
  }
  Tensor kl(const Distribution& q, const Batch& batch, const TensorMap&) const override {
    if (const auto* normal = dynamic_cast<const DiagonalNormal*>(&q)) {
      if (!learned()) return batch.per_item(normal_kl_to_standard(normal->mean(), normal->log_std()), -2);
      const Tensor distance = (normal->mean() - mean_) * (-log_std_).exp();
      return batch.per_item(normal_kl_to_standard(distance, normal->log_std() - log_std_), -2);
    }
    const Tensor zero = at::zeros({latent_dim_}, q.mean().options());
    const Tensor whole = vem::kl(q, learned() ? DiagonalNormal(mean_, log_std_) : DiagonalNormal(zero, zero));
    return whole.defined() ? batch.per_item(whole.unsqueeze(-1), 0) : whole;
  }
  Tensor sample(const Tensor& index, const Rng& rng) const override {
    const Tensor z = rng.normal(index, {latent_dim_}, "prior", dtype_);
    return learned() ? mean_ + log_std_.exp() * z : z;
  }

 private:
  bool learned() const { return mean_.defined(); }

  int64_t latent_dim_;
  at::ScalarType dtype_;
  Tensor mean_, log_std_;  // [L], where they are learned
};

void add_normal_prior(Registry& registry, const char* name, const char* summary, bool learned) {
  registry.add<Prior, NormalPriorOptions>(name, summary,
                                          [learned](const NormalPriorOptions&, const Prior::Context& context) {
                                            return std::make_shared<NormalPrior>(context, learned);
                                          });
}

}  // namespace

void register_normal_priors(Registry& registry) {
  add_normal_prior(registry, "standard", "standard normal, KL in closed form", false);
  add_normal_prior(registry, "normal", "normal with learned mean and standard deviations, KL in closed form", true);
}

}  // namespace vem
