// The assignment problem: which of n rows goes with which of n columns. For components and topics of two models, whose
// order means nothing.
#pragma once

#include <vector>

#include "vem/core/types.h"

namespace vem {

/// The Hungarian method for the smallest sum of costs [n, n], by shortest augmenting paths with potentials (Jonker and
/// Volgenant 1987): the column of each row. Throws Error for a cost that is not finite.
std::vector<int64_t> assignment(const Tensor& costs);

}  // namespace vem
