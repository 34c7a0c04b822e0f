// The E-step of the amortised model: one backward pass a network, whatever the objective.
#include "vae.h"

#include <limits>

#include "networks/linear.h"
#include "vem/core/error.h"
#include "vem/core/missing.h"

namespace vem {
namespace {

/// Calls use(weight, row, column, x) for each element of x [rows, C]. Plain loops: for a few thousand numbers the calls
/// of tensor operations would cost more than the arithmetic.
template <class Use>
void for_each_weighted(const Tensor& x, const Tensor& weight, const Use& use) {
  const double* w = weight.data_ptr<double>();
  const int64_t columns = x.dim() > 1 ? x.size(1) : 1, row = x.stride(0), column = x.dim() > 1 ? x.stride(1) : 0;
  const int64_t each = weight.stride(0);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "weighted sums", [&] {
    const scalar_t* from = x.data_ptr<scalar_t>();
    for (int64_t i = 0; i < x.size(0); ++i)
      for (int64_t c = 0; c < columns; ++c) use(w[i * each], i, c, static_cast<double>(from[i * row + c * column]));
  });
}

/// Sum over items of weight * x, [items] -> [] float64.
Tensor weighted_sum(const Tensor& x, const Tensor& weight) {
  double sum = 0;
  for_each_weighted(x, weight, [&](double w, int64_t, int64_t, double value) { sum += w * value; });
  return at::scalar_tensor(sum, at::kDouble);
}

/// Sums over rows of weight * x^power, [rows, C] -> [C] float64.
Tensor weighted_sums(const Tensor& x, const Tensor& weight, int power = 1) {
  Tensor sums = at::zeros({x.size(1)}, at::kDouble);
  double* out = sums.data_ptr<double>();
  for_each_weighted(x, weight, [&](double w, int64_t, int64_t c, double value) {
    out[c] += w * (power == 2 ? value * value : value);
  });
  return sums;
}

/// Choices that were made in a program have no options yet, and the likelihood's and the encoder's are asked for what
/// rows are.
VaeOptions with_own_options(VaeOptions o, const Registry& registry) {
  for (Choice* choice : {&o.likelihood, &o.encoder})
    if (!choice->options) choice->options = registry.resolve(choice->kind, choice->name).options();
  return o;
}

}  // namespace

std::string VaeOptions::advice(int64_t batch_size) const {
  if (precision != Precision::bf16 || bf16_pays(batch_size)) return {};
  if (bf16_pays(std::numeric_limits<int64_t>::max() - 1))
    return fmt::format("precision = \"bf16\": batches of {} are faster in float32, which they stay in", batch_size);
  return "precision = \"bf16\": this processor has no products of bfloat16 (AVX512_BF16 or AMX); they stay in float32";
}

Cells VaeOptions::cells() const {
  const auto* options = dynamic_cast<const LikelihoodOptions*>(likelihood.options.get());
  return options ? options->cells() : Cells::unit;
}

bool VaeOptions::scale_given() const {
  const auto* options = dynamic_cast<const LikelihoodOptions*>(likelihood.options.get());
  return options && options->scale_given();
}

bool VaeOptions::standardizes() const {
  return cells() == Cells::real && (scale_given() ? standardize_given_scale : standardize);
}

bool VaeOptions::has_encoder_inputs() const {
  const auto* network = dynamic_cast<const NetworkOptions*>(encoder.options.get());
  return e_step != EStep::local && cells() != Cells::unit && !standardizes() && !(network && network->divides_rows());
}

void Vae::Leaves::add(const TensorMap& globals) {
  for (const auto& [key, value] : globals) {
    keys.push_back(key);
    tensors.push_back(value);
  }
}

