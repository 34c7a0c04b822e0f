// Variances within and between halves of chains, and the variogram.
#include "vem/infer/mcmc.h"

#include "vem/core/error.h"
#include "vem/infer/assignment.h"

namespace vem {
namespace {

/// [M, n] to the halves [2 M, n / 2]; an odd draw in the middle is left out.
Tensor halves(const Tensor& chains) {
  if (chains.dim() != 2 || chains.size(1) < 4)
    fail<Error>("mcmc: chains have shape [{}], [chains, 4 draws or more] is expected", fmt::join(chains.sizes(), ", "));
  const int64_t n = chains.size(1) / 2;
  return at::cat({chains.slice(1, 0, n), chains.slice(1, chains.size(1) - n)});
}

struct Variances {
  double within, total;  // W and var+ of (11.3)
};

Variances variances(const Tensor& split) {
  const auto n = static_cast<double>(split.size(1));
  const double within = split.var(1).mean().item<double>(), between = n * split.mean(1).var().item<double>();
  return {within, (n - 1) / n * within + between / n};
}

/// The order [S, K] of the components of each draw that costs least, given a reference that follows from the order:
/// cost(s) is [K, K], of each component of draw s (columns) in each place (rows), refer(order) takes a new reference.
template <class Refer, class Cost>
Tensor settled_order(int64_t S, int64_t K, const Refer& refer, const Cost& cost) {
  constexpr int kMostRounds = 20;
  Tensor order;
  for (int round = 0; round < kMostRounds; ++round) {
    const Tensor next = at::empty({S, K}, at::kLong);
    for (int64_t s = 0; s < S; ++s) next[s].copy_(at::tensor(assignment(cost(s)), at::kLong));
    const bool settled = order.defined() && at::equal(next, order);
    order = next;
    if (settled) break;
    refer(order);
  }
  return order;
}

}  // namespace

double split_r_hat(const Tensor& chains) {
  const Variances v = variances(halves(chains));
  return std::sqrt(v.total / v.within);
}

Tensor aligned_by_assignments(const Tensor& assignments, int64_t K, int64_t pivot) {
  const int64_t S = assignments.size(0), R = assignments.size(1);
  Tensor reference = at::one_hot(assignments[pivot], K).to(at::kDouble);  // [R, K]: shares of draws
  const auto refer = [&](const Tensor& order) {
    const Tensor place = at::empty_like(order).scatter_(1, order, at::arange(K, at::kLong).expand({S, K}));
    const Tensor cell = place.gather(1, assignments) + K * at::arange(R, at::kLong);
    reference = cell.flatten().bincount({}, R * K).view({R, K}).to(at::kDouble) / static_cast<double>(S);
  };
  const auto cost = [&](int64_t s) {
    return -at::zeros({K, K}, at::kDouble).index_add(0, assignments[s], reference).t();
  };
  return settled_order(S, K, refer, cost);
}

Tensor aligned(const Tensor& draws, int64_t pivot) {
  const int64_t S = draws.size(0), K = draws.size(1), P = draws.size(2);
  const Tensor pooled = draws.reshape({S * K, P}).std(0, /*unbiased=*/false);
  const auto unit_of = [&](const Tensor& variance) {
    const Tensor unit = at::maximum(variance.sqrt(), 1e-6 * pooled);
    return at::where(unit > 0, unit, at::ones_like(unit));
  };
  // At first by the steps from draw to draw, since a sampler seldom exchanges the labels of two components.
  const Tensor steps = draws.slice(0, 1) - draws.slice(0, 0, S - 1);
  Tensor reference = draws[pivot], unit = unit_of(S > 1 ? steps.square().flatten(0, 1).mean(0) / 2 : pooled.square());
  const auto refer = [&](const Tensor& order) {
    const Tensor sorted = draws.gather(1, order.unsqueeze(-1).expand({S, K, P}));
    reference = sorted.mean(0);
    unit = unit_of(sorted.var(0, /*unbiased=*/false).mean(0));
  };
  const auto cost = [&](int64_t s) {
    return ((reference.unsqueeze(1) - draws[s].unsqueeze(0)) / unit).square().sum(-1);
  };
  return settled_order(S, K, refer, cost);
}

double effective_sample_size(const Tensor& chains) {
  const Tensor split = halves(chains);
  const double total = variances(split).total, draws = static_cast<double>(split.numel());
  const int64_t n = split.size(1);
  if (total == 0) return std::numeric_limits<double>::quiet_NaN();
  const auto correlation = [&](int64_t lag) {
    const Tensor steps = split.slice(1, lag) - split.slice(1, 0, n - lag);
    return 1 - steps.square().mean().item<double>() / (2 * total);
  };
  double sum = 0;
  for (int64_t lag = 1; lag + 1 < n; lag += 2) {
    const double first = correlation(lag), second = correlation(lag + 1);
    if (lag > 1 && first + second < 0) break;
    sum += first + second;
  }
  return std::min(draws, draws / (1 + 2 * sum));
}

}  // namespace vem
