// What can be asked of an amortised model: the command line, the exporter and programs read this table.
#include "vae.h"
#include "vem/infer/aggregate.h"
#include "vem/infer/annealing.h"

namespace vem {

std::vector<Method> Vae::methods() const {
  if (of_sequences()) return sequence_methods();
  const Tensor x = at::zeros({2, features_}, row_type()), z = at::zeros({2, o_.latent_dim}, dtype_);
  const Tensor traced = o_.e_step == EStep::amortized ? x : Tensor();  // an inner optimisation can not be traced

  std::vector<Method> methods;
  methods.push_back({"encode",
                     "parameters of q(z | x)",
                     {"x"},
                     posterior_->names(),
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       std::vector<Tensor> out;
                       for (const auto& entry : posterior_->named(encoded(in[0], {}, rng))) out.push_back(entry.second);
                       return out;
                     }});
  if (traced.defined()) methods.back().example = {traced};
  methods.push_back(Method::of_rows(
      "decode", "mean of p(x | z)", "z", "x", [this](const Tensor& in, const Rng&) { return decoded(in); }, z));
  methods.push_back(Method::of_rows(
      "reconstruct", "mean of p(x | z) at the mean of q(z | x)", "x", "x",
      [this](const Tensor& in, const Rng& rng) { return decoded(mean_of(encoded(in, {}, rng))); }, traced));
  if (prior_->independent_rows()) {
    methods.push_back(Method::of_draws("sample", "mean of p(x | z) for n draws of z from the prior", {"x"},
                                       [this](const Tensor& index, const Rng& rng) {
                                         return std::vector<Tensor>{decoded(prior_->sample(index, rng))};
                                       }));
    methods.push_back({"importance",
                       "log importance weights [samples, rows] of draws from q, by the density that z is sampled from",
                       {"x", "samples"},
                       {"log_weights"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) {
                         return std::vector<Tensor>{log_weights(rows(in[0]), in[1].item<int64_t>(), rng)};
                       },
                       {},
                       {"samples"}});
    if (!posterior_->discrete()) add_annealing(methods);
    methods.push_back({"simulate",
                       "n draws from the model, x with its noise, and the z that they were made of",
                       {"n"},
                       {"x", "z"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) {
                         const at::NoGradGuard no_grad;
                         const Tensor z = prior_->sample(at::arange(in[0].item<int64_t>(), at::kLong), rng);
                         const Tensor x = unscaled(likelihood_->sample(decoder_->forward(z), rng.fold("likelihood")));
                         return std::vector<Tensor>{x, z};
                       },
                       {},
                       {"n"}});
    methods.push_back(Method::of_rows("impute", "rows with expected values in their missing cells", "x", "x",
                                      [this](const Tensor& in, const Rng& rng) { return impute(in, {}, rng); }));
  }
  if (bags_ && prior_->independent_rows())
    methods.push_back({"completion",
                       "log probability of held words given a document's other words, and how many they are",
                       {"word", "count", "offsets", "held_word", "held_count", "held_offsets"},
                       {"log_prob", "tokens"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) { return complete(in, rng); }});
  if (prior_->independent_rows() && !posterior_->flows()) {
    methods.push_back({"aggregate",
                       "at one draw a row [rows]: log q(z | x), log q(z) over these rows, log p(z); where dimensions "
                       "are independent given x, also the sum over them of log q(z_j)",
                       {"x"},
                       {"log_q", "log_aggregate", "log_prior"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) { return aggregate(in[0], rng); }});
    if (posterior_->independent()) methods.back().outputs.push_back("log_product");
  }
  if (encoder_ && prior_->independent_rows()) {
    Method bounds{"bounds",
                  "bound at the encoder's q and after inner steps from there, and the log-likelihood by importance "
                  "samples from that last q",
                  {"x", "steps", "samples"},
                  {"amortized", "local", "log_likelihood"},
                  {}};
    bounds.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
      return this->bounds(in[0], in[1].item<int64_t>(), in[2].item<int64_t>(), rng);
    };
    bounds.integers = {"steps", "samples"};
    methods.push_back(bounds);
  }
  for (Method& method : prior_->methods()) methods.push_back(std::move(method));
  if (prior_->clusters() && !posterior_->flows()) {
    methods.push_back(Method::of_rows(
        "responsibilities", "probability of each component of the prior", "x", "responsibilities",
        [this](const Tensor& in, const Rng& rng) { return responsibilities(in, rng); }, traced));
    methods.push_back(Method::of_rows(
        "predict", "the most probable component of the prior; -1 where none has a probability", "x", "component",
        [this](const Tensor& in, const Rng& rng) {
          const Tensor r = responsibilities(in, rng);
          return r.argmax(-1).masked_fill(r.isnan().any(-1), -1);
        },
        traced));
  }
  return methods;
}

