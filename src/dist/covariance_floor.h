// A smallest variance in any direction, as a constraint on covariances of maximum likelihood and MAP.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// Matrices [R, D, D] with an eigenvalue that is not above `floor`: [R] bool.
Tensor below_floor(const Tensor& covariance, double floor);
/// Clips the eigenvalues of those that need it: minimises tr(Lambda V) - n log|Lambda| under the constraint.
Tensor floored(const Tensor& covariance, double floor);

}  // namespace vem
