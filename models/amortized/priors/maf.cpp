// Masked autoregressive flow as a prior: u = (z - m) exp(-s) with m, s of the dimensions before, several times over
// with the order turned around, and u ~ N(0, I) (Papamakarios, Pavlakou and Murray 2017, equation 4). A density is one
// pass, a draw one pass a dimension.
#include "../networks/made.h"
#include "flow_prior.h"

namespace vem {
namespace {

struct MafOptions final : PriorOptions {
  int64_t num_flows = 4;
  MadeOptions made;
  void visit(OptionVisitor& v) override {
    v("num_flows", num_flows, {1, 100}, "steps");
    made.visit(v);
  }
};

class MafPrior final : public FlowPrior {
 public:
  MafPrior(const MafOptions& o, const Context& c) : FlowPrior(c) {
    for (int64_t i = 0; i < o.num_flows; ++i)
      steps_.emplace_back(o.made, *c.block, fmt::format("{}.{}.", c.prefix, i), latent_dim_, 0, 2, dtype_);
  }
  void initialize(const Tensor& /*rows*/, const Rng& rng) override {
    for (const Made& step : steps_) step.initialize(rng);
  }

 private:
  static std::pair<Tensor, Tensor> conditional(const Made& step, const Tensor& z) {
    const auto made = step(z);
    return {made[0], bounded(made[1])};
  }
  std::pair<Tensor, Tensor> whitened(const Tensor& z) const override {
    Tensor u = z, log_det = at::zeros({}, z.options());
    for (const Made& step : steps_) {
      const auto [mean, log_scale] = conditional(step, u);
      u = ((u - mean) * (-log_scale).exp()).flip({-1});
      log_det = log_det - log_scale.sum(-1);
    }
    return {u, log_det};
  }
  /// Dimension d of a step depends on those before: after d passes it is right.
  Tensor coloured(const Tensor& noise) const override {
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
