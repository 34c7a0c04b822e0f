// Draws of counts that may be billions: by inversion about the mode, in time that grows with the standard deviation and
// in no memory. A draw is a function of one uniform number.
#pragma once

#include <cstdint>

namespace vem {

/// The largest count, or total of counts, of which a log-probability x log p + ... - log x! in float64 is worth
/// anything: the terms that cancel, near x log x, are then known to a quarter of a nat.
constexpr double kMostCounts = 70368744177664;  // 2^46

/// How many of `marked` things are among `draws` that are taken without replacement from `total`. 0 <= marked, draws <=
/// total < 2^53; u in (0, 1).
int64_t hypergeometric(double u, int64_t marked, int64_t total, int64_t draws);

/// How many of `trials` succeed with probability p in [0, 1]; trials < 2^53, u in (0, 1).
int64_t binomial(double u, int64_t trials, double p);

}  // namespace vem
