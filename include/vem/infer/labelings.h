// How many ways of numbering components leave a model as it is.
#pragma once

#include <cmath>
#include <string>

#include "vem/core/types.h"

namespace vem {

/// A variational bound covers one of these numberings, so bounds of models are compared after their logarithm is added
/// (Bishop, PRML, section 10.2.4). The default: one numbering, which adds nothing.
struct Labelings {
  double log_count = 0;
  std::string formula{};  ///< log_count in words, "ln K!"; empty where it is always 0

  /// All orders of `num_components`.
  static Labelings all_orders(int64_t num_components) {
    return {std::lgamma(static_cast<double>(num_components) + 1), "ln K!"};
  }
};

}  // namespace vem
