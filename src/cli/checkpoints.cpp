// last.safetensors and best.safetensors.
#include "checkpoints.h"

#include <torch/version.h>

#include "vem/core/error.h"
#include "vem/core/platform.h"
#include "vem/infer/component_model.h"

namespace vem {

namespace {
constexpr const char* kEpochs = "epochs";
}

std::map<std::string, std::string> environment_notes() {
  return {{"vem", VEM_VERSION},
          {"LibTorch", TORCH_VERSION},
          {"threads", std::to_string(at::get_num_threads())},
          {"vector instructions", vector_instructions()},
          {"BLAS", blas_info().config}};
}

int64_t epochs_done(const Checkpoint& checkpoint) {
  const auto it = checkpoint.notes.find(kEpochs);
  if (it == checkpoint.notes.end())
    fail<DataError>("the checkpoint was not written by `vem train`: it counts no epochs");
  return std::stoll(it->second);
}

Checkpoints::Checkpoints(const RunDirectory& directory, Checkpoint blank, int64_t epochs_done, double seconds)
    : directory_(directory), blank_(std::move(blank)), seconds_(seconds), epochs_done_(epochs_done) {}

Checkpoint Checkpoints::filled(TensorMap state) const {
  Checkpoint checkpoint = blank_;
  checkpoint.state = std::move(state);
  return checkpoint;
}

void Checkpoints::save_best() {
  if (best_) save_checkpoint(directory_.checkpoint("best"), *best_);
  best_.reset();
}

void Checkpoints::on_start(const Model& model, int64_t, int64_t) {
  if (const auto* components = dynamic_cast<const ComponentModel*>(&model))
    for (const auto& [name, note] : components->notes()) blank_.notes[name] = note;
  blank_.notes[kEpochs] = std::to_string(epochs_done_);
}

bool Checkpoints::on_epoch(const Model&, const EpochReport& report, const std::function<TensorMap()>& state) {
  using Clock = std::chrono::steady_clock;
  epochs_done_ = report.epoch;
  blank_.notes[kEpochs] = std::to_string(epochs_done_);
  blank_.notes["bound"] = fmt::format("{:.17g}", report.bound);
  const bool due = !written_ || std::chrono::duration<double>(Clock::now() - *written_).count() >= seconds_;
  if (!due && !report.improved) return true;
  const Checkpoint now = filled(state());
  if (report.improved) best_ = now;
  if (!due) return true;
  save_best();
  save_checkpoint(directory_.checkpoint("last"), now);
  written_ = Clock::now();
  return true;
}

void Checkpoints::on_end(const Model&, const std::string&, const std::function<TensorMap()>& state) {
  save_best();
  save_checkpoint(directory_.checkpoint("last"), filled(state()));
}

}  // namespace vem
