// What can be asked of an amortised model whose sequences have one latent each. A trace freezes the lengths that a
// batch happens to have, so what is traced takes one sequence, and an export goes from one to the next.
#include "vae.h"

namespace vem {

Tensor Vae::decoded_sequences(const Tensor& z) const {
  const at::NoGradGuard no_grad;
  const int64_t steps = scaling_->get(kLength).to(at::kLong).item<int64_t>();
  const Tensor ends = at::arange(z.size(0) + 1, at::kLong) * steps;
  return unscaled(likelihood_->mean(decode(z.unsqueeze(0), ends)[0]));
}

std::vector<Method> Vae::sequence_methods() const {
  const Tensor x = at::zeros({2, features_}, row_type()), z = at::zeros({2, o_.latent_dim}, dtype_);
  const auto named = [this](const Tensor& rows, const Tensor& offsets, const Rng& rng) {
    std::vector<Tensor> out;
    for (const auto& entry : posterior_->named(encoded(rows, offsets, rng))) out.push_back(entry.second);
    return out;
  };
  std::vector<Method> methods;
  methods.push_back({"encode",
                     "parameters of q(z | x) of each sequence",
                     {"x", "offsets"},
                     posterior_->names(),
                     [named](const std::vector<Tensor>& in, const Rng& rng) { return named(in[0], in[1], rng); }});
  if (o_.e_step == EStep::amortized) {
    methods.back().of_each_sequence = "encode_sequence";
    methods.push_back({"encode_sequence",
                       "the same of one sequence",
                       {"x"},
                       posterior_->names(),
                       [this](const std::vector<Tensor>& in, const Rng&) {
                         const at::NoGradGuard no_grad;
                         std::vector<Tensor> out;
                         for (const auto& entry : posterior_->named(encoder_->forward(seen(scaled(in[0])))))
                           out.push_back(entry.second);
                         return out;
                       },
                       {x}});
  }
  methods.push_back(Method::of_rows(
      "decode_sequence", "mean of p(x | z) of one sequence, whose z stands in a row for each step", "z", "x",
      [this](const Tensor& steps, const Rng&) { return decoded(steps); }, z));
  methods.push_back(Method::of_rows(
      "decode", "mean of p(x | z) for each row of z: sequences of the training data's mean length, one after the other",
      "z", "x", [this](const Tensor& each, const Rng&) { return decoded_sequences(each); }));
  methods.push_back({"reconstruct",
                     "mean of p(x | z) at the mean of q(z | x) of each sequence",
                     {"x", "offsets"},
                     {"x"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       const at::NoGradGuard no_grad;
                       const Tensor mean = mean_of(encoded(in[0], in[1], rng));
                       return std::vector<Tensor>{unscaled(likelihood_->mean(decode(mean.unsqueeze(0), in[1])[0]))};
                     }});
  methods.push_back({"impute",
                     "rows with expected values in their missing cells, given all of their sequence",
                     {"x", "offsets"},
                     {"x"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       return std::vector<Tensor>{impute(in[0], in[1], rng)};
                     }});
  methods.push_back({"sample",
                     "mean of p(x | z) for n draws of z from the prior: sequences of the training data's mean length, "
                     "one after the other",
                     {"n"},
                     {"x"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       const at::NoGradGuard no_grad;
                       const Tensor index = at::arange(in[0].item<int64_t>(), at::kLong);
                       return std::vector<Tensor>{decoded_sequences(prior_->sample(index, rng))};
                     },
                     {},
                     {"n"}});
  methods.back().draws = [this](const Tensor& index, const Rng& rng) {  // a row of z for each step, and where they end
    const at::NoGradGuard no_grad;
    const Tensor lengths = scaling_->get(kLength).to(at::kLong).expand_as(index);
    return std::vector<Tensor>{at::repeat_interleave(prior_->sample(index, rng), lengths, 0),
                               at::cat({at::zeros({1}, at::kLong), lengths.cumsum(0)})};
  };
  methods.back().of_each_sequence = "decode_sequence";
  methods.push_back({"importance",
                     "log importance weights [samples, items] of draws from q",
                     {"x", "offsets", "samples"},
                     {"log_weights"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       const Batch batch = rows(in[0], in[1]);
                       return std::vector<Tensor>{log_weights(batch, in[2].item<int64_t>(), rng)};
                     },
                     {},
                     {"samples"}});
  for (Method& method : prior_->methods()) methods.push_back(std::move(method));
  return methods;
}

}  // namespace vem
