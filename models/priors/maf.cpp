// Masked autoregressive flow as a prior: u = (z - m) exp(-s) with m, s of the dimensions before, several times over
// with the order turned around, and u ~ N(0, I) (Papamakarios, Pavlakou and Murray 2017, equation 4). A density is one
// pass, a draw one pass a dimension.
#include "../networks/made.h"
#include "vem/dist/normal_function.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

constexpr double kLargest = 5;  // |s| stays below: no draw explodes

struct MafOptions final : PriorOptions {
  int64_t num_flows = 4;
  MadeOptions made;
  void visit(OptionVisitor& v) override {
    v("num_flows", num_flows, {1, 100}, "steps");
    made.visit(v);
  }
};

class MafPrior final : public Prior {
 public:
  MafPrior(const MafOptions& o, const Context& c) : latent_dim_(c.latent_dim), dtype_(c.dtype) {
    for (int64_t i = 0; i < o.num_flows; ++i)
      steps_.emplace_back(o.made, *c.block, fmt::format("prior.{}.", i), latent_dim_, 0, 2, dtype_);
  }
  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const override {
    Tensor u = z, half_log_det = at::zeros({}, z.options());
    for (const Made& step : steps_) {
      const auto [mean, log_scale] = conditional(step, u);
      u = ((u - mean) * (-log_scale).exp()).flip({-1});
      half_log_det = half_log_det + log_scale.sum(-1);
    }
    return batch.per_item(normal_log_density((u * u).sum(-1), half_log_det, latent_dim_));
  }
  Tensor kl(const Distribution&, const Batch&, const TensorMap&) const override { return {}; }
  void initialize(const Tensor& /*rows*/, const Rng& rng) override {
    for (const Made& step : steps_) step.initialize(rng);
  }
  Tensor sample(int64_t n, const Rng& rng) const override {
    const at::NoGradGuard no_grad;
    return inverse(rng.normal(at::arange(n, at::kLong), {latent_dim_}, "prior", dtype_));
  }
  std::string sample_script() const override {
    return fmt::format("    z = self.prior_draw(torch.randn([n, {}], dtype={}))\n", latent_dim_,
                       static_cast<int>(dtype_));
  }
  std::vector<Method> methods() const override {
    return {Method::of_rows(
        "prior_draw", "z of standard normal noise", "noise", "z",
        [this](const Tensor& noise, const Rng&) {
          const at::NoGradGuard no_grad;
          return inverse(noise);
        },
        at::zeros({2, latent_dim_}, dtype_))};
  }

 private:
  static std::pair<Tensor, Tensor> conditional(const Made& step, const Tensor& z) {
    const auto made = step(z);
    return {made[0], kLargest * at::tanh(made[1] / kLargest)};
  }
  /// Dimension d of a step depends on those before: after d passes it is right.
  Tensor inverse(const Tensor& noise) const {
    Tensor z = noise;
    for (size_t i = steps_.size(); i-- > 0;) {
      const Tensor u = z.flip({-1});
      z = at::zeros_like(u);
      for (int64_t d = 0; d < latent_dim_; ++d) {
        const auto [mean, log_scale] = conditional(steps_[i], z);
        z = u * log_scale.exp() + mean;
      }
    }
    return z;
  }

  int64_t latent_dim_;
  at::ScalarType dtype_;
  std::vector<Made> steps_;
};

}  // namespace

void register_maf_prior(Registry& registry) {
  registry.add<Prior, MafOptions>("maf", "masked autoregressive flow of a standard normal",
                                  [](const MafOptions& options, const Prior::Context& context) {
                                    return std::make_shared<MafPrior>(options, context);
                                  });
}

}  // namespace vem
