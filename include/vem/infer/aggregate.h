// The aggregate posterior q(z) = 1/N sum_n q(z | x_n): what the latents of a data set look like as a whole. With it the
// mean KL to the prior splits into information, dependence and shape (Hoffman and Johnson 2016; Chen et al. 2018,
// equation 2).
#pragma once

#include "vem/dist/distribution.h"

namespace vem {

struct AggregateDensity {
  Tensor joint;  ///< log sum_j w_ij q(z_i | x_j) [S, R]
  Tensor
      product;  ///< sum over dimensions of the same for one dimension of z [S, R]; undefined unless q's are independent
};

/// At draws z [S, R, L]; q holds J items; log_weight [R, J] or [1, J]. Differentiable in z and q. Memory S x R x J x L.
AggregateDensity aggregate_density(const Distribution& q, const Tensor& z, const Tensor& log_weight);

/// log sum_k w_k q_k(z) at draws z [S, R, L] -> [S, R], by one matrix product where the components [K] have a natural
/// form; log_weight [K].
Tensor mixture_log_density(const Distribution& components, const Tensor& z, const Tensor& log_weight);

}  // namespace vem
