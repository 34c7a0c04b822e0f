// The E-step of the amortised model: one backward pass a network, whatever the objective.
#include "vae.h"

#include <limits>

#include "networks/linear.h"
#include "vem/core/error.h"

namespace vem {
namespace {

constexpr int64_t kChunk = 2000;  // rows a look at the training data

/// Calls use(weight, row, column, x) for each element of x [rows, C]. Plain loops: for a few thousand numbers the calls
/// of tensor operations would cost more than the arithmetic.
template <class Use>
void for_each_weighted(const Tensor& x, const Tensor& weight, const Use& use) {
  const double* w = weight.data_ptr<double>();
  const int64_t columns = x.dim() > 1 ? x.size(1) : 1, row = x.stride(0), column = x.dim() > 1 ? x.stride(1) : 0;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "weighted sums", [&] {
    const scalar_t* from = x.data_ptr<scalar_t>();
    for (int64_t i = 0; i < x.size(0); ++i)
      for (int64_t c = 0; c < columns; ++c) use(w[i], i, c, static_cast<double>(from[i * row + c * column]));
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

/// "numbers", "numbers >= 0", "numbers in [0, 1]".
std::string wanted(const Range& support) {
  if (std::isinf(support.min)) return "numbers";
  if (std::isinf(support.max)) return fmt::format("numbers >= {}", support.min);
  return fmt::format("numbers in [{}, {}]", support.min, support.max);
}

}  // namespace

std::string VaeOptions::advice(int64_t batch_size) const {
  if (precision != Precision::bf16 || bf16_pays(batch_size)) return {};
  if (bf16_pays(std::numeric_limits<int64_t>::max()))
    return fmt::format("precision = \"bf16\": batches of {} are faster in float32, which they stay in", batch_size);
  return "precision = \"bf16\": this processor has no tiles of bfloat16 (AMX); products stay in float32";
}

void Vae::Leaves::add(const TensorMap& globals) {
  for (const auto& [key, value] : globals) {
    keys.push_back(key);
    tensors.push_back(value);
  }
}

Vae::Vae(const VaeOptions& options, const Context& context)
    : o_(options),
      schema_(context.schema),
      dtype_(scalar_type(options.precision)),
      features_(schema_.num_features()),
      scaling_(std::make_shared<ConstantBlock>("scaling")) {
  const Registry& registry = context.registry;
  networks_ = std::make_shared<GradientBlock>("networks", registry.create<Optimizer>(o_.optimizer, {registry}));
  scaling_->add("scaling.center", at::zeros({features_}, dtype_));
  scaling_->add("scaling.scale", at::ones({features_}, dtype_));
  posterior_ = registry.create<Posterior>(o_.posterior, {o_.latent_dim, dtype_, networks_, &registry});
  likelihood_ = registry.create<Likelihood>(o_.likelihood, {features_, dtype_, networks_, scaling_});
  const auto encode = [this](const Tensor& x) { return encoder_->forward(x); };
  const Range range = o_.standardize ? Range() : likelihood_->support();
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
  decoder_ = registry.create<Network>(o_.decoder, {*networks_, "decoder", {o_.latent_dim}, output, dtype_, bf16});
  densities_.add(networks_->globals());
  if (o_.e_step != EStep::local)
    encoder_ = registry.create<Network>(
        o_.encoder, {*networks_, "encoder", schema_.item_shape, {posterior_->num_parameters()}, dtype_, bf16});
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

void Vae::check_combination() const {
  for (const Choice* network : {&o_.encoder, &o_.decoder})
    if (o_.precision == Precision::bf16 && network->name != "mlp")
      fail<ConfigError>("vae: precision = \"bf16\" is for networks of kind mlp, got {}", network->name);
  if (!encoder_ && prior_->uses_encoder())
    fail<ConfigError>("vae: prior {} needs an encoder, and e_step = \"local\" has none", o_.prior.name);
  if (posterior_->flows() && prior_->uses_encoder())
    fail<ConfigError>(
        "vae: prior {} takes posteriors whose density is known everywhere, posterior {} has it along draws only",
        o_.prior.name, o_.posterior.name);
  if (posterior_->discrete() != prior_->discrete())
    fail<ConfigError>("vae: posterior {} has {} latents, prior {} has {} ones", o_.posterior.name,
                      posterior_->discrete() ? "discrete" : "real", o_.prior.name,
                      prior_->discrete() ? "discrete" : "real");
  if (posterior_->discrete() && !objective_->analytic())
    fail<ConfigError>("vae: objective {}: posterior {} goes with objectives whose KL is analytic only",
                      o_.objective.name, o_.posterior.name);
  posterior_->check_samples(objective_->num_samples());
  const Objective::Needs needs = objective_->needs();
  if (posterior_->flows() && needs != Objective::Needs::draws)
    fail<ConfigError>("vae: objective {} needs the density of any z, posterior {} has that of its draws only",
                      o_.objective.name, o_.posterior.name);
  if (needs == Objective::Needs::independent && !posterior_->independent())
    fail<ConfigError>("vae: objective {} needs a posterior with independent dimensions, such as diagonal, got {}",
                      o_.objective.name, o_.posterior.name);
  if (objective_->standard_prior() && o_.prior.name != "standard")
    fail<ConfigError>("vae: objective {} pulls the latents towards prior standard, got {}", o_.objective.name,
                      o_.prior.name);
}

Schedules Vae::schedules() const {
  Schedules all = objective_->schedules();
  all.merge(posterior_->schedules());
  all.merge(Model::schedules());
  return all;
}

// ---- what is learned before training ----

void Vae::initialize(const Dataset& train, const Rng& rng) {
  if (!objective_->additive() && train.offsets.defined())
    fail<ConfigError>("vae: objective {} takes items of one row, these are sequences", o_.objective.name);
  const auto [mean, variance] = moments(train);
  if (o_.standardize) {
    scaling_->set("scaling.center", mean);
    scaling_->set("scaling.scale", at::where(variance > 0, variance.sqrt(), at::ones_like(variance)));
  }
  if (encoder_) encoder_->initialize(rng);
  decoder_->initialize(rng);
  posterior_->initialize(rng.fold("posterior"));
  const Tensor bias = o_.standardize ? likelihood_->output_bias(at::zeros_like(mean), at::ones_like(mean))
                                     : likelihood_->output_bias(mean, variance);
  decoder_->output_bias().detach().copy_(bias);
  const Tensor order = at::arange(std::min(train.size, kChunk), at::kLong);
  prior_->initialize(filled(scaled(train.batch(order, 0, dtype_).at("x"))), rng.fold("prior"));
}

Tensor Vae::scaled(const Tensor& x) const {
  return o_.standardize ? (x - scaling_->get("scaling.center")) / scaling_->get("scaling.scale") : x;
}

Tensor Vae::unscaled(const Tensor& x) const {
  return o_.standardize ? x * scaling_->get("scaling.scale") + scaling_->get("scaling.center") : x;
}

Tensor Vae::filled(const Tensor& x) const { return x.masked_fill(x.isnan(), 0); }

// Of the cells that are there.
Tensor Vae::log_jacobian(const Tensor& x) const {
  const Tensor log_scale = scaling_->get("scaling.scale").to(at::kDouble).log();
  return -at::mv(x.isnan().logical_not().to(at::kDouble), log_scale);
}

// Moments are taken about the first row: far from zero, squares would lose the variance.
std::pair<Tensor, Tensor> Vae::moments(const Dataset& train) const {
  const auto rows_from = [&](int64_t begin, int64_t end) {
    return train.batch(at::arange(begin, end, at::kLong), 0, dtype_);
  };
  Tensor sum = at::zeros({features_}, at::kDouble), square = sum.clone(), total = sum.clone();
  const Tensor center = at::nan_to_num(rows_from(0, 1).at("x")[0]);
  for (int64_t begin = 0; begin < train.size; begin += kChunk) {
    const Batch batch = rows_from(begin, std::min(train.size, begin + kChunk));
    require_support(batch);
    const Tensor& x = batch.at("x");
    const Tensor missing = x.isnan(), difference = (x - center).masked_fill(missing, 0),
                 weight = batch.row_weight().to(dtype_);
    total = total + at::mv(missing.logical_not().to(dtype_).t(), weight).to(at::kDouble);
    sum = sum + at::mv(difference.t(), weight).to(at::kDouble);
    square = square + at::mv((difference * difference).t(), weight).to(at::kDouble);
  }
  if (const Tensor empty = (total <= 0).nonzero(); empty.size(0) > 0)
    fail<DataError>("vae: {} has no value in any row", feature_name(empty[0][0].item<int64_t>()));
  const Tensor shift = sum / total;
  const Tensor variance = (square / total - shift * shift).clamp_min(0);
  return {(center.to(at::kDouble) + shift).to(dtype_), variance.to(dtype_)};
}

std::string Vae::feature_name(int64_t i) const {
  return schema_.feature_names.empty() ? fmt::format("feature {}", i) : schema_.feature_names[static_cast<size_t>(i)];
}

void Vae::require_support(const Batch& batch) const {
  const Range support = likelihood_->support();
  const bool whole = likelihood_->whole_numbers();
  const Tensor& x = batch.at("x");
  Tensor bad = (x < support.min).logical_or(x > support.max).logical_or(x.isinf());  // NaN is missing
  if (whole) bad = bad.logical_or((x - x.round()).abs() > 0);
  if (!bad.any().item<bool>()) return;
  const Tensor where = bad.nonzero()[0];
  const int64_t row = where[0].item<int64_t>(), column = where[1].item<int64_t>();
  fail<DataError>("vae: {} is {} in row {}, but likelihood {} needs {}{}", feature_name(column),
                  x[row][column].item<double>(), batch.index[row].item<int64_t>() + 1, o_.likelihood.name,
                  whole                     ? "whole "
                  : std::isinf(support.min) ? "finite "
                                            : "",
                  wanted(support));
}

// ---- the E-step ----

Expectation Vae::e_step(const Batch& batch, const Step& step, const Rng& rng) const {
  const at::AutoGradMode grad_mode(step.training);
  const Bf16Products products(step.training && o_.precision == Precision::bf16);
  const Tensor x = scaled(batch.at("x"));
  const Tensor draws = noise(batch, rng, objective_->num_samples());
  const bool gaps = encoder_ && std::isnan(x.sum().item<double>());
  const Tensor own = encoder_ ? encoder_->forward(gaps ? filled(x) : x, dropout(batch, step, rng)) : start_of(batch);
  const Tensor parameters = o_.e_step == EStep::amortized ? own : refine(x, own, batch, step, inner_steps(step), rng);
  const Network::Noise dropped = dropout(batch, step, rng);
  Pull pulled = pull(x, parameters, draws, batch, step, Sums::densities, dropped);
  Expectation e;
  e.count = batch.weight.sum();
  e.bound = weighted_sum(pulled.value.bound, batch.weight);
  const Tensor jacobian = o_.standardize ? at::dot(log_jacobian(x), batch.row_weight()) : Tensor();
  if (o_.standardize) e.bound = e.bound + jacobian;
  if (o_.e_step == EStep::local) e.local["q"] = parameters.detach();
  measure(e, pulled, batch);
  if (o_.standardize) e.metrics["log_px"] = e.metrics["log_px"] + jacobian;
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

Tensor Vae::noise(const Batch& batch, const Rng& rng, int64_t samples) const {
  return batch.normal(rng, {samples, posterior_->num_noise()}, "posterior", dtype_).transpose(0, 1).contiguous();
}

Network::Noise Vae::dropout(const Batch& batch, const Step& step, const Rng& rng) const {
  if (!step.training) return {};
  return [&batch, key = rng.fold("dropout")](const Tensor& hidden, const std::string& stream) {
    const int64_t rows = batch.at("x").size(0), width = hidden.size(1), samples = rows ? hidden.size(0) / rows : 1;
    return batch.uniform(key, {samples, width}, stream).transpose(0, 1).reshape({-1, width});
  };
}

Tensor Vae::decode(const Tensor& z, const Network::Noise& dropped) const {
  const Tensor outputs = decoder_->forward(z.reshape({-1, o_.latent_dim}), dropped);
  return outputs.view({z.size(0), z.size(1), outputs.size(-1)});
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
  const Latent latent(*posterior_, leaf, z_leaf, *prior_, batch, globals_);
  const Trace trace{{latent}, batch.per_item(latent.expected(likelihood_->log_prob(decode(latent.z(), dropped), x)))};
  p.value = (*objective_)(trace, step);
  p.log_px = trace.log_px.detach();
  p.mean = trace.latents[0].mean().detach();
  {
    const at::NoGradGuard for_the_log;  // an objective that needs the KL has computed it already, with its graph
    if (const Tensor& kl = trace.latents[0].kl(); kl.defined()) p.kl = kl.detach();
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
  std::vector<Tensor> gradients = gradients_of({p.value.surrogate}, leaves, {weight});
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

// Sums for the log: log p(x | z), KL by dimension, first and second moments of E_q[z].
void Vae::measure(Expectation& e, const Pull& pulled, const Batch& batch) const {
  const at::NoGradGuard no_grad;
  const Tensor log_px = mean_over_samples(pulled.log_px), mean = batch.per_item(pulled.mean, 0);
  const Tensor kl = pulled.kl.defined() ? pulled.kl : (log_px - pulled.value.bound).unsqueeze(-1);
  e.metrics["log_px"] = weighted_sum(log_px, batch.weight);
  const Tensor kl_sums = weighted_sums(kl, batch.weight);
  e.metrics["kl"] = kl_sums.sum();
  if (kl.size(1) == mean.size(1)) e.metrics["kl_dim"] = kl_sums;
  e.metrics["mean"] = weighted_sums(mean, batch.weight);
  e.metrics["mean_sq"] = weighted_sums(mean, batch.weight, 2);
}

std::map<std::string, std::vector<double>> Vae::report(const Expectation& total) const {
  auto values = Model::report(total);
  const auto mean = values.at("mean"), square = values.at("mean_sq");
  double active = 0;
  for (size_t i = 0; i < mean.size(); ++i) active += square[i] - mean[i] * mean[i] > 0.01;
  values.erase("mean");
  values.erase("mean_sq");
  values["active_units"] = {active};
  return values;
}

void register_vae(Registry& registry) {
  registry.add<Model, VaeOptions>(
      "vae", "variational autoencoder: any prior x posterior x likelihood x objective x networks",
      [](const VaeOptions& options, const Model::Context& context) { return std::make_shared<Vae>(options, context); },
      "train.batch_size = 128\ntrain.epochs = 50\ndata.validation = 0.1\n");
}

}  // namespace vem
