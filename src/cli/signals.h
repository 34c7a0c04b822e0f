// Ctrl-C and SIGTERM end a training run after the current update, with a checkpoint.
#pragma once

#include "vem/train/callback.h"

namespace vem {

/// Signals that end the program (SIGINT, SIGTERM, SIGHUP) remove the file that it is writing first.
void end_cleanly_on_signals();

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
