// What can be asked of an amortised model of sequences: one with a latent of whole sequences or with chains. A trace
// freezes the lengths that a batch happens to have, so what is traced takes one sequence, and an export goes from one
// to the next.
#include "model.h"

namespace vem {

std::vector<Method> Amortized::sequence_methods() const {
  std::vector<Method> methods;
  methods.push_back(
      {"encode", "parameters of q(z | x) of each sequence", with_columns({"x", "offsets"}), names_of_q(),
       [this](const std::vector<Tensor>& in, const Rng& rng) { return encoded(rows_of(in, 2, in[1]), rng); }});
  if (latents_.one_group() && latents_.groups()[0].level == Level::items)
    add_decoders_of_sequences(methods);
  else if (!latents_.decoder().in_order)
    add_decode(methods);
  methods.push_back({"reconstruct",
                     "mean of p(x | z) at the mean of q(z | x) of each sequence",
                     with_columns({"x", "offsets"}),
                     {"x"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       const Batch batch = rows_of(in, 2, in[1]);
                       return std::vector<Tensor>{mean_of_rows(*at_means(batch, rng).world)};
                     }});
  methods.push_back({"impute",
                     "rows with expected values in their missing cells, given all of their sequence",
                     with_columns({"x", "offsets"}),
                     {"x"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       return std::vector<Tensor>{impute(rows_of(in, 2, in[1]), rng)};
                     }});
  Method sample{"sample",
                "mean of p(x | z) for n draws of z from the prior: sequences of the training data's mean length, one "
                "after the other",
                {"n"},
                {"x"},
                [this](const std::vector<Tensor>& in, const Rng& rng) {
                  const Batch batch = batch_of_sequences(at::arange(in[0].item<int64_t>(), at::kLong));
                  return std::vector<Tensor>{mean_of_rows(*drawn_from_prior(batch, rng))};
                },
                {},
                {"n"}};
  if (Model::find(methods, "decode_sequence") != nullptr) {
    sample.of_each_sequence = "decode_sequence";
    sample.draws = [this](const Tensor& index, const Rng& rng) {  // a row of z for each step, and where they end
      const at::NoGradGuard no_grad;
      const Tensor lengths = constants_->get(kLength).to(at::kLong).expand_as(index);
      return std::vector<Tensor>{at::repeat_interleave(latents_.groups()[0].prior->sample(index, rng), lengths, 0),
                                 at::cat({at::zeros({1}, at::kLong), lengths.cumsum(0)})};
    };
  }
  methods.push_back(sample);
  methods.push_back({"importance",
                     "log importance weights [samples, items] of draws from q",
                     with_columns({"x", "offsets", "samples"}),
                     {"log_weights"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       const Batch batch = rows_of(in, 3, in[1]);
                       return std::vector<Tensor>{log_weights(batch, in[2].item<int64_t>(), rng)};
                     },
                     {},
                     {"samples"}});
  add_priors(methods);
  return methods;
}

// Of the only group, which has one value for each sequence.
void Amortized::add_decoders_of_sequences(std::vector<Method>& methods) const {
  const Group& group = latents_.groups()[0];
  const Tensor x = at::zeros({2, schema_.num_features()}, rows_.row_type()), z = at::zeros({2, group.dim}, dtype_);
  if (o_.e_step == EStep::amortized) {
    methods.back().of_each_sequence = "encode_sequence";
    methods.push_back({"encode_sequence",
                       "the same of one sequence",
                       {"x"},
                       names_of_q(),
                       [this, &group](const std::vector<Tensor>& in, const Rng&) {
                         const at::NoGradGuard no_grad;
                         const Tensor seen = rows_.seen(rows_.scaled(in[0]));
                         std::vector<Tensor> out;
                         for (const auto& entry : group.posterior->named(group.encoder.network->forward(seen)))
                           out.push_back(entry.second);
                         return out;
                       },
                       {x}});
  }
  methods.push_back(Method::of_rows(
      "decode_sequence", "mean of p(x | z) of one sequence, whose z stands in a row for each step", "z", "x",
      [this](const Tensor& steps, const Rng&) {
        const at::NoGradGuard no_grad;
        return rows_.unscaled(likelihood_->mean(latents_.decoder().network->forward(steps)));
      },
      z));
  methods.push_back(Method::of_rows(
      "decode", "mean of p(x | z) for each row of z: sequences of the training data's mean length, one after the other",
      "z", "x", [this](const Tensor& each, const Rng&) { return decoded_sequences(each); }));
}

Batch Amortized::batch_of_sequences(const Tensor& index) const {
  Batch batch = batch_of_draws(index);
  batch.offsets = at::arange(index.size(0) + 1, at::kLong) * constants_->get(kLength).to(at::kLong);
  return batch;
}

Tensor Amortized::decoded_sequences(const Tensor& z) const {
  const Batch batch = batch_of_sequences(at::arange(z.size(0), at::kLong));
  World world(latents_.graph(), batch);
  world.set(latents_.groups()[0].name, z);
  return mean_of_rows(world);
}

}  // namespace vem
