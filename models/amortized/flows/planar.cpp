// Flows with few numbers a step, all from the encoder (Rezende and Mohamed 2015): planar, which shifts along one
// direction (equations 10 to 12, kept invertible as in appendix A.1), and radial, around one point (equation 14 and
// appendix A.2).
#include "vem/infer/flow.h"

namespace vem {
namespace {

struct FlowOptions final : Options {
  void visit(OptionVisitor&) override {}
};

Tensor projection(const Tensor& a, const Tensor& b) { return (a * b).sum(-1, true); }

class Planar final : public Flow {
 public:
  explicit Planar(const Context& context) : L_(context.latent_dim) {}
  int64_t num_parameters() const override { return 2 * L_ + 1; }

  // z + u h(w'z + b) with w'u > -1: its determinant 1 + h' w'u is positive.
  std::pair<Tensor, Tensor> operator()(const Tensor& z, const Tensor& parameters) const override {
    const auto part = parameters.split_with_sizes({L_, L_, 1}, -1);
    const Tensor &w = part[1], along = projection(w, part[0]), wanted = at::softplus(along) - (1 - 1e-4);
    const Tensor u = part[0] + (wanted - along) * w / (projection(w, w) + 1e-8);
    const Tensor h = at::tanh(projection(z, w) + part[2]);
    return {z + u * h, at::log1p((1 - h * h) * projection(w, u)).squeeze(-1)};
  }

 private:
  int64_t L_;
};

class Radial final : public Flow {
 public:
  explicit Radial(const Context& context) : L_(context.latent_dim) {}
  int64_t num_parameters() const override { return L_ + 2; }

  // z + b (z - c) / (a + r) with b > -a, r = |z - c|.
  std::pair<Tensor, Tensor> operator()(const Tensor& z, const Tensor& parameters) const override {
    const auto part = parameters.split_with_sizes({L_, 1, 1}, -1);
    const Tensor a = at::softplus(part[1]), b = at::softplus(part[2]) - a, offset = z - part[0];
    const Tensor r = (projection(offset, offset) + 1e-12).sqrt(), h = 1 / (a + r), bh = b * h;
    const Tensor log_det = static_cast<double>(L_ - 1) * at::log1p(bh) + at::log1p(bh * (1 - h * r));
    return {z + bh * offset, log_det.squeeze(-1)};
  }

 private:
  int64_t L_;
};

template <class F>
void add_flow(Registry& registry, const char* name, const char* summary) {
  registry.add<Flow, FlowOptions>(
      name, summary, [](const FlowOptions&, const Flow::Context& context) { return std::make_shared<F>(context); });
}

}  // namespace

void register_planar_flows(Registry& registry) {
  add_flow<Planar>(registry, "planar", "shift along one direction");
  add_flow<Radial>(registry, "radial", "pull to, or push from, one point");
}

}  // namespace vem
