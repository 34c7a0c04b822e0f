// Plain versions of chain inference: a log-sum-exp recursion that autograd can follow, and sums over all K^T paths.
#pragma once

#include "vem/infer/forward_backward.h"

namespace vem {

/// log_norm [N], step by step in logarithms.
Tensor plain_log_norm(const Chain& chain);
/// The counts of forward_backward() as autograd's gradients of plain_log_norm().
ChainCounts plain_counts(const Chain& chain, const Tensor& weight);

/// Every path through one sequence (offsets are ignored): [K^T, T] int64, and its log p(x, z) [K^T].
struct Paths {
  Tensor states, log_joint;
};
Paths enumerate_paths(const Chain& chain);
/// The same counts from the enumeration, of weight one.
ChainCounts enumerated_counts(const Chain& chain);

/// A chain of random potentials; lengths of its items; `zeros`: some transitions are forbidden.
Chain random_chain(int64_t num_states, const std::vector<int64_t>& lengths, uint64_t seed, bool zeros = false);

}  // namespace vem
