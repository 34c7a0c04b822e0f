// The formulas of normal distributions. What a training step does with a diagonal one is one node each of the autograd
// graph: at small batches a step spends more time on nodes than on numbers. Those have gradients of the first order
// only. Legend: R rows, L dimensions; all of one floating type on the CPU.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// z = mean + exp(log_std) * noise [..., R, L]: mean and log_std [R, L], noise [..., R, L]. Throws Error for other
/// shapes.
Tensor normal_sample(const Tensor& mean, const Tensor& log_std, const Tensor& noise);

/// KL(N(mean, exp(log_std)^2) || N(0, 1)) element by element (Kingma and Welling 2014, appendix B). With the distance
/// of the means over p's standard deviation and the log of the ratio of standard deviations, KL(q || p) of any two.
Tensor normal_kl_to_standard(const Tensor& mean, const Tensor& log_std);

/// log N(x; m, S) in `dims` dimensions, by the squared length of the standardised x - m and by log |S| / 2.
Tensor normal_log_density(const Tensor& square, const Tensor& half_log_det, int64_t dims = 1);

}  // namespace vem
