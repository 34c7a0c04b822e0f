// Ctrl-C and SIGTERM end a training run after the current update, with a checkpoint.
#pragma once

#include "clock.h"
#include "vem/train/callback.h"

namespace vem {

/// Signals that end the program (SIGINT, SIGTERM, SIGHUP) remove the file that it is writing first.
void end_cleanly_on_signals();

/// Listens while it lives. A second signal of the same kind ends the program at once. An update that does not end
/// after the first one, since it takes long or hangs in a library, is said to be waited for after `notice` seconds, and
/// after `patience` seconds (at least twice the longest update so far) the signal ends the program.
class Signals final : public Callback {
 public:
  explicit Signals(int notice = 5, int patience = 60);
  ~Signals() override;
  bool on_update(const Model&, const Expectation&, const Step&) override;
  /// The number of the signal that came, or 0.
  static int received();

 private:
  Clock::time_point last_update_;
};

}  // namespace vem
