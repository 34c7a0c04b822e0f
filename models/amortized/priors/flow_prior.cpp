#include "flow_prior.h"

#include "vem/dist/normal_function.h"

namespace vem {
namespace {

constexpr double kLargest = 5;

}  // namespace

Tensor FlowPrior::bounded(const Tensor& log_scale) { return kLargest * at::tanh(log_scale / kLargest); }

Tensor FlowPrior::log_prob(const Tensor& z, const Batch& batch, const TensorMap&) const {
  const auto [u, log_det] = whitened(z);
  return batch.per_item(normal_log_density((u * u).sum(-1), -log_det, latent_dim_));
}

Tensor FlowPrior::sample(const Tensor& index, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  return coloured(rng.normal(index, {latent_dim_}, "prior", dtype_));
}

std::vector<Method> FlowPrior::methods() const {
  return {Method::of_rows(
      "prior_draw", "z of standard normal noise", "noise", "z",
      [this](const Tensor& noise, const Rng&) {
        const at::NoGradGuard no_grad;
        return coloured(noise);
      },
      at::zeros({2, latent_dim_}, dtype_))};
}

}  // namespace vem
