#include "support/export_model.h"

#include "support/amortised.h"
#include "vem/dist/dirichlet.h"

namespace vem {
namespace {

constexpr int64_t kFeatures = 3, kLatent = 2;

class NoOptimizer final : public Optimizer {
 public:
  NoOptimizer() : Optimizer(OptimizerOptions(), {plugins()}) {}

 private:
  std::vector<std::string> moments() const override { return {"first"}; }
  void apply(Parameter&, const Tensor&, const Update&) const override {}
};

class ExportModel final : public Model {
 public:
  explicit ExportModel(ExportFault fault)
      : fault_(fault),
        networks_(std::make_shared<GradientBlock>("networks", std::make_shared<NoOptimizer>())),
        weights_(std::make_shared<ConjugateBlock>("weights", std::make_shared<DirichletFamily>(kLatent), 1,
                                                  Estimate::posterior)),
        scaling_(std::make_shared<ConstantBlock>("scaling")) {
    const auto add = [&](const std::string& name, const Shape& shape) {
      const Tensor p = networks_->add(name, shape, at::kFloat);
      p.detach().copy_(Rng(3).normal(at::arange(p.numel(), at::kLong), {}, name, at::kFloat).view(shape));
      return p;
    };
    encoder_ = add("encoder.hidden.0.weight", {2 * kLatent, kFeatures});
    encoder_bias_ = add("encoder.hidden.0.bias", {2 * kLatent});
    decoder_ = add("decoder.weight", {kFeatures, kLatent});
    decoder_bias_ = add("decoder.bias", {kFeatures});
    weights_->set_prior(at::tensor({1., 2.}, at::kDouble).view({1, kLatent}));
    scaling_->add("scaling.center", at::tensor({1., -2., 3.}, at::kFloat));
    blocks_ = {networks_, weights_, scaling_};
  }

  void initialize(const Dataset&, const Rng&) override {}
  Expectation e_step(const Batch&, const Step&, const Rng&) const override { return {}; }
  at::ScalarType dtype() const override { return at::kFloat; }

  std::vector<Method> methods() const override {
    const Tensor x = at::ones({4, kFeatures}), z = at::ones({4, kLatent});
    using In = const std::vector<Tensor>&;
    using Out = std::vector<Tensor>;
    std::vector<Method> methods{
        {"encode", "", {"x"}, {"mean", "log_std"}, [this](In in, const Rng&) { return encode(in[0]); }, {x}},
        {"decode", "", {"z"}, {"x"}, [this](In in, const Rng&) { return Out{decode(in[0])}; }, {z}},
        {"reconstruct", "", {"x"}, {"x"}, [this](In in, const Rng&) { return Out{decode(encode(in[0])[0])}; }, {x}},
        {"weigh", "", {"z", "x"}, {"sum"}, [this](In in, const Rng&) { return Out{weigh(in[0], in[1])}; }, {z, x}},
        {"weights_of_latents", "", {}, {"w"}, [this](In, const Rng&) { return Out{weights_->t().exp()}; }},
        Method::of_draws("sample", "", {"x"},
                         [this](const Tensor& index, const Rng& rng) {
                           return Out{decode(rng.normal(index, {kLatent}, "sample", at::kFloat))};
                         }),
        {"refine", "has no example, so it stays here", {"x"}, {"x"}, [](In in, const Rng&) { return Out{in[0]}; }}};
    if (fault_ == ExportFault::frozen_rows)
      methods[1].call = [this](In in, const Rng&) {
        return Out{decode(in[0]).view({in[0].size(0), kFeatures})};  // size() is a plain number: the trace keeps 4
      };
    if (fault_ == ExportFault::name_of_a_tensor) methods[0].name = "encoder";
    if (fault_ == ExportFault::frozen_draws)
      methods[5].draws = [this](const Tensor& index, const Rng& rng) {
        return Out{decode(rng.normal(at::arange(index.size(0), at::kLong), {kLatent}, "sample", at::kFloat))};
      };
    if (fault_ == ExportFault::unseen_loop)
      methods[5].draws = [this](const Tensor& index, const Rng& rng) {
        const Tensor noise = rng.normal(index, {kLatent}, "sample", at::kFloat), z = at::empty_like(noise);
        std::copy_n(noise.data_ptr<float>(), noise.numel(), z.data_ptr<float>());
        return Out{decode(z)};
      };
    if (fault_ == ExportFault::unknown_method) methods[0].of_each_sequence = "nothing";
    return methods;
  }

 private:
  std::vector<Tensor> encode(const Tensor& x) const {
    const Tensor h = at::linear(x - scaling_->get("scaling.center"), encoder_, encoder_bias_);
    return {h.slice(1, 0, kLatent), h.slice(1, kLatent)};
  }
  Tensor decode(const Tensor& z) const { return at::linear(z, decoder_, decoder_bias_); }
  Tensor weigh(const Tensor& z, const Tensor& x) const {
    return (z.to(at::kDouble) * weights_->t().exp()).sum(-1) + x.to(at::kDouble).sum(-1);
  }

  ExportFault fault_;
  std::shared_ptr<GradientBlock> networks_;
  std::shared_ptr<ConjugateBlock> weights_;
  std::shared_ptr<ConstantBlock> scaling_;
  Tensor encoder_, encoder_bias_, decoder_, decoder_bias_;
};

}  // namespace

std::shared_ptr<Model> make_export_model(ExportFault fault) { return std::make_shared<ExportModel>(fault); }

}  // namespace vem
