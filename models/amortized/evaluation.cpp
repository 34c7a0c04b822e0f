// What evaluations ask of an amortised model: importance weights, annealing, gaps, imputation, aggregates.
#include "model.h"
#include "vem/infer/aggregate.h"
#include "vem/infer/annealing.h"

namespace vem {
namespace {

constexpr int64_t kDecoderRows = 4000;  // samples x items that are decoded at a time, which bounds memory
constexpr int64_t kJudgements = 20;  // evaluations of the objective, on draws of their own, that a bound is the mean of

Step judging() {
  Step step;
  step.training = false;
  return step;
}

}  // namespace

Amortized::WeightedDraws Amortized::weighted_draws(const Prepared& items, const TensorMap& own, int64_t samples,
                                                   const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Tensor& x = items.x;
  const auto sampling = items.columns->with_columns();
  const auto draws = inference_.draw(*sampling, own, {samples, "importance", true}, judging(), rng);
  WeightedDraws result;
  result.density = sampling->with_columns();
  const Trace trace = inference_.trace(draws, *result.density, *sampling, x);
  result.log_weights = trace.log_px.to(at::kDouble);
  for (const Latent& latent : trace.latents)
    result.log_weights = result.log_weights + latent.log_predictive().to(at::kDouble) - latent.log_q().to(at::kDouble);
  if (const Tensor jacobian = rows_.log_jacobian(x); jacobian.defined())
    result.log_weights = result.log_weights + items.batch.per_item(jacobian);
  return result;
}

Tensor Amortized::log_weights(const Batch& batch, int64_t samples, const Rng& rng) const {
  const Prepared items = prepared(batch);
  return weighted_draws(items, own_parameters(items, rng), samples, rng).log_weights;
}

// E[x | what is there] by self-normalised importance sampling (Mattei and Frellsen 2019, equation 13), a few draws at a
// time: running sums are relative to the largest weight so far. An encoder takes zeros in the gaps for numbers, so its
// q is only where the search for the best q given the other cells begins, from which draws are taken.
Tensor Amortized::impute(const Batch& batch, const Rng& rng) const {
  constexpr int64_t kDraws = 10, kRounds = 50, kSteps = 100;
  const at::NoGradGuard no_grad;
  const Tensor &x = batch.at("x"), item = batch.row_item();
  const Prepared items = prepared(batch);
  TensorMap own = own_parameters(items, rng);
  if (o_.e_step == EStep::amortized) own = refined(items, own, {kSteps, true}, rng.fold("proposal"));
  Tensor largest = at::full({batch.size()}, -INFINITY, at::kDouble), total = at::zeros_like(largest),
         sum = at::zeros({x.size(0), schema_.num_features()}, at::kDouble);
  for (int64_t i = 0; i < kRounds; ++i) {
    const WeightedDraws draws = weighted_draws(items, own, kDraws, rng.fold(static_cast<uint64_t>(i)));
    const Tensor& log_weight = draws.log_weights;
    const Tensor means = mean_of_rows(*draws.density).to(at::kDouble);
    const Tensor now = at::maximum(largest, log_weight.amax(0)), keep = (largest - now).exp(),
                 weight = (log_weight - now).exp();
    total = total * keep + weight.sum(0);
    sum = sum * keep.index_select(0, item).unsqueeze(-1) + (weight.index_select(1, item).unsqueeze(-1) * means).sum(0);
    largest = now;
  }
  return at::where(x.isnan(), (sum / total.index_select(0, item).unsqueeze(-1)).to(x.scalar_type()), x);
}

// The latents of all groups stand side by side while they move.
std::vector<Tensor> Amortized::annealed(const Batch& batch, const Tensor& draws, int64_t temperatures, bool back,
                                        const Rng& rng) const {
  const Prepared items = prepared(batch);
  const Tensor &y = items.x, jacobian = rows_.log_jacobian(y),
               shift = jacobian.defined() ? jacobian : at::zeros({}, at::kDouble);
  const auto at = [&](const Tensor& z) {
    auto density = items.columns->with_columns();
    int64_t begin = 0;
    for (const Group& group : latents_.groups()) {
      density->set(group.name, z.narrow(-1, begin, group.dim));
      begin += group.dim;
    }
    return density;
  };
  const auto log_p = [&](const Tensor& z) {
    const auto density = at(z);
    Tensor sum;
    for (const Group& group : latents_.groups()) {
      const auto p = Inference::prior_at(group, *density);
      const Tensor own = p->log_predictive(density->at(group.name), batch, globals_);
      sum = sum.defined() ? sum + own : own;
    }
    return sum;
  };
  const Annealed target{log_p, [&](const Tensor& z) { return likelihood_->log_prob(inference_.decode(*at(z)), y); }};
  AnnealingSettings settings;
  settings.temperatures = temperatures;
  const AnnealingResult result = (back ? anneal_back : anneal)(target, draws, settings, rng.fold("annealing"));
  return {back ? result.log_weights - shift : result.log_weights + shift, result.acceptance};
}

// A q that is off lets importance weights miss most of p(x), so that their log-likelihood may fall below the bound of a
// better q: hence the draws are those of the best one.
std::vector<Tensor> Amortized::bounds(const Batch& batch, int64_t steps, int64_t samples, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Prepared items = prepared(batch);
  const Tensor &x = batch.at("x"), y = items.x, jacobian = rows_.log_jacobian(y);
  const TensorMap amortized = inference_.encoded(*items.columns);
  const TensorMap local = refined(items, amortized, {steps, true}, rng);
  std::vector<Tensor> result;
  for (const TensorMap* own : {&amortized, &local}) {
    Tensor sum = at::zeros({x.size(0)}, at::kDouble);
    for (int64_t i = 0; i < kJudgements; ++i) {
      const auto sampling = items.columns->with_columns();
      const auto draws = inference_.draw(*sampling, *own, {objective_->num_samples()}, judging(),
                                         rng.fold("judgement").fold(static_cast<uint64_t>(i)));
      sum = sum + inference_.pass(draws, *sampling, y, judging(), Inference::Sums::none).value.bound;
    }
    const Tensor mean = sum / static_cast<double>(kJudgements);
    result.push_back(jacobian.defined() ? mean + jacobian : mean);
  }
  const int64_t at_once = std::max<int64_t>(1, kDecoderRows / std::max<int64_t>(1, x.size(0)));
  Tensor sum;
  for (int64_t done = 0; done < samples; done += at_once) {
    const Rng draws = rng.fold("importance").fold(static_cast<uint64_t>(done));
    const Tensor part = weighted_draws(items, local, std::min(at_once, samples - done), draws).log_weights.logsumexp(0);
    sum = sum.defined() ? at::logaddexp(sum, part) : part;
  }
  result.push_back(sum - std::log(static_cast<double>(samples)));
  return result;
}

// q(z) of N rows is a mixture of N posteriors: N x N densities, some rows at a time.
std::vector<Tensor> Amortized::aggregate(const Batch& batch, const Rng& rng) const {
  constexpr int64_t kNumbers = int64_t{1} << 22;
  const at::NoGradGuard no_grad;
  const Group& group = latents_.groups()[0];
  const int64_t n = batch.size(), step = std::max<int64_t>(1, kNumbers / std::max<int64_t>(1, n * group.dim));
  const Tensor share = at::full({1, n}, -std::log(static_cast<double>(n)), at::kDouble);
  const auto q = group.posterior->at(own_parameters(prepared(batch), rng).at(group.name));
  const Tensor z =
      q->rsample(batch.normal(rng.fold("aggregate"), {1, group.posterior->num_noise()}, "posterior", dtype_)
                     .transpose(0, 1)
                     .contiguous());
  std::vector<Tensor> joint, product;
  for (int64_t begin = 0; begin < n; begin += step) {
    const AggregateDensity part = aggregate_density(*q, z.slice(1, begin, std::min(n, begin + step)), share);
    joint.push_back(part.joint[0]);
    if (part.product.defined()) product.push_back(part.product[0]);
  }
  std::vector<Tensor> out{q->log_prob(z)[0], at::cat(joint), group.prior->log_predictive(z, batch, globals_)[0]};
  if (!product.empty()) out.push_back(at::cat(product));
  for (Tensor& values : out) values = values.to(at::kDouble);
  return out;
}

// By the mean over draws of q given the words that are seen of what the decoder makes of them.
std::vector<Tensor> Amortized::complete(const std::vector<Tensor>& documents, const Rng& rng) const {
  constexpr int64_t kDraws = 20;
  const at::NoGradGuard no_grad;
  const auto counts = [&](size_t first) {
    const Tensor &word = documents[first], &offsets = documents[first + 2];
    const Tensor item = at::repeat_interleave(offsets.slice(0, 1) - offsets.slice(0, 0, -1));
    return at::zeros({offsets.size(0) - 1, schema_.num_features()}, dtype_)
        .index_put_({item, word.to(at::kLong)}, documents[first + 1].to(dtype_));
  };
  const Tensor seen = counts(0), held = counts(3);
  const Batch batch = batch_of(seen);
  const Prepared items = prepared(batch);
  const TensorMap own = own_parameters(items, rng);
  const auto sampling = items.columns->with_columns();
  const auto draws = inference_.draw(*sampling, own, {kDraws, "posterior", true}, judging(), rng.fold("completion"));
  Tensor p = at::zeros({seen.size(0), schema_.num_features()}, at::kDouble);
  for (int64_t s = 0; s < kDraws; ++s) {
    const auto density = sampling->with_columns();
    for (size_t i = 0; i < draws.size(); ++i) {
      const Group& group = latents_.groups()[i];
      density->set(group.name, group.posterior->transform(draws[i].z0, draws[i].parameters).first[s]);
    }
    const Tensor mean = mean_of_rows(*density).to(at::kDouble);
    p = p + mean / mean.sum(-1, true) / static_cast<double>(kDraws);
  }
  return {at::xlogy(held.to(at::kDouble), p).sum(-1), held.sum(-1).to(at::kDouble)};
}

}  // namespace vem
