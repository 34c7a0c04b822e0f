// What watches a training run from the command line: progress, the log of metrics, checkpoints, signals.
#pragma once

#include <chrono>
#include <fstream>

#include "run_directory.h"
#include "vem/train/callback.h"

namespace vem {

/// A live line on a terminal (bar, rate, time left, bound), one plain line an epoch elsewhere; to standard error.
class Progress final : public Callback {
 public:
  explicit Progress(bool live) : live_(live) {}
  void on_start(const Model& model, int64_t num_epochs, int64_t batches) override;
  void on_batch(const Step& step, int64_t items) override;
  bool on_epoch(const Model& model, const EpochReport& report, const std::function<TensorMap()>& state) override;
  void on_end(const Model& model, const std::string& reason, const std::function<TensorMap()>& state) override;
  void on_warning(const std::string& text) override;

 private:
  void clear() const;
  bool live_;
  int64_t num_epochs_ = 0;
  double first_progress_ = -1;
  std::string last_;
  std::chrono::steady_clock::time_point start_, drawn_;
};

/// metrics.jsonl: one JSON object an epoch. A resumed run drops the lines after its checkpoint first.
class MetricsLog final : public Callback {
 public:
  /// `epochs` lines are kept (0: a new file). Throws OutputError.
  MetricsLog(const std::string& path, int64_t epochs);
  bool on_epoch(const Model& model, const EpochReport& report, const std::function<TensorMap()>& state) override;

 private:
  std::string path_;
  std::ofstream out_;
};

/// checkpoints/last after every pass and at the end, checkpoints/best when the judged bound is the best so far.
class Checkpoints final : public Callback {
 public:
  Checkpoints(const RunDirectory& directory, std::string config, Schema schema);
  bool on_epoch(const Model& model, const EpochReport& report, const std::function<TensorMap()>& state) override;
  void on_end(const Model& model, const std::string& reason, const std::function<TensorMap()>& state) override;

 private:
  void save(const std::string& name, const TensorMap& state) const;
  const RunDirectory& directory_;
  Checkpoint blank_;
};

/// Versions and threads that a bitwise resume depends on.
std::map<std::string, std::string> environment_notes();

/// SIGINT and SIGTERM end a fit after the current update; a second one ends the program at once.
class Signals final : public Callback {
 public:
  Signals();
  ~Signals() override;
  bool on_update(const Model&, const Expectation&, const Step&) override { return received() == 0; }
  static int received();
};

}  // namespace vem
