// Stops a fit in the middle, for tests of resuming.
#pragma once

#include "vem/train/callback.h"

namespace vem {

/// Stops a fit after so many M-steps and keeps what a checkpoint would hold.
class StopAfter final : public Callback {
 public:
  explicit StopAfter(int64_t updates) : updates_(updates) {}
  bool on_update(const Model&, const Expectation&, const Step&) override { return --updates_ > 0; }
  void on_end(const Model&, const std::string&, const std::function<TensorMap()>& state) override { state_ = state(); }
  const TensorMap& state() const { return state_; }

 private:
  int64_t updates_;
  TensorMap state_;
};

}  // namespace vem
