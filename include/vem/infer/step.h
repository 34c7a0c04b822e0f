// Where the loop stands: what an E-step and an M-step may depend on beside data and randomness.
#pragma once

#include <map>
#include <string>

#include "vem/core/types.h"

namespace vem {

struct Step {
  int64_t iteration = 0;    ///< M-steps done
  int64_t epoch = 0;        ///< passes over the data done
  double progress = 0;      ///< in epochs, with the fraction of the current one: the argument of schedules
  double num_epochs = 0;    ///< where progress ends
  Tensor bounds;            ///< [epoch] float64: the judged bound per item after each pass, that of the validation
                            ///< data where there are some; undefined: none yet
  double total_weight = 0;  ///< sum of item weights of the training data
  Tensor scale;             ///< [] float64: total_weight / count of a partial pass; undefined: 1
  std::map<std::string, double> weights;  ///< Model::schedules(), evaluated: "learning_rate", "kl_weight", "rho" ...
  bool training = true;                   ///< false: only bound, count and metrics are wanted, and every weight is 1

  /// A scheduled weight; 1 where there is none.
  double weight(const std::string& name) const;
};

}  // namespace vem
