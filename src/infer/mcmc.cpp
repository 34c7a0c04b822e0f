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

}  // namespace

double split_r_hat(const Tensor& chains) {
  const Variances v = variances(halves(chains));
  return std::sqrt(v.total / v.within);
}

Tensor aligned(const Tensor& draws, int64_t pivot) {
  const int64_t S = draws.size(0), K = draws.size(1);
  const Tensor spread = draws.reshape({S * K, -1}).std(0, /*unbiased=*/false);
  const Tensor x = draws / at::where(spread > 0, spread, at::ones_like(spread));
  const auto in_order = [&](const Tensor& order) { return x.gather(1, order.unsqueeze(-1).expand({S, K, x.size(2)})); };
  Tensor order = at::arange(K, at::kLong).repeat({S, 1}), reference = x[pivot];
  constexpr int kMostRounds = 20;
  for (int round = 0; round < kMostRounds; ++round) {
    const Tensor next = at::empty_like(order);
    for (int64_t s = 0; s < S; ++s)
      next[s].copy_(at::tensor(assignment((reference.unsqueeze(1) - x[s].unsqueeze(0)).square().sum(-1)), at::kLong));
    const bool settled = round > 0 && at::equal(next, order);
    order = next;
    if (settled) break;
    reference = in_order(order).mean(0);
  }
  return order;
}

double effective_sample_size(const Tensor& chains) {
  const Tensor split = halves(chains);
  const double total = variances(split).total, draws = static_cast<double>(split.numel());
  const int64_t n = split.size(1);
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
