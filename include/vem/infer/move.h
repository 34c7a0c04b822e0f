// A move takes a converged model out of a local optimum: merge, delete, birth. The loop makes it, lets a few passes
// follow, and keeps it only where the exact bound has risen, so whatever a move does is safe.
#pragma once

#include <string>

#include "vem/data/dataset.h"

namespace vem {

class Move {
 public:
  virtual ~Move() = default;
  virtual std::string name() const = 0;
  /// Changes the model, given all of its data; false where there is nothing (more) to try. `attempt` counts from 0
  /// since the last move that was kept, and an attempt is a pure function of the model's state and its number.
  virtual bool propose(const Batch& all, int64_t attempt, const Rng& rng) = 0;
};

}  // namespace vem