Vae::Vae(const VaeOptions& options, const Context& context)
    : o_(with_own_options(options, context.registry)),
      schema_(context.schema),
      dtype_(scalar_type(options.precision)),
      features_(schema_.num_features()),
      standardized_(o_.standardizes()),
      seen_as_(o_.has_encoder_inputs() && o_.encoder_inputs == EncoderInputs::scaled ? o_.cells() : Cells::unit),
      scaling_(std::make_shared<ConstantBlock>("scaling")) {
  const Registry& registry = context.registry;
  networks_ = std::make_shared<GradientBlock>("networks", registry.create<Optimizer>(o_.optimizer, {registry}));
  scaling_->add("scaling.center", at::zeros({features_}, at::kDouble));
  scaling_->add("scaling.scale", at::ones({features_}, at::kDouble));
  if (of_sequences()) scaling_->add(kLength, at::ones({}, dtype_));
  if (seen_as_ == Cells::real) {
    scaling_->add(kInputCenter, at::zeros({features_}, at::kDouble));
    scaling_->add(kInputScale, at::ones({features_}, at::kDouble));
  }
  posterior_ = registry.create<Posterior>(o_.posterior, {o_.latent_dim, dtype_, networks_, &registry});
  likelihood_ = registry.create<Likelihood>(o_.likelihood, {features_, dtype_, networks_, scaling_});
  bags_ = likelihood_->log_orders(at::ones({1, features_}, dtype_)).defined();
  const auto encode = [this](const Tensor& x) { return encoder_->forward(x); };
  const Range range = standardized_ ? Range() : seen(likelihood_->support());
  prior_ = registry.create<Prior>(
      o_.prior, {o_.latent_dim, dtype_, networks_, registry, scaling_, posterior_, encode, features_, range});
  objective_ = registry.create<Objective>(o_.objective, {registry});
  Shape output = schema_.item_shape;
  const int64_t parameters = likelihood_->parameters_per_feature();
  if (output.size() == 1)
    output = {parameters, output[0]};
  else
    output[0] *= parameters;
  const bool bf16 = o_.precision == Precision::bf16;
  const auto network = [&](const Choice& choice, const std::string& prefix, const Shape& from, const Shape& to) {
    return registry.create<Network>(choice, {*networks_, prefix, from, to, dtype_, bf16, of_sequences()});
  };
  decoder_ = network(o_.decoder, "decoder", {o_.latent_dim}, output);
  densities_.add(networks_->globals());
  if (o_.e_step != EStep::local)
    encoder_ = network(o_.encoder, "encoder", schema_.item_shape, {posterior_->num_parameters()});
  check_combination();
  TensorMap added = networks_->globals();
  for (const std::string& key : densities_.keys) added.erase(key);
  encoders_.add(added);
  blocks_ = {networks_, scaling_};
  for (const auto& block : prior_->blocks()) {
    blocks_.push_back(block);
    conjugate_.add(block->globals());
  }
  globals_ = globals();
}

Schedules Vae::schedules() const {
  Schedules all = objective_->schedules();
  all.merge(posterior_->schedules());
  all.merge(Model::schedules());
  return all;
}

// ---- the E-step ----

Expectation Vae::e_step(const Batch& batch, const Step& step, const Rng& rng) const {
  const at::AutoGradMode grad_mode(step.training);
  const Bf16Products products(step.training && o_.precision == Precision::bf16);
  const Tensor x = scaled(batch.at("x"));
  const Tensor draws = noise(batch, rng, objective_->num_samples());
  const Tensor own =
      encoder_ ? encode(seen(x, has_missing(x)), batch.offsets, dropout(batch, step, rng)) : start_of(batch);
  const Tensor parameters = o_.e_step == EStep::amortized ? own : refine(x, own, batch, step, inner_steps(step), rng);
  const Network::Noise dropped = dropout(batch, step, rng);
  Pull pulled = pull(x, parameters, draws, batch, step, Sums::densities, dropped);
  Expectation e;
  e.count = batch.weight.sum();
  e.bound = weighted_sum(pulled.value.bound, batch.weight);
  check_first_step(e.bound, x, step);
  const Tensor jacobian = standardized_ ? at::dot(log_jacobian(x), batch.row_weight()) : Tensor();
  if (standardized_) e.bound = e.bound + jacobian;
  if (o_.e_step == EStep::local) e.local["q"] = parameters.detach();
  measure(e, pulled, batch);
  if (standardized_) e.metrics["log_px"] = e.metrics["log_px"] + jacobian;
  if (!step.training) return e;
  e.sums = std::move(pulled.sums);
  if (!encoder_) return e;
  // Refined or not, the encoder learns from the gradient at its own output.
  if (o_.e_step == EStep::semi_amortized) pulled = pull(x, own, draws, batch, step, Sums::none, dropped);
  const auto gradients = gradients_of(pulled.outputs, encoders_.tensors, pulled.gradients);
  for (size_t i = 0; i < gradients.size(); ++i) {
    Tensor& sum = e.sums[encoders_.keys[i]];
    sum = sum.defined() ? sum + gradients[i] : gradients[i];  // what came by way of the prior stays
  }
  return e;
}

