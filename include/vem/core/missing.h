// Missing cells are NaN.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// Whether any number of x, of any type and shape, is NaN: one pass at the speed of memory.
bool has_missing(const Tensor& x);

}  // namespace vem
