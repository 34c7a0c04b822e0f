// The Bernoulli log-likelihood of float32 logits with its derivative, in one pass over memory.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// sum_d x l - log(1 + e^l), differentiable in the logits [S, rows, D]; x [rows, D], both float32. Returns [S, rows].
/// Relative accuracy of each term about 2e-7.
Tensor bernoulli_log_prob(const Tensor& logits, const Tensor& x);

}  // namespace vem
