// What columns are divided by where a model standardises its data.
#pragma once

#include <functional>
#include <string>

#include "vem/core/types.h"

namespace vem {

/// Distances [D] float64 between neighbouring numbers of a type at these values; 0 for whole numbers.
Tensor number_spacing(const Tensor& values, at::ScalarType type);

/// Standard deviations [D] to divide by: 1 where a column is constant, and where its deviation is below the spacing of
/// the numbers that it was read as, so that there is nothing in it but rounding. Sends a warning that names each
/// column of that kind, by `name_of`, as `model` speaks of it.
Tensor scales_of(const Tensor& mean, const Tensor& deviation, at::ScalarType read_as, const std::string& model,
                 const std::function<std::string(int64_t column)>& name_of);

}  // namespace vem
