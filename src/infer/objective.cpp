// What a trace knows about its latents.
#include "vem/infer/objective.h"

namespace vem {

Latent::Latent(const Posterior& posterior, const Tensor& parameters, const Tensor& z0, const Prior& prior,
               const Batch& batch, const TensorMap& globals)
    : posterior_(posterior),
      parameters_(parameters),
      z0_(z0),
      q_(posterior.at(parameters)),
      prior_(prior),
      batch_(batch),
      globals_(globals) {
  std::tie(z_, log_det_) = posterior.transform(z0, parameters);
}

Tensor Latent::mean() const { return posterior_.flows() ? mean_over_samples(z_) : q_->mean(); }

const Tensor& Latent::log_q() const {
  if (log_q_values_.defined()) return log_q_values_;
  const Tensor log_q = q_->log_prob(z0_);
  return log_q_values_ = batch_.per_item(log_det_.defined() ? log_q - log_det_ : log_q);
}
Tensor Latent::log_q_stopped() const { return batch_.per_item(posterior_.at(parameters_.detach())->log_prob(z0_)); }
Tensor Latent::expected(const Tensor& f) const { return posterior_.expected(f, *q_, z0_); }
bool Latent::scored() const { return posterior_.states_are() == Posterior::States::scored; }
const Tensor& Latent::log_p() const {
  if (!log_p_values_.defined()) log_p_values_ = prior_.log_prob(z_, batch_, globals_);
  return log_p_values_;
}

const Tensor& Latent::kl() const {
  if (!kl_known_ && !posterior_.flows()) kl_ = prior_.kl(*q_, batch_, globals_);
  kl_known_ = true;
  return kl_;
}

Tensor mean_over_samples(const Tensor& x) { return x.size(0) == 1 ? x.squeeze(0) : x.mean(0); }

}  // namespace vem
