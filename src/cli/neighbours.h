// Gives way to other programs while a model is fitted.
#pragma once

#include "vem/core/busy_cores.h"
#include "vem/train/callback.h"

namespace vem {

/// Lets threads sleep while they wait for each other as long as other programs take cores; says so the first time.
class Neighbours final : public Callback {
 public:
  void on_batch(const Step&, int64_t) override {
    if (!cores_.look() || said_) return;
    said_ = true;
    fmt::print(stderr,
               "other programs take {:.1f} of {} cores: threads sleep while they wait for each other, as long as that "
               "lasts\n",
               cores_.last().others(), cores_.last().cores);
  }

 private:
  BusyCores cores_;
  bool said_ = false;
};

}  // namespace vem
