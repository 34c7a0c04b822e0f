// A bound on logarithms of scales and rates, so that their exponentials stay within float32 whatever a network says.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// x itself within [-30, 30]. Beyond, it approaches -40 or 40 and never reaches them: the slope falls like the square
/// of what is left, so that no gradient dies. Squares of exp() of it are finite in float32.
Tensor soft_bound(const Tensor& x);

}  // namespace vem
