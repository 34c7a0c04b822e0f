// A diagonal normal sent through several flows (Rezende and Mohamed 2015): log q(z) = log q(z0) - sum log |det|.
#include "vem/infer/flow.h"

#include "vem/infer/posterior.h"

namespace vem {
namespace {

struct FlowPosteriorOptions final : Options {
  Choice flow{"flow", "planar", nullptr};
  int64_t num_flows = 4;
  void visit(OptionVisitor& v) override {
    v("num_flows", num_flows, {1, 1000}, "steps");
    v("flow", flow, "the map of a step");
  }
};

class FlowPosterior final : public Posterior {
 public:
  FlowPosterior(const FlowPosteriorOptions& options, const Context& context)
      : base_(context.registry->create<Posterior>({"posterior", "diagonal", nullptr}, context)) {
    sizes_.push_back(base_->num_parameters());
    for (int64_t i = 0; i < options.num_flows; ++i) {
      flows_.push_back(context.registry->create<Flow>(
          options.flow, {context.latent_dim, context.dtype, *context.block, fmt::format("{}.{}.", context.prefix, i)}));
      sizes_.push_back(flows_.back()->num_parameters());
    }
  }
  int64_t num_parameters() const override {
    int64_t sum = 0;
    for (const int64_t size : sizes_) sum += size;
    return sum;
  }
  int64_t num_noise() const override { return base_->num_noise(); }
  std::shared_ptr<const Distribution> at(const Tensor& parameters) const override {
    return base_->at(parameters.narrow(-1, 0, sizes_[0]));
  }
  bool flows() const override { return true; }
  std::pair<Tensor, Tensor> transform(const Tensor& z, const Tensor& parameters) const override {
    const auto parts = parameters.split_with_sizes(sizes_, -1);
    std::pair<Tensor, Tensor> result{z, {}};
    for (size_t i = 0; i < flows_.size(); ++i) {
      const auto [next, log_det] = (*flows_[i])(result.first, parts[i + 1]);
      result = {next, result.second.defined() ? result.second + log_det : log_det};
    }
    return result;
  }
  void initialize(const Rng& rng) override {
    for (size_t i = 0; i < flows_.size(); ++i) flows_[i]->initialize(rng.fold(i));
  }
  /// Of the normal that the flows begin with.
  std::vector<std::pair<std::string, Tensor>> named(const Tensor& parameters) const override {
    return base_->named(parameters.narrow(-1, 0, sizes_[0]));
  }

 private:
  std::shared_ptr<Posterior> base_;
  std::vector<std::shared_ptr<Flow>> flows_;
  std::vector<int64_t> sizes_;  // of the base, then of each flow
};

}  // namespace

void register_flow_posterior(Registry& registry) {
  registry.add<Posterior, FlowPosteriorOptions>(
      "flow",
      "diagonal normal through planar, radial, Sylvester or "
      "autoregressive flows",
      [](const FlowPosteriorOptions& options, const Posterior::Context& context) {
        return std::make_shared<FlowPosterior>(options, context);
      });
}

}  // namespace vem
