// metrics.jsonl: the record of a run, one JSON object a line, in nats per item.
#pragma once

#include <fstream>

#include "vem/train/callback.h"

namespace vem {

/// One line an epoch, one a warning ("warning"), and a last one that says why the run stopped ("stopped").
class MetricsLog final : public Callback {
 public:
  /// A run that resumes after `epochs_done` keeps the lines of those epochs; 0 begins a new file.
  MetricsLog(std::string path, int64_t epochs_done) : path_(std::move(path)), epoch_(epochs_done) {}
  /// Throws OutputError, as every line that can not be written does.
  void on_start(const Model& model, int64_t num_epochs, int64_t batches) override;
  bool on_epoch(const Model& model, const EpochReport& report, const std::function<TensorMap()>& state) override;
  void on_end(const Model& model, const std::string& reason, const std::function<TensorMap()>& state) override;
  void on_warning(const std::string& text) override;

 private:
  void write(const std::string& line);

  std::string path_;
  std::ofstream out_;
  int64_t epoch_;
};

/// The lines of metrics.jsonl that describe the first `epochs_done` epochs; broken and repeated ones and those after
/// them are left out.
std::string lines_of_epochs(const std::string& text, int64_t epochs_done);

}  // namespace vem
