#include "support/chain_reference.h"

#include "vem/core/rng.h"

namespace vem {

Tensor plain_log_norm(const Chain& chain) {
  const Tensor start = chain.log_start.view({-1});
  std::vector<Tensor> norms;
  for (int64_t n = 0; n + 1 < chain.offsets.size(0); ++n) {
    const int64_t begin = chain.offsets[n].item<int64_t>(), end = chain.offsets[n + 1].item<int64_t>();
    if (begin == end) {
      norms.push_back(at::zeros({}, at::kDouble));
      continue;
    }
    Tensor a = start + chain.log_lik[begin];
    for (int64_t t = begin + 1; t < end; ++t)
      a = at::logsumexp(a.unsqueeze(1) + chain.log_transition, 0) + chain.log_lik[t];
    norms.push_back(at::logsumexp(a, 0));
  }
  return norms.empty() ? at::zeros({0}, at::kDouble) : at::stack(norms);
}

ChainCounts plain_counts(const Chain& chain, const Tensor& weight) {
  const at::AutoGradMode on(true);
  Chain leaves = chain;
  for (Tensor* t : {&leaves.log_lik, &leaves.log_start, &leaves.log_transition})
    *t = t->detach().to(at::kDouble).clone().requires_grad_();
  const Tensor norm = plain_log_norm(leaves);
  const std::vector<Tensor> inputs{leaves.log_lik, leaves.log_start, leaves.log_transition};
  std::vector<Tensor> g(3);
  if (norm.requires_grad()) g = torch::autograd::grad({(norm * weight).sum()}, inputs, {}, {}, false, true);
  for (size_t i = 0; i < 3; ++i)
    if (!g[i].defined()) g[i] = at::zeros_like(inputs[i]);
  return {norm.detach(), g[0], g[1].view({-1}), g[2]};
}

Paths enumerate_paths(const Chain& chain) {
  const int64_t T = chain.log_lik.size(0), K = chain.log_lik.size(1);
  int64_t count = 1;
  for (int64_t t = 0; t < T; ++t) count *= K;
  Paths paths{at::empty({count, T}, at::kLong), {}};
  Tensor rest = at::arange(count, at::kLong);
  for (int64_t t = T - 1; t >= 0; --t) {  // the first step varies slowest
    paths.states.select(1, t).copy_(rest.remainder(K));
    rest = rest.div(K, "floor");
  }
  const Tensor z = paths.states;
  paths.log_joint = chain.log_start.view({-1}).index_select(0, z.select(1, 0));
  for (int64_t t = 0; t < T; ++t) {
    paths.log_joint = paths.log_joint + chain.log_lik[t].index_select(0, z.select(1, t));
    if (t > 0) paths.log_joint = paths.log_joint + chain.log_transition.index({z.select(1, t - 1), z.select(1, t)});
  }
  return paths;
}

ChainCounts enumerated_counts(const Chain& chain) {
  const Paths paths = enumerate_paths(chain);
  const int64_t T = chain.log_lik.size(0), K = chain.log_lik.size(1);
  const Tensor norm = at::logsumexp(paths.log_joint, 0), p = (paths.log_joint - norm).exp();
  ChainCounts counts{norm.view({1}), at::zeros({T, K}, at::kDouble), {}, at::zeros({K, K}, at::kDouble)};
  for (int64_t t = 0; t < T; ++t) {
    counts.marginals[t].index_add_(0, paths.states.select(1, t), p);
    if (t > 0)
      counts.transitions.view({-1}).index_add_(0, paths.states.select(1, t - 1) * K + paths.states.select(1, t), p);
  }
  counts.start = counts.marginals[0];
  return counts;
}

Chain random_chain(int64_t num_states, const std::vector<int64_t>& lengths, uint64_t seed, bool zeros) {
  const Rng rng(seed);
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  const auto normal = [&](int64_t rows, const char* stream) {
    return rng.normal(at::arange(rows, at::kLong), {num_states}, stream);
  };
  Chain chain{3 * normal(offsets.back(), "log_lik"), at::log_softmax(normal(1, "start")[0], -1),
              normal(num_states, "transition"), at::tensor(offsets, at::kLong)};
  if (zeros) {  // never back to the state before
    const Tensor k = at::arange(num_states, at::kLong);
    const Tensor forbidden = (k.unsqueeze(0) + 1).eq(k.unsqueeze(1));
    chain.log_transition.masked_fill_(forbidden, -std::numeric_limits<double>::infinity());
  }
  chain.log_transition = at::log_softmax(chain.log_transition, -1);
  return chain;
}

}  // namespace vem
