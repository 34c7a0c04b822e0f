// What a trace knows about its latents.
#include "vem/infer/objective.h"

namespace vem {

Latent::Latent(const Posterior& posterior, const Tensor& parameters, const Tensor& z, const Prior& prior,
               const Batch& batch, const TensorMap& globals)
    : posterior_(posterior),
      parameters_(parameters),
      z_(z),
      q_(posterior.at(parameters)),
      prior_(prior),
      batch_(batch),
      globals_(globals) {}

Tensor Latent::log_q() const { return batch_.per_item(q_->log_prob(z_)); }
Tensor Latent::log_q_stopped() const { return batch_.per_item(posterior_.at(parameters_.detach())->log_prob(z_)); }
Tensor Latent::log_p() const { return prior_.log_prob(z_, batch_, globals_); }

const Tensor& Latent::kl() const {
  if (!kl_known_) kl_ = prior_.kl(*q_, batch_, globals_);
  kl_known_ = true;
  return kl_;
}

Tensor mean_over_samples(const Tensor& x) { return x.size(0) == 1 ? x.squeeze(0) : x.mean(0); }

}  // namespace vem
