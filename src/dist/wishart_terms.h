// What the Wishart and the normal-Wishart share. V is the inverse of the scale matrix, by its lower Cholesky factor.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// log of the integral of |X|^((df - D - 1) / 2) exp(-tr(V X) / 2) (Bishop, PRML, B.79), df [...], half log|V| [...].
Tensor wishart_log_normaliser(const Tensor& df, const Tensor& half_log_det_v, int64_t D);
/// E[log|X|] (B.81).
Tensor wishart_expected_log_det(const Tensor& df, const Tensor& half_log_det_v, int64_t D);
/// Bartlett's lower factor A [..., D, D] of a standard Wishart draw A A' (Bartlett 1933), from standard normal noise
/// [..., D, D] and the logs of Gamma((df - i) / 2) draws [..., D].
Tensor bartlett(const Tensor& noise, const Tensor& log_gamma);
/// Shape parameters (df - i) / 2 of those gamma draws [..., D].
Tensor bartlett_shapes(const Tensor& df, int64_t D);

}  // namespace vem
