// Several closed-form models of one kind that see the same rows, as one model of all their components. Small models
// spend a pass in calls and not in work: ten of them side by side take little more time than one.
#pragma once

#include "vem/infer/factored.h"

namespace vem {

class SideBySide {
 public:
  /// `size` models of `num_states` states like `part`, which are none of them before take(). Their priors come from
  /// the moments that its own were set from.
  SideBySide(Factored& part, const Choice& allocation, const Choice& observation, int64_t num_states,
             const Moments& moments, int64_t size);
  /// How many are worth having: one where rows depend on each other or where components share parameters.
  static int64_t most(const Factored& part, const Choice& allocation, const Choice& observation, int64_t num_states);

  /// The r-th becomes what `part` is.
  void take(int64_t r);
  /// `part` becomes what the r-th is.
  void give(int64_t r);
  /// As Factored::expect(), with a bound for each: [size].
  Expectation expect(const RowReader& rows, const Batch& batch) const;
  /// An E-step and an M-step of each.
  void pass(const RowReader& rows, const Batch& batch, const Rng& rng);

 private:
  Factored& part_;
  Factored all_;
};

}  // namespace vem
