#include "vem/infer/latent.h"

namespace vem {

Latent::Latent(const Posterior& posterior, const Tensor& parameters, const Tensor& z0, const Prior& prior,
               const Batch& batch, const TensorMap& globals, LatentSite site)
    : posterior_(posterior),
      parameters_(parameters),
      z0_(z0),
      q_(posterior.at(parameters)),
      unconditional_(prior),
      batch_(batch),
      globals_(globals),
      site_(std::move(site)) {
  std::tie(z_, log_det_) = posterior.transform(z0, parameters);
}

const Prior& Latent::prior() const {
  if (!site_.prior) return unconditional_;
  if (!conditional_) conditional_ = site_.prior();
  return *conditional_;
}

Tensor Latent::mean() const {
  if (posterior_.flows()) return mean_over_samples(z_);
  const Tensor mean = q_->mean();
  return mean.dim() == 3 ? mean_over_samples(mean) : mean;
}

const Tensor& Latent::log_q() const {
  if (log_q_values_.defined()) return log_q_values_;
  const Tensor log_q = q_->log_prob(z0_);
  return log_q_values_ = batch_.per_item(log_det_.defined() ? log_q - log_det_ : log_q);
}

// Where q reads draws of other groups, a gradient goes by way of them too: the parameters are made anew from the draws.
Tensor Latent::log_q_stopped() const {
  const Tensor parameters = site_.stopped ? site_.stopped() : parameters_.detach();
  return batch_.per_item(posterior_.at(parameters)->log_prob(z0_));
}

Tensor Latent::expected(const Tensor& f) const { return posterior_.expected(f, *q_, z0_); }
bool Latent::scored() const { return posterior_.states_are() == Posterior::States::scored; }

const Tensor& Latent::log_p() const {
  if (!log_p_values_.defined()) log_p_values_ = prior().log_prob(z_, batch_, globals_);
  return log_p_values_;
}

const Tensor& Latent::kl() const {
  if (!kl_known_ && site_.closed_form && !posterior_.flows()) kl_ = prior().kl(*q_, batch_, globals_);
  kl_known_ = true;
  return kl_;
}

Tensor Latent::log_predictive() const { return prior().log_predictive(z_, batch_, globals_); }

Tensor mean_over_samples(const Tensor& x) { return x.size(0) == 1 ? x.squeeze(0) : x.mean(0); }

Tensor Trace::expected(const Tensor& f) const {
  Tensor samples = f;
  for (const Latent& latent : latents) samples = latent.expected(samples);
  return mean_over_samples(samples);
}

Tensor Trace::kl(const Latent& latent) const {
  const Tensor& kl = latent.kl();
  return kl.defined() && kl.dim() == 3 ? expected(kl) : kl;
}

}  // namespace vem