Batch Vae::latents_of(const Batch& batch) const {
  Batch items = batch;
  if (of_sequences()) items.offsets = Tensor();
  return items;
}

Tensor Vae::encode(const Tensor& x, const Tensor& offsets, const Network::Noise& dropped) const {
  return of_sequences() ? encoder_->forward_sequences(x, offsets, dropped) : encoder_->forward(x, dropped);
}

Tensor Vae::noise(const Batch& batch, const Rng& rng, int64_t samples) const {
  return latents_of(batch)
      .normal(rng, {samples, posterior_->num_noise()}, "posterior", dtype_)
      .transpose(0, 1)
      .contiguous();
}

Network::Noise Vae::dropout(const Batch& batch, const Step& step, const Rng& rng) const {
  if (!step.training) return {};
  return [&batch, key = rng.fold("dropout")](const Tensor& hidden, const std::string& stream) {
    const int64_t rows = batch.at("x").size(0), width = hidden.size(1), samples = rows ? hidden.size(0) / rows : 1;
    return batch.uniform(key, {samples, width}, stream).transpose(0, 1).reshape({-1, width});
  };
}

Tensor Vae::decode(const Tensor& z, const Tensor& offsets, const Network::Noise& dropped) const {
  if (!of_sequences()) {
    const Tensor outputs = decoder_->forward(z.reshape({-1, o_.latent_dim}), dropped);
    return outputs.view({z.size(0), z.size(1), outputs.size(-1)});
  }
  const Tensor lengths = offsets.slice(0, 1) - offsets.slice(0, 0, -1), all = lengths.repeat({z.size(0)});
  const Tensor steps = z.index_select(1, at::repeat_interleave(lengths)).reshape({-1, o_.latent_dim});
  const Tensor ends = at::cat({at::zeros({1}, at::kLong), all.cumsum(0)});
  const Tensor outputs = decoder_->forward_sequences(steps, ends, dropped);
  return outputs.view({z.size(0), lengths.sum().item<int64_t>(), outputs.size(-1)});
}

