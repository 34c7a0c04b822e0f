// What may watch a fit: progress displays, logs, checkpoints. All of it no-ops by default.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vem/infer/model.h"

namespace vem {

/// One pass over the data, or its evaluation: per item, in nats.
struct EpochReport {
  int64_t epoch = 0;            ///< passes done
  int64_t iteration = 0;        ///< M-steps done
  double bound = 0;             ///< training bound per item, kl_global included
  double validation_bound = 0;  ///< NaN without validation data
  bool improved = false;        ///< the best validation (else training) bound so far
  double items_per_second = 0;
  std::map<std::string, double> weights;  ///< scheduled: learning rate, KL weight ...
  std::map<std::string, std::vector<double>>
      metrics;  ///< Model::report() of the pass, and of the validation data as "validation.<name>"
};

class Callback {
 public:
  virtual ~Callback() = default;
  /// Before the first update; `batches` a pass.
  virtual void on_start(const Model&, int64_t /*num_epochs*/, int64_t /*batches*/) {}
  /// After every batch, M-step or not; `items` done in this pass. Cheap: it is on the hot path.
  virtual void on_batch(const Step&, int64_t /*items*/) {}
  /// After every M-step; false stops the fit here.
  virtual bool on_update(const Model&, const Expectation& /*total*/, const Step&) { return true; }
  /// After every pass; `state()` gives what a checkpoint needs. False stops.
  virtual bool on_epoch(const Model&, const EpochReport&, const std::function<TensorMap()>& /*state*/) { return true; }
  /// At the end, whatever the reason.
  virtual void on_end(const Model&, const std::string& /*reason*/, const std::function<TensorMap()>& /*state*/) {}
  /// A recoverable trouble in words, such as a bound that fell.
  virtual void on_warning(const std::string&) {}
};

}  // namespace vem
