// Where a fit stands: everything that a resume needs beside the model, as tensors under "trainer/".
#pragma once

#include "vem/core/expectation.h"

namespace vem {

/// What a fit of one model on one data set expects of its state: a checkpoint must agree before any of it is used.
struct FitShape {
  int64_t items = 0;      ///< of the training data
  int64_t batches = 0;    ///< of a pass
  bool memoised = false;  ///< whether each batch's sums are kept
  Expectation empty;      ///< the E-step of no items: keys, types and shapes of sums, metrics and per-item state
};

struct FitState {
  int64_t epoch = 0, batch = 0, iteration = 0;  ///< passes, batches of this pass and M-steps done
  int64_t epochs_since_best = 0;
  double best;                     ///< best validation (else training) bound per item so far
  double previous;                 ///< the last exact total bound, for monotonicity; NaN: none
  double pass_end;                 ///< the exact total bound after the last pass, for tolerance; NaN: none
  Tensor bounds;                   ///< [epoch] float64: what was judged after each pass, per item
  Expectation epoch_total;         ///< count, bound and metrics of this pass so far
  TensorMap local;                 ///< per-item state by position; NaN rows for items never seen
  std::vector<Expectation> cache;  ///< memoised: each batch's reduced sums
  Expectation total;               ///< memoised: the sum of the cache as it was updated, to the bit
  TensorMap extrapolation;         ///< what Squarem remembers, which checks it itself
  std::vector<Tensor> entropy;     ///< memoised: each batch's bound - <sums, t>, [] float64

  FitState();
  TensorMap to_tensors() const;
  /// The inverse. Throws DataError that names the entry, what it is and what it should be, for an entry that is
  /// missing, unknown, of another type or shape, or out of range.
  static FitState from_tensors(const TensorMap& tensors, const FitShape& shape);
};

/// "float64 [3, 2]".
std::string type_and_shape(at::ScalarType type, at::IntArrayRef sizes);

}  // namespace vem