// z and the parameters of q are cut out as leaves, and the objective sees only the copies. What it sends to them goes
// on into the encoder afterwards, or into the inner optimisation of q. Networks ascend the surrogate; conjugate blocks
// take the gradient of the bound itself, since a KL weight must not shrink the statistics that they count.
Vae::Pull Vae::pull(const Tensor& x, const Tensor& parameters, const Tensor& noise, const Batch& batch,
                    const Step& step, Sums wanted, const Network::Noise& dropped) const {
  const bool differentiate = at::GradMode::is_enabled();
  Pull p;
  const Tensor z = posterior_->states(parameters, noise, step);
  const Tensor z_leaf = z.detach().requires_grad_(differentiate),
               leaf = parameters.detach().requires_grad_(differentiate);
  const Batch items = latents_of(batch);
  const Latent latent(*posterior_, leaf, z_leaf, *prior_, items, globals_);
  const Tensor by_row = likelihood_->log_prob(decode(latent.z(), batch.offsets, dropped), x),
               log_px = of_sequences() ? batch.per_item(by_row) : by_row;
  const Trace trace{{latent}, items.per_item(log_px), items.per_item(latent.expected(log_px))};
  p.value = (*objective_)(trace, step);
  p.log_px = trace.expected.detach();
  p.mean = trace.latents[0].mean().detach();
  {
    const at::NoGradGuard for_the_log;  // what the objective needs of this it has computed already, with its graph
    const Latent& seen = trace.latents[0];
    p.kl = (seen.kl().defined() ? seen.kl() : mean_over_samples(seen.log_q() - seen.log_p()).unsqueeze(-1)).detach();
  }
  if (!differentiate) return p;

  std::vector<Tensor> leaves{z_leaf, leaf};
  std::vector<std::string> keys;
  const auto ask_for = [&](const Leaves& more) {
    leaves.insert(leaves.end(), more.tensors.begin(), more.tensors.end());
    keys.insert(keys.end(), more.keys.begin(), more.keys.end());
  };
  const Tensor weight = batch.weight.to(dtype_);
  if (wanted == Sums::densities) {
    ask_for(densities_);
    if (prior_->uses_encoder()) ask_for(encoders_);
    if (p.value.surrogate.is_same(p.value.bound)) {
      ask_for(conjugate_);
    } else if (!conjugate_.keys.empty()) {
      const auto sums = gradients_of({p.value.bound}, conjugate_.tensors, {weight}, true);
      for (size_t i = 0; i < sums.size(); ++i) p.sums[conjugate_.keys[i]] = sums[i];
    }
  }
  const Tensor& of_q = p.value.q_surrogate;
  const bool apart = of_q.defined() && !of_q.is_same(p.value.surrogate);
  std::vector<Tensor> gradients = gradients_of({p.value.surrogate}, leaves, {weight}, apart);
  if (apart) {
    const auto own = gradients_of({of_q}, {z_leaf, leaf}, {weight});
    std::copy(own.begin(), own.end(), gradients.begin());
  }
  if (p.value.path_scale.defined()) gradients[0] = gradients[0] * p.value.path_scale.unsqueeze(-1);
  p.outputs = {parameters};
  p.gradients = {gradients[1]};
  if (z.requires_grad()) {
    p.outputs.push_back(z);
    p.gradients.push_back(gradients[0]);
  }
  for (size_t i = 0; i < keys.size(); ++i) p.sums[keys[i]] = gradients[i + 2];
  return p;
}

// ---- the log ----

// Sums for the log: log p(x | z), KL(q || p), whatever of it the objective pays for, in closed form and by dimension
// where there is one and else at the draws of z, first and second moments of E_q[z].
void Vae::measure(Expectation& e, const Pull& pulled, const Batch& batch) const {
  const at::NoGradGuard no_grad;
  const Tensor log_px = mean_over_samples(pulled.log_px), mean = latents_of(batch).per_item(pulled.mean, 0);
  e.metrics["log_px"] = weighted_sum(log_px, batch.weight);
  const Tensor kl_sums = weighted_sums(pulled.kl, batch.weight);
  e.metrics["kl"] = kl_sums.sum();
  if (pulled.kl.size(1) == mean.size(1)) e.metrics["kl_dim"] = kl_sums;
  e.metrics["mean"] = weighted_sums(mean, batch.weight);
  e.metrics["mean_sq"] = weighted_sums(mean, batch.weight, 2);
  if (!bags_) return;
  const Tensor& x = batch.at("x");
  e.metrics["tokens"] = at::dot(at::nansum(x, {1}).to(at::kDouble), batch.row_weight());
  e.metrics["log_orders"] = at::dot(likelihood_->log_orders(x), batch.row_weight());
}

std::map<std::string, std::vector<double>> Vae::report(const Expectation& total) const {
  auto values = Model::report(total);
  const auto mean = values.at("mean"), square = values.at("mean_sq");
  double active = 0;
  for (size_t i = 0; i < mean.size(); ++i) active += square[i] - mean[i] * mean[i] > 0.01;
  values.erase("mean");
  values.erase("mean_sq");
  values["active_units"] = {active};
  if (bags_) {  // of the words in their order, as for topic models
    const Tensor text = total.bound - total.metrics.at("log_orders");
    values["perplexity_bound"] = {(-text / total.metrics.at("tokens")).exp().item<double>()};
    values.erase("log_orders");
  }
  return values;
}

void register_vae(Registry& registry) {
  registry.add<Model, VaeOptions>(
      "vae", "variational autoencoder: any prior x posterior x likelihood x objective x networks",
      [](const VaeOptions& options, const Model::Context& context) { return std::make_shared<Vae>(options, context); },
      "train.batch_size = 128\ntrain.epochs = 50\ndata.validation = 0.1\n");
}

}  // namespace vem
