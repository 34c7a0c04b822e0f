// Positive infinity by its name.
#pragma once

#include <limits>

namespace vem {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace vem
