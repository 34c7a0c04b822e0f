// What a person sees while a model is trained. Not the record of the run: that is metrics.jsonl.
#pragma once

#include <chrono>

#include "vem/train/callback.h"

namespace vem {

/// A live line on a terminal (bar, rate, time left, bound), one plain line an epoch elsewhere; to standard error.
class Progress final : public Callback {
 public:
  explicit Progress(bool live) : live_(live) {}
  void on_start(const Model& model, int64_t num_epochs, int64_t batches) override;
  void on_batch(const Step& step, int64_t items) override;
  bool on_update(const Model& model, const Expectation& total, const Step& step) override;
  bool on_epoch(const Model& model, const EpochReport& report, const std::function<TensorMap()>& state) override;
  void on_end(const Model& model, const std::string& reason, const std::function<TensorMap()>& state) override;
  void on_warning(const std::string& text) override;

  /// The live line at a place in the run: `share` of the run done, `left` seconds to go (negative: not known yet).
  static std::string line(double share, int64_t epoch, int64_t num_epochs, double left, const std::string& status);

 private:
  void draw(double progress, int64_t epoch);
  void clear() const;

  bool live_;
  int64_t num_epochs_ = 0;
  double first_progress_ = -1;
  Tensor bound_, count_;  // of the last update: read only when the line is drawn
  std::string status_;    // bounds and rate of the last epoch
  std::chrono::steady_clock::time_point start_, drawn_;
};

}  // namespace vem
