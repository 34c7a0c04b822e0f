// What natural parameters below which nothing can be told from count as.
#pragma once

namespace vem {

/// A component that has seen less than this counts as never seen: ratios of such numbers have no digits.
inline constexpr double kNeverSeen = 1e-250;

/// The precision's exponent over beta at least: a prior without a mode then gives a very wide normal, not an infinite
/// one.
inline constexpr double kSmallestExponent = 1e-12;

}  // namespace vem
