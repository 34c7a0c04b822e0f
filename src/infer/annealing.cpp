#include "vem/infer/annealing.h"

#include <torch/csrc/autograd/autograd.h>

namespace vem {
namespace {

constexpr double kFirstStep = 0.05, kFaster = 1.02, kTarget = 0.65;  // of the step size, each move; acceptance
constexpr double kSpread = 4;  // half of the sigmoid's range that temperatures are taken from

/// 0 = b_0 < ... < b_T = 1.
std::vector<double> temperatures(int64_t T) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const double low = sigmoid(-kSpread), high = sigmoid(kSpread);
  std::vector<double> b;
  for (int64_t t = 0; t <= T; ++t)
    b.push_back((sigmoid(kSpread * (2 * static_cast<double>(t) / static_cast<double>(T) - 1)) - low) / (high - low));
  b.front() = 0;
  b.back() = 1;
  return b;
}

/// Where chains are, with both log densities [C, N] float64 and their slopes [C, N, L]: what they are at any
/// temperature.
struct Point {
  Tensor z, log_prior, log_likelihood, prior_slope, likelihood_slope;

  Tensor energy(double b) const { return log_prior + b * log_likelihood; }
  Tensor slope(double b) const { return prior_slope + b * likelihood_slope; }
};

/// Hamiltonian moves of all chains of all items side by side (Neal 2011, section 5.3), each item with a step size of
/// its own.
class Mover {
 public:
  Mover(const Annealed& target, const Tensor& start, const AnnealingSettings& settings, const Rng& rng)
      : target_(target),
        settings_(settings),
        rng_(rng),
        here_(at_point(start)),
        step_(at::full({1, start.size(1), 1}, kFirstStep, start.options())),
        accepted_(at::zeros({start.size(1)}, at::kDouble)) {}

  const Tensor& log_likelihood() const { return here_.log_likelihood; }
  Tensor acceptance() const { return accepted_ / static_cast<double>(std::max<int64_t>(moves_, 1)); }

  /// One move that leaves p(z) p(x | z)^b as it is.
  void move(double b) {
    const Rng rng = rng_.fold(static_cast<uint64_t>(moves_++));
    const int64_t C = here_.z.size(0), N = here_.z.size(1), L = here_.z.size(2);
    const Tensor index = at::arange(C * N, at::kLong);
    Tensor p = rng.normal(index, {L}, "momentum", here_.z.scalar_type()).view({C, N, L});
    const Tensor before = here_.energy(b) - 0.5 * p.square().sum(-1).to(at::kDouble);
    Point there = here_;
    p = p + 0.5 * step_ * there.slope(b);
    for (int64_t i = 1; i <= settings_.leapfrog; ++i) {
      there = at_point(there.z + step_ * p);
      p = p + (i < settings_.leapfrog ? 1.0 : 0.5) * step_ * there.slope(b);
    }
    const Tensor after = there.energy(b) - 0.5 * p.square().sum(-1).to(at::kDouble);
    const Tensor log_u = rng.uniform(index, {}, "accept").view({C, N}).log();
    const Tensor accept = log_u < after - before;  // false for NaN
    const auto keep = [&](Tensor Point::*part, const Tensor& accepted) {
      here_.*part = at::where(accepted, there.*part, here_.*part);
    };
    for (const auto part : {&Point::log_prior, &Point::log_likelihood}) keep(part, accept);
    for (const auto part : {&Point::z, &Point::prior_slope, &Point::likelihood_slope}) keep(part, accept.unsqueeze(-1));
    const Tensor share = accept.to(at::kDouble).mean(0);
    accepted_ = accepted_ + share;
    const Tensor faster = (share > kTarget).view({1, N, 1});
    step_ = at::where(faster, step_ * kFaster, step_ / kFaster);
  }

 private:
  Point at_point(const Tensor& z) const {
    const at::AutoGradMode on(true);
    const Tensor leaf = z.detach().requires_grad_();
    const auto with_slope = [&](const Tensor& value) {
      return std::make_pair(value.detach().to(at::kDouble), torch::autograd::grad({value.sum()}, {leaf})[0]);
    };
    const auto prior = with_slope(target_.log_prior(leaf)), likelihood = with_slope(target_.log_likelihood(leaf));
    return {leaf.detach(), prior.first, likelihood.first, prior.second, likelihood.second};
  }

  const Annealed& target_;
  AnnealingSettings settings_;
  Rng rng_;
  Point here_;
  Tensor step_, accepted_;
  int64_t moves_ = 0;
};

}  // namespace

AnnealingResult anneal(const Annealed& target, const Tensor& prior_draws, const AnnealingSettings& settings,
                       const Rng& rng) {
  const at::NoGradGuard no_grad;
  Mover mover(target, prior_draws, settings, rng);
  const std::vector<double> b = temperatures(settings.temperatures);
  Tensor log_weights = at::zeros({prior_draws.size(0), prior_draws.size(1)}, at::kDouble);
  for (size_t t = 1; t < b.size(); ++t) {
    log_weights = log_weights + (b[t] - b[t - 1]) * mover.log_likelihood();
    if (t + 1 < b.size()) mover.move(b[t]);
  }
  return {log_weights, mover.acceptance()};
}

AnnealingResult anneal_back(const Annealed& target, const Tensor& posterior_draws, const AnnealingSettings& settings,
                            const Rng& rng) {
  const at::NoGradGuard no_grad;
  Mover mover(target, posterior_draws, settings, rng);
  const std::vector<double> b = temperatures(settings.temperatures);
  Tensor log_weights = at::zeros({posterior_draws.size(0), posterior_draws.size(1)}, at::kDouble);
  for (size_t t = b.size() - 1; t > 0; --t) {
    if (t + 1 < b.size()) mover.move(b[t]);
    log_weights = log_weights - (b[t] - b[t - 1]) * mover.log_likelihood();
  }
  return {log_weights, mover.acceptance()};
}

}  // namespace vem
