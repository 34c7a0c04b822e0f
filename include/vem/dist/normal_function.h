// What a training step does with a diagonal normal, each as one node of the autograd graph: at small batches a step
// spends more time on nodes than on numbers. Gradients of the first order only.
// Legend: R rows, L dimensions; all of one floating type on the CPU.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// z = mean + exp(log_std) * noise [..., R, L]: mean and log_std [R, L], noise [..., R, L]. Throws Error for other
/// shapes.
Tensor normal_sample(const Tensor& mean, const Tensor& log_std, const Tensor& noise);

/// KL(N(mean, exp(log_std)^2) || N(0, 1)) by dimension [R, L] (Kingma and Welling 2014, appendix B).
Tensor normal_kl_to_standard(const Tensor& mean, const Tensor& log_std);

}  // namespace vem