void Vae::add_annealing(std::vector<Method>& methods) const {
  Method annealed{"annealed",
                  "log weights [chains, rows] of annealed importance sampling, and the share of moves accepted",
                  {"x", "chains", "temperatures"},
                  {"log_weights", "acceptance"},
                  {}};
  annealed.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    const int64_t chains = in[1].item<int64_t>(), rows = in[0].size(0);
    const Tensor index = at::arange(chains * rows, at::kLong),
                 draws = prior_->sample(index, rng).view({chains, rows, o_.latent_dim});
    return this->annealed(in[0], draws, in[2].item<int64_t>(), false, rng);
  };
  annealed.integers = {"chains", "temperatures"};
  methods.push_back(annealed);
  Method simulated{"annealed_from",
                   "the same backwards, from the z that rows were made of",
                   {"x", "z", "temperatures"},
                   {"log_weights", "acceptance"},
                   {}};
  simulated.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    return this->annealed(in[0], in[1].unsqueeze(0), in[2].item<int64_t>(), true, rng);
  };
  simulated.integers = {"temperatures"};
  methods.push_back(simulated);
}

Batch Vae::rows(const Tensor& x, const Tensor& offsets) const {
  Batch batch;
  const int64_t items = offsets.defined() ? offsets.size(0) - 1 : x.size(0);
  batch.columns["x"] = x;
  batch.offsets = offsets;
  batch.index = at::arange(items, at::kLong);
  batch.weight = at::ones({items}, at::kDouble);
  return batch;
}

// The parameters of q, by the E-step's own way.
Tensor Vae::encoded(const Tensor& x, const Tensor& offsets, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Tensor y = scaled(x);
  if (o_.e_step == EStep::amortized) return encode(seen(y), offsets);
  const Batch batch = rows(x, offsets);
  Step step;
  step.training = false;
  return refine(y, encoder_ ? encode(seen(y), offsets) : start_of(batch), batch, step, inner_steps(step), rng);
}

Tensor Vae::mean_of(const Tensor& parameters) const {
  return posterior_->transform(posterior_->at(parameters)->mean(), parameters).first;
}

Tensor Vae::decoded(const Tensor& z) const {
  const at::NoGradGuard no_grad;
  return unscaled(likelihood_->mean(decoder_->forward(z)));
}

Tensor Vae::responsibilities(const Tensor& x, const Rng& rng) const {
  return prior_->responsibilities(*posterior_->at(encoded(x, {}, rng)), globals_);
}

Tensor Vae::log_weights(const Batch& batch, int64_t samples, const Rng& rng) const {
  return weighted_draws(batch, encoded(batch.at("x"), batch.offsets, rng), samples, rng).second;
}

std::pair<Tensor, Tensor> Vae::weighted_draws(const Batch& batch, const Tensor& parameters, int64_t samples,
                                              const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Batch items = latents_of(batch);
  const Tensor &x = batch.at("x"), &offsets = batch.offsets;
  const Tensor draws = items.normal(rng, {samples, posterior_->num_noise()}, "importance", dtype_).transpose(0, 1);
  const Tensor y = scaled(x);
  const Latent latent(*posterior_, parameters, posterior_->at(parameters)->rsample(draws), *prior_, items, globals_);
  const Tensor& z = latent.z();
  const Tensor log_px = batch.per_item(likelihood_->log_prob(decode(z, offsets), y)),
               log_p = prior_->log_predictive(z, items, globals_);
  const Tensor log_weight = log_px.to(at::kDouble) + log_p.to(at::kDouble) - latent.log_q().to(at::kDouble);
  return {z, standardized_ ? log_weight + batch.per_item(log_jacobian(y)) : log_weight};
}

// q(z) of N rows is a mixture of N posteriors: N x N densities, some rows at a time.
std::vector<Tensor> Vae::aggregate(const Tensor& x, const Rng& rng) const {
  constexpr int64_t kNumbers = int64_t{1} << 22;
  const at::NoGradGuard no_grad;
  const Batch batch = rows(x);
  const int64_t n = x.size(0), step = std::max<int64_t>(1, kNumbers / std::max<int64_t>(1, n * o_.latent_dim));
  const Tensor parameters = encoded(x, {}, rng),
               share = at::full({1, n}, -std::log(static_cast<double>(n)), at::kDouble);
  const auto q = posterior_->at(parameters);
  const Tensor z = q->rsample(noise(batch, rng.fold("aggregate"), 1));
  std::vector<Tensor> joint, product;
  for (int64_t begin = 0; begin < n; begin += step) {
    const AggregateDensity part = aggregate_density(*q, z.slice(1, begin, std::min(n, begin + step)), share);
    joint.push_back(part.joint[0]);
    if (part.product.defined()) product.push_back(part.product[0]);
  }
  std::vector<Tensor> out{q->log_prob(z)[0], at::cat(joint), prior_->log_predictive(z, batch, globals_)[0]};
  if (!product.empty()) out.push_back(at::cat(product));
  for (Tensor& values : out) values = values.to(at::kDouble);
  return out;
}

