// A mixture of normals with independent dimensions whose weights, means and standard deviations are learned by
// gradient, beside the networks. (`mixture` is the conjugate one, updated in closed form.)
#include "vem/dist/normal.h"
#include "vem/infer/aggregate.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

struct NormalMixtureOptions final : PriorOptions {
  int64_t num_components = 10;
  void visit(OptionVisitor& v) override { v("num_components", num_components, {1, 65536}, "normals"); }
};

class NormalMixturePrior final : public Prior {
 public:
  NormalMixturePrior(const NormalMixtureOptions& options, const Context& context)
      : latent_dim_(context.latent_dim), components_(options.num_components), dtype_(context.dtype) {
    logits_ = context.block->add(context.prefix + ".logits", {components_}, dtype_);
    means_ = context.block->add(context.prefix + ".means", {components_, latent_dim_}, dtype_);
    log_stds_ = context.block->add(context.prefix + ".log_stds", {components_, latent_dim_}, dtype_);
  }
  /// As different as draws of N(0, I) are.
  void initialize(const Tensor& /*rows*/, const Rng& rng) override {
    means_.detach().copy_(rng.normal(at::arange(components_, at::kLong), {latent_dim_}, "means"));
  }

  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const override {
    return batch.per_item(mixture_log_density(DiagonalNormal(means_, log_stds_), z, at::log_softmax(logits_, 0)));
  }
  Tensor kl(const Distribution&, const Batch&, const TensorMap&) const override { return {}; }
  bool clusters() const override { return true; }
  /// By the component's expected log-density under q.
  Tensor responsibilities(const Distribution& q, const TensorMap&) const override {
    const at::NoGradGuard no_grad;
    const DiagonalNormal components(means_, log_stds_);
    const Tensor precision = (-2 * log_stds_).exp();
    const Tensor at_mean = components.log_prob(q.mean().unsqueeze(1).expand({-1, components_, latent_dim_}));
    return at::softmax(at_mean - 0.5 * at::mm(q.variance(), precision.t()) + at::log_softmax(logits_, 0), -1);
  }

  Tensor sample(const Tensor& index, const Rng& rng) const override {
    const at::NoGradGuard no_grad;
    const Tensor u = rng.uniform(index, {}, "component");
    const Tensor edges = at::softmax(logits_, 0).to(at::kDouble).cumsum(0);
    const Tensor k = at::searchsorted(edges, u).clamp_max(components_ - 1);
    return means_.index_select(0, k) +
           log_stds_.index_select(0, k).exp() * rng.normal(index, {latent_dim_}, "prior", dtype_);
  }

 private:
  int64_t latent_dim_, components_;
  at::ScalarType dtype_;
  Tensor logits_, means_, log_stds_;  // [K], [K, L], [K, L]
};

}  // namespace

void register_normal_mixture_prior(Registry& registry) {
  registry.add<Prior, NormalMixtureOptions>("normal-mixture", "mixture of normals learned by gradient",
                                            [](const NormalMixtureOptions& options, const Prior::Context& context) {
                                              return std::make_shared<NormalMixturePrior>(options, context);
                                            });
}

}  // namespace vem
