// Whole paths through a Markov chain: the best one, and draws.
#include "chain_layout.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/core/target_clones.h"

#include <ATen/Parallel.h>

namespace vem {
namespace {

/// best[j] = max_i before[i] + log_a[i, j] + log_lik[j], and which i.
VEM_CLONES void step(const double* __restrict before, const double* __restrict log_a, const double* __restrict log_lik,
                     double* __restrict best, int32_t* __restrict from, int64_t K) {
  for (int64_t j = 0; j < K; ++j) {
    best[j] = before[0] + log_a[j];
    from[j] = 0;
  }
  for (int64_t i = 1; i < K; ++i) {
    const double b = before[i];
    const double* const row = log_a + i * K;
    for (int64_t j = 0; j < K; ++j) {
      const bool better = b + row[j] > best[j];
      best[j] = better ? b + row[j] : best[j];
      from[j] = better ? static_cast<int32_t>(i) : from[j];
    }
  }
  for (int64_t j = 0; j < K; ++j) best[j] += log_lik[j];
}

/// The best path of an item's first T steps (one or more); returns its log p(x, z). Where that is -infinity, `states`
/// mean nothing.
double best_path(const Potentials& p, int64_t item, int64_t T, int64_t* states) {
  const int64_t K = p.K;
  const double *const log_a = p.log_transition.data_ptr<double>(), *const log_start = p.log_start.data_ptr<double>();
  std::vector<int32_t> from(static_cast<size_t>(T * K));
  std::vector<double> now(static_cast<size_t>(K)), next(static_cast<size_t>(K));
  for (int64_t k = 0; k < K; ++k) now[static_cast<size_t>(k)] = log_start[k] + p.row(p.offset(item))[k];
  for (int64_t t = 1; t < T; ++t) {
    step(now.data(), log_a, p.row(p.offset(item) + t), next.data(), from.data() + t * K, K);
    now.swap(next);
  }
  const auto top = std::max_element(now.begin(), now.end());
  states[T - 1] = top - now.begin();
  for (int64_t t = T - 1; t > 0; --t) states[t - 1] = from[static_cast<size_t>(t * K + states[t])];
  return *top;
}

/// Steps of an item up to the first at which no path is possible.
int64_t possible_steps(const Potentials& p, int64_t item) {
  const Chain prefix{p.log_lik.slice(0, p.offset(item), p.offset(item + 1)), p.log_start, p.log_transition,
                     at::tensor({int64_t{0}, p.length(item)})};
  const Tensor impossible = chain_filter(prefix).marginals.sum(-1).eq(0);
  return impossible.any().item<bool>() ? impossible.to(at::kLong).argmax().item<int64_t>() : p.length(item);
}

/// The best path of an item, or of its possible steps with -1 after them; returns log p(x, z) of all steps.
double best_possible_path(const Potentials& p, int64_t item, int64_t* states) {
  if (p.length(item) == 0) return 0;
  const double value = best_path(p, item, p.length(item), states);
  if (value != -kInfinity) return value;
  const int64_t steps = possible_steps(p, item);
  std::fill(states + steps, states + p.length(item), -1);
  if (steps > 0) best_path(p, item, steps, states);
  return value;
}

/// The index that `u` on (0, 1) falls on when exp(log_weight) is laid end to end.
int64_t draw_state(const std::vector<double>& log_weight, double u) {
  const double top = *std::max_element(log_weight.begin(), log_weight.end());
  double sum = 0;
  for (const double w : log_weight) sum += std::exp(w - top);
  double left = u * sum;
  size_t last = 0;
  for (size_t k = 0; k < log_weight.size(); ++k) {
    const double w = std::exp(log_weight[k] - top);
    if (w > 0) last = k;
    if ((left -= w) < 0) break;
  }
  return static_cast<int64_t>(last);
}

}  // namespace

ChainPaths viterbi(const Chain& chain) {
  at::NoGradGuard no_grad;
  const Potentials p(chain);
  const ChainPaths paths{at::empty({p.rows}, at::kLong), at::empty({p.items}, at::kDouble)};
  int64_t* const states = paths.states.data_ptr<int64_t>();
  double* const values = paths.log_joint.data_ptr<double>();
  at::parallel_for(0, p.items, 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) values[item] = best_possible_path(p, item, states + p.offset(item));
  });
  return paths;
}

Tensor sample_paths(const Chain& chain, const Tensor& uniform) {
  at::NoGradGuard no_grad;
  const Potentials p(chain);
  if (uniform.dim() != 1 || uniform.size(0) != p.rows)
    fail<Error>("sample_paths: uniform has shape [{}] but [{}] is expected", fmt::join(uniform.sizes(), ", "), p.rows);
  const Tensor log_filtered = filter(p, true).marginals, u = uniform.to(at::kDouble).contiguous();
  const Tensor paths = at::empty({p.rows}, at::kLong);
  const double *const log_f = log_filtered.data_ptr<double>(), *const log_a = p.log_transition.data_ptr<double>();
  int64_t* const states = paths.data_ptr<int64_t>();
  at::parallel_for(0, p.items, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> weight(static_cast<size_t>(p.K));
    for (int64_t item = begin; item < end; ++item)
      for (int64_t r = p.offset(item + 1) - 1; r >= p.offset(item); --r) {
        const bool last = r + 1 == p.offset(item + 1);
        for (int64_t k = 0; k < p.K; ++k)
          weight[static_cast<size_t>(k)] = log_f[r * p.K + k] + (last ? 0 : log_a[k * p.K + states[r + 1]]);
        states[r] = draw_state(weight, u.data_ptr<double>()[r]);
      }
  });
  return paths;
}

}  // namespace vem
