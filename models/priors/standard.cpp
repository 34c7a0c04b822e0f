// The standard normal prior, with its closed-form KL to a diagonal normal (Kingma and Welling 2014, appendix B).
#include "vem/dist/normal_function.h"
#include "vem/infer/prior.h"

namespace vem {
namespace {

struct StandardOptions final : PriorOptions {
  void visit(OptionVisitor&) override {}
};

class StandardPrior final : public Prior {
 public:
  explicit StandardPrior(const Context& context) : latent_dim_(context.latent_dim), dtype_(context.dtype) {}

  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const override {
    return batch.per_item(normal_log_density((z * z).sum(-1), at::zeros({}, z.options()), latent_dim_));
  }
  Tensor kl(const Distribution& q, const Batch& batch, const TensorMap&) const override {
    const auto* normal = dynamic_cast<const DiagonalNormal*>(&q);
    if (!normal) return {};
    return batch.per_item(normal_kl_to_standard(normal->mean(), normal->log_std()), 0);
  }
  Tensor sample(int64_t n, const Rng& rng) const override {
    return rng.normal(at::arange(n, at::kLong), {latent_dim_}, "prior", dtype_);
  }
  std::string sample_script() const override {  // TorchScript source from C++ knows types by their number only
    return fmt::format("    z = torch.randn([n, {}], dtype={})\n", latent_dim_, static_cast<int>(dtype_));
  }

 private:
  int64_t latent_dim_;
  at::ScalarType dtype_;
};

}  // namespace

void register_standard_prior(Registry& registry) {
  registry.add<Prior, StandardOptions>(
      "standard", "standard normal, KL in closed form",
      [](const StandardOptions&, const Prior::Context& context) { return std::make_shared<StandardPrior>(context); });
}

}  // namespace vem
