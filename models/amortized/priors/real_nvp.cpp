// Real-valued non-volume preserving flow as a prior: each step keeps every other dimension and moves and stretches the
// rest by what it sees there, u = (z - m) exp(-s) (Dinh, Sohl-Dickstein and Bengio 2017, equations 4, 7 and 8, with a
// checkerboard of dimensions that turns over at each step), and u ~ N(0, I). Densities and draws are one pass each.
#include "../networks/linear.h"
#include "flow_prior.h"

namespace vem {
namespace {

struct RealNvpOptions final : PriorOptions {
  int64_t num_flows = 6;
  std::vector<int64_t> widths{128};
  void visit(OptionVisitor& v) override {
    v("num_flows", num_flows, {1, 100}, "steps; two of them move every dimension");
    v("widths", widths, {1, 65536}, "units of each hidden layer of a step's network");
  }
};

class RealNvpPrior final : public FlowPrior {
 public:
  RealNvpPrior(const RealNvpOptions& o, const Context& c) : FlowPrior(c) {
    const Tensor even = (at::arange(latent_dim_, at::kLong).remainder(2) == 0).to(dtype_);
    for (int64_t i = 0; i < o.num_flows; ++i) {
      Coupling step{i % 2 == 0 ? even : 1 - even, {}};
      int64_t width = latent_dim_;
      const auto add = [&](const std::string& part, int64_t next) {
        step.layers.emplace_back(*c.block, fmt::format("{}.{}.{}", c.prefix, i, part), width, next, dtype_);
        width = next;
      };
      for (size_t j = 0; j < o.widths.size(); ++j) add(fmt::format("hidden.{}", j), o.widths[j]);
      add("output", 2 * latent_dim_);
      steps_.push_back(step);
    }
  }
  /// Every step begins as the identity.
  void initialize(const Tensor& /*rows*/, const Rng& rng) override {
    for (const Coupling& step : steps_) {
      for (const Linear& layer : step.layers) layer.initialize(rng);
      step.layers.back().weight().detach().zero_();
      step.layers.back().bias().detach().zero_();
    }
  }

 private:
  struct Coupling {
    Tensor kept;  // [L] 1 for dimensions that stay as they are
    std::vector<Linear> layers;
    /// The mean and the log standard deviation [..., L] that the others get; zero for those that stay.
    std::pair<Tensor, Tensor> operator()(const Tensor& z) const {
      Tensor h = z * kept;
      for (size_t i = 0; i < layers.size(); ++i) {
        h = layers[i](h);
        if (i + 1 < layers.size()) h = at::elu(h);
      }
      const auto halves = h.chunk(2, -1);
      return {(1 - kept) * halves[0], (1 - kept) * bounded(halves[1])};
    }
  };
  std::pair<Tensor, Tensor> whitened(const Tensor& z) const override {
    Tensor u = z, log_det = at::zeros({}, z.options());
    for (const Coupling& step : steps_) {
      const auto [mean, log_scale] = step(u);
      u = (u - mean) * (-log_scale).exp();
      log_det = log_det - log_scale.sum(-1);
    }
    return {u, log_det};
  }
  Tensor coloured(const Tensor& u) const override {
    Tensor z = u;
    for (size_t i = steps_.size(); i-- > 0;) {
      const auto [mean, log_scale] = steps_[i](z);
      z = z * log_scale.exp() + mean;
    }
    return z;
  }

  std::vector<Coupling> steps_;
};

}  // namespace

void register_real_nvp_prior(Registry& registry) {
  registry.add<Prior, RealNvpOptions>("real-nvp", "real-NVP flow of a standard normal: fast draws as well",
                                      [](const RealNvpOptions& options, const Prior::Context& context) {
                                        return std::make_shared<RealNvpPrior>(options, context);
                                      });
}

}  // namespace vem