std::vector<Tensor> Vae::annealed(const Tensor& x, const Tensor& draws, int64_t temperatures, bool back,
                                  const Rng& rng) const {
  const Batch batch = rows(x);
  const Tensor y = scaled(x), shift = standardized_ ? log_jacobian(y) : at::zeros({}, at::kDouble);
  const Annealed target{[&](const Tensor& z) { return prior_->log_predictive(z, batch, globals_); },
                        [&](const Tensor& z) { return likelihood_->log_prob(decode(z, {}), y); }};
  AnnealingSettings settings;
  settings.temperatures = temperatures;
  const AnnealingResult result = (back ? anneal_back : anneal)(target, draws, settings, rng.fold("annealing"));
  return {back ? result.log_weights - shift : result.log_weights + shift, result.acceptance};
}

// E[x | what is there] by self-normalised importance sampling (Mattei and Frellsen 2019, equation 13), a few draws at a
// time: running sums are relative to the largest weight so far. An encoder takes zeros in the gaps for numbers, so its
// q is only where the search for the best q given the other cells begins, from which draws are taken.
Tensor Vae::impute(const Tensor& x, const Tensor& offsets, const Rng& rng) const {
  constexpr int64_t kDraws = 10, kRounds = 50, kSteps = 100;
  const at::NoGradGuard no_grad;
  const Batch batch = rows(x, offsets);
  const Tensor item = batch.row_item();
  Step step;
  step.training = false;
  Tensor parameters = encoded(x, offsets, rng);
  if (o_.e_step == EStep::amortized)
    parameters = refine(scaled(x), parameters, batch, step, kSteps, rng.fold("proposal"), true);
  Tensor largest = at::full({batch.size()}, -INFINITY, at::kDouble), total = at::zeros_like(largest),
         sum = at::zeros({x.size(0), features_}, at::kDouble);
  for (int64_t i = 0; i < kRounds; ++i) {
    const Rng round = rng.fold(static_cast<uint64_t>(i));
    const auto [z, log_weight] = weighted_draws(batch, parameters, kDraws, round);
    const Tensor means = unscaled(likelihood_->mean(decode(z, offsets))).to(at::kDouble);
    const Tensor now = at::maximum(largest, log_weight.amax(0)), keep = (largest - now).exp(),
                 weight = (log_weight - now).exp();
    total = total * keep + weight.sum(0);
    sum = sum * keep.index_select(0, item).unsqueeze(-1) + (weight.index_select(1, item).unsqueeze(-1) * means).sum(0);
    largest = now;
  }
  return at::where(x.isnan(), (sum / total.index_select(0, item).unsqueeze(-1)).to(x.scalar_type()), x);
}

// By the mean over draws of q given the words that are seen of what the decoder makes of them.
std::vector<Tensor> Vae::complete(const std::vector<Tensor>& documents, const Rng& rng) const {
  constexpr int64_t kDraws = 20;
  const at::NoGradGuard no_grad;
  const auto counts = [&](size_t first) {
    const Tensor &word = documents[first], &offsets = documents[first + 2];
    const Tensor item = at::repeat_interleave(offsets.slice(0, 1) - offsets.slice(0, 0, -1));
    return at::zeros({offsets.size(0) - 1, features_}, dtype_)
        .index_put_({item, word.to(at::kLong)}, documents[first + 1].to(dtype_));
  };
  const Tensor seen = counts(0), held = counts(3), parameters = encoded(seen, {}, rng);
  const Tensor z0 = posterior_->at(parameters)->rsample(noise(rows(seen), rng.fold("completion"), kDraws));
  const Tensor z = posterior_->transform(z0, parameters).first;
  Tensor p = at::zeros({seen.size(0), features_}, at::kDouble);
  for (int64_t s = 0; s < kDraws; ++s) {
    const Tensor mean = decoded(z[s]).to(at::kDouble);
    p = p + mean / mean.sum(-1, true) / static_cast<double>(kDraws);
  }
  return {at::xlogy(held.to(at::kDouble), p).sum(-1), held.sum(-1).to(at::kDouble)};
}

}  // namespace vem
