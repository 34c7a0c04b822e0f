// The inner optimisation of q: textbook variational EM for a deep model, from zeros, from the last q, or from an
// encoder.
#include "vae.h"

namespace vem {
namespace {

constexpr int64_t kConvergenceCheck = 5;    // inner steps between two tests for convergence
constexpr int64_t kCheckSamples = 4;        // draws of z that such a test takes at least
constexpr double kSmallestStep = 1.0 / 16;  // share of the inner learning rate at which an item rests
constexpr int64_t kFromScratch = 10;    // an evaluation without an encoder starts anew: so many times the inner steps
constexpr int64_t kDecoderRows = 4000;  // samples x items that are decoded at a time, which bounds memory
constexpr int64_t kJudgements = 20;  // evaluations of the objective, on draws of their own, that a bound is the mean of

/// Directions of Adam (Kingma and Ba 2015) for the parameters of q; the second moment forgets faster than a network's.
class InnerAdam {
 public:
  explicit InnerAdam(const Tensor& like) : first_(at::zeros_like(like)), second_(at::zeros_like(like)) {}
  Tensor direction(const Tensor& gradient) {
    ++steps_;
    first_ = 0.9 * first_ + 0.1 * gradient;
    second_ = 0.99 * second_ + 0.01 * gradient * gradient;
    const double t = static_cast<double>(steps_);
    return (first_ / (1 - std::pow(0.9, t))) / ((second_ / (1 - std::pow(0.99, t))).sqrt() + 1e-8);
  }

 private:
  Tensor first_, second_;
  int64_t steps_ = 0;
};

}  // namespace

Tensor Vae::start_of(const Batch& batch) const {
  const Tensor zero = at::zeros({batch.size(), posterior_->num_parameters()}, dtype_);
  const auto it = batch.local.find("q");
  return it == batch.local.end() ? zero : at::where(it->second.isnan(), zero, it->second);
}

// Adam on the parameters of q, fresh noise each step. Every few steps the bound of each item is looked at on one fixed
// set of noise: where it set no new mark twice running, the item's steps are halved, and it rests once they are small.
// The last q is taken, not that of the highest mark, which would be fitted to the fixed noise. What else is in the
// batch plays no part.
Tensor Vae::refine(const Tensor& x, const Tensor& start, const Batch& batch, const Step& step, int64_t steps,
                   const Rng& rng, bool settle) const {
  const Tensor check_noise = noise(batch, rng.fold("inner check"), std::max(kCheckSamples, objective_->num_samples()));
  const auto gradient_at = [&](const Tensor& q, int64_t i) {
    const at::AutoGradMode on(true);
    const Tensor leaf = q.detach().requires_grad_(),
                 draws = noise(batch, rng.fold(static_cast<uint64_t>(i)), objective_->num_samples());
    const Pull p = pull(x, leaf, draws, batch, step, Sums::none);
    return gradients_of(p.outputs, {leaf}, p.gradients)[0];
  };
  const at::NoGradGuard off;
  const auto bound_at = [&](const Tensor& q) {
    return pull(x, q, check_noise, batch, step, Sums::none).value.bound.unsqueeze(-1);
  };
  const Tensor weight = batch.weight.to(dtype_).clamp_min(1e-30).unsqueeze(-1);
  InnerAdam adam(start);
  Tensor q = start.detach(), rate = at::full_like(weight, o_.inner_learning_rate), stalls = at::zeros_like(rate), best;
  const bool checks = !settle && o_.inner_tolerance > 0 && steps > kConvergenceCheck;
  if (checks) best = bound_at(q);
  for (int64_t i = 1; i <= steps; ++i) {
    const double share = settle ? 1 - static_cast<double>(i - 1) / static_cast<double>(steps) : 1;
    q = q + share * rate * adam.direction(gradient_at(q, i) / weight);  // per item, whatever its weight
    if (!checks || i % kConvergenceCheck != 0) continue;
    const Tensor bound = bound_at(q), rose = bound - best > o_.inner_tolerance;
    best = at::where(rose, bound, best);
    stalls = at::where(rose, at::zeros_like(stalls), stalls + 1);
    const Tensor halve = stalls == 2;
    stalls = at::where(halve, at::zeros_like(stalls), stalls);
    rate = at::where(halve, 0.5 * rate, rate);
    rate = at::where(rate < kSmallestStep * o_.inner_learning_rate, at::zeros_like(rate), rate);
    if (!rate.any().item<bool>()) break;
  }
  return q;
}

int64_t Vae::inner_steps(const Step& step) const {
  return encoder_ || step.training ? o_.inner_steps : kFromScratch * o_.inner_steps;
}

// A q that is off lets importance weights miss most of p(x), so that their log-likelihood may fall below the bound of a
// better q: hence the draws are those of the best one.
std::vector<Tensor> Vae::bounds(const Tensor& x, int64_t steps, int64_t samples, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Batch batch = rows(x);
  const Tensor y = scaled(x), amortized = encoder_->forward(seen(y));
  Step step;
  step.training = false;
  const Tensor local = refine(y, amortized, batch, step, steps, rng, true);
  std::vector<Tensor> result;
  for (const Tensor& q : {amortized, local}) {
    Tensor sum = at::zeros({x.size(0)}, at::kDouble);
    for (int64_t i = 0; i < kJudgements; ++i) {
      const Tensor draws =
          noise(batch, rng.fold("judgement").fold(static_cast<uint64_t>(i)), objective_->num_samples());
      sum = sum + pull(y, q, draws, batch, step, Sums::none).value.bound;
    }
    const Tensor mean = sum / static_cast<double>(kJudgements);
    result.push_back(standardized_ ? mean + log_jacobian(y) : mean);
  }
  const int64_t at_once = std::max<int64_t>(1, kDecoderRows / std::max<int64_t>(1, x.size(0)));
  Tensor sum;
  for (int64_t done = 0; done < samples; done += at_once) {
    const Rng draws = rng.fold("importance").fold(static_cast<uint64_t>(done));
    const Tensor part = weighted_draws(batch, local, std::min(at_once, samples - done), draws).second.logsumexp(0);
    sum = sum.defined() ? at::logaddexp(sum, part) : part;
  }
  result.push_back(sum - std::log(static_cast<double>(samples)));
  return result;
}

}  // namespace vem
