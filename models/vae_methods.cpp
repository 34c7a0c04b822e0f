// What can be asked of an amortised model: the command line, the exporter and programs read this table.
#include "vae.h"

namespace vem {

std::vector<Method> Vae::methods() const {
  const Tensor x = at::zeros({2, features_}, dtype_), z = at::zeros({2, o_.latent_dim}, dtype_);
  const Tensor traced = o_.e_step == EStep::amortized ? x : Tensor();  // an inner optimisation can not be traced

  std::vector<std::string> names;
  for (const auto& entry : posterior_->named(at::zeros({1, posterior_->num_parameters()}, dtype_)))
    names.push_back(entry.first);
  std::vector<Method> methods;
  methods.push_back(
      {"encode", "parameters of q(z | x)", {"x"}, names, [this](const std::vector<Tensor>& in, const Rng& rng) {
         std::vector<Tensor> out;
         for (const auto& entry : posterior_->named(encoded(in[0], rng))) out.push_back(entry.second);
         return out;
       }});
  if (traced.defined()) methods.back().example = {traced};
  methods.push_back(Method::of_rows(
      "decode", "mean of p(x | z)", "z", "x", [this](const Tensor& in, const Rng&) { return decoded(in); }, z));
  methods.push_back(Method::of_rows(
      "reconstruct", "mean of p(x | z) at the mean of q(z | x)", "x", "x",
      [this](const Tensor& in, const Rng& rng) { return decoded(posterior_->at(encoded(in, rng))->mean()); }, traced));
  if (prior_->independent_rows()) {
    methods.push_back({"sample",
                       "mean of p(x | z) for n draws of z from the prior",
                       {"n"},
                       {"x"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) {
                         return std::vector<Tensor>{decoded(prior_->sample(in[0].item<int64_t>(), rng))};
                       },
                       {},
                       "def sample(self, n: int):\n" + prior_->sample_script() + "    return self.decode(z)\n",
                       {"n"}});
    methods.push_back({"importance",
                       "log importance weights [samples, rows] of draws from q",
                       {"x", "samples"},
                       {"log_weights"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) {
                         return std::vector<Tensor>{importance(in[0], in[1].item<int64_t>(), rng)};
                       },
                       {},
                       "",
                       {"samples"}});
  }
  for (Method& method : prior_->methods()) methods.push_back(std::move(method));
  if (prior_->clusters()) {
    methods.push_back(Method::of_rows(
        "responsibilities", "probability of each component of the prior", "x", "responsibilities",
        [this](const Tensor& in, const Rng& rng) { return responsibilities(in, rng); }, traced));
    methods.push_back(Method::of_rows(
        "predict", "the most probable component of the prior", "x", "component",
        [this](const Tensor& in, const Rng& rng) { return responsibilities(in, rng).argmax(-1); }, traced));
  }
  return methods;
}

Batch Vae::rows(const Tensor& x) const {
  Batch batch;
  batch.columns["x"] = x;
  batch.index = at::arange(x.size(0), at::kLong);
  batch.weight = at::ones({x.size(0)}, at::kDouble);
  return batch;
}

// The parameters of q, by the E-step's own way.
Tensor Vae::encoded(const Tensor& x, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Tensor y = scaled(x);
  if (o_.e_step == EStep::amortized) return encoder_->forward(y);
  const Batch batch = rows(x);
  Step step;
  step.training = false;
  return refine(y, encoder_ ? encoder_->forward(y) : start_of(batch), batch, step, rng);
}

Tensor Vae::decoded(const Tensor& z) const {
  const at::NoGradGuard no_grad;
  return unscaled(likelihood_->mean(decoder_->forward(z)));
}

Tensor Vae::responsibilities(const Tensor& x, const Rng& rng) const {
  return prior_->responsibilities(*posterior_->at(encoded(x, rng)), globals_);
}

Tensor Vae::importance(const Tensor& x, int64_t samples, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Batch batch = rows(x);
  const Tensor draws = batch.normal(rng, {samples, o_.latent_dim}, "importance", dtype_).transpose(0, 1);
  const auto q = posterior_->at(encoded(x, rng));
  const Tensor z = q->rsample(draws);
  const Tensor log_px = likelihood_->log_prob(decode(z), scaled(x));
  const Tensor log_p = prior_->log_prob(z, batch, globals_);
  return log_px.to(at::kDouble) + log_p.to(at::kDouble) - q->log_prob(z).to(at::kDouble) + log_jacobian();
}

}  // namespace vem
