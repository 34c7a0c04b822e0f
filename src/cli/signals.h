// Ctrl-C and SIGTERM end a training run after the current update, with a checkpoint.
#pragma once

#include "vem/train/callback.h"

namespace vem {

/// Listens while it lives. A second signal of the same kind ends the program at once.
class Signals final : public Callback {
 public:
  Signals();
  ~Signals() override;
  bool on_update(const Model&, const Expectation&, const Step&) override { return received() == 0; }
  /// The number of the signal that came, or 0.
  static int received();
};

}  // namespace vem
