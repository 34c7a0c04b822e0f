// Inverse autoregressive flow: z' = s z + (1 - s) m with gates s and means m of the dimensions before and of a context
// from the encoder (Kingma et al. 2016, algorithm 1, in the form of its equations 13 and 14). The order of dimensions
// turns around at every step.
#include "../networks/made.h"
#include "vem/infer/flow.h"

namespace vem {
namespace {

constexpr double kOpen = 1.5;  // what gates begin with: mostly open

struct IafOptions final : MadeOptions {
  int64_t context = 32;
  void visit(OptionVisitor& v) override {
    v("context", context, {1, 65536}, "numbers that the encoder tells each step of a row");
    MadeOptions::visit(v);
  }
};

class Iaf final : public Flow {
 public:
  Iaf(const IafOptions& o, const Context& c)
      : context_(o.context), made_(o, c.block, c.prefix, c.latent_dim, o.context, 2, c.dtype) {}
  int64_t num_parameters() const override { return context_; }
  std::pair<Tensor, Tensor> operator()(const Tensor& z, const Tensor& parameters) const override {
    const auto made = made_(z, parameters);
    const Tensor gate = made[1] + kOpen, s = at::sigmoid(gate);
    return {(s * z + (1 - s) * made[0]).flip({-1}), at::log_sigmoid(gate).sum(-1)};
  }
  void initialize(const Rng& rng) override { made_.initialize(rng); }

 private:
  int64_t context_;
  Made made_;
};

}  // namespace

void register_iaf(Registry& registry) {
  registry.add<Flow, IafOptions>(
      "iaf", "inverse autoregressive, by a masked network with context",
      [](const IafOptions& options, const Flow::Context& context) { return std::make_shared<Iaf>(options, context); });
}

}  // namespace vem
