// What an E-step sends to an M-step: sums over items, the only thing that processes ever exchange.
#pragma once

#include <map>

#include "vem/core/types.h"

namespace vem {

/// Every field but `local` is a sum over items, never a mean, so unequal batches, shards and ranks need no weights.
struct Expectation {
  Tensor count;       ///< [] float64: sum of item weights
  Tensor bound;       ///< [] float64: the local bound at the current globals, weighted by item, in nats
  TensorMap sums;     ///< keys of Model::globals() -> d bound / d that tensor
  TensorMap metrics;  ///< values that are only logged, float64
  TensorMap local;    ///< new per-item state [items, ...]; the trainer takes it out before adding

  /// Adds another part. Both must have given up `local`; metrics and sums with equal keys are added.
  Expectation& operator+=(const Expectation& other);
  /// Takes a part away again; every key of `other` must be here.
  Expectation& operator-=(const Expectation& other);

  /// One flat buffer a dtype, in the order of the keys: what a communicator reduces.
  std::map<at::ScalarType, Tensor> pack() const;
  /// The inverse of pack(), into tensors of the shapes that are here now.
  void unpack(const std::map<at::ScalarType, Tensor>& buffers);
};

}  // namespace vem
