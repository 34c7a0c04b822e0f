// last.safetensors and best.safetensors.
#include "checkpoints.h"

#include <torch/version.h>

#include <charconv>
#include <filesystem>

#include "clock.h"
#include "vem/core/error.h"
#include "vem/core/platform.h"
#include "vem/infer/component_model.h"

namespace vem {

namespace {
constexpr const char* kEpochs = "epochs";
constexpr const char* kBestEpoch = "best epoch";

/// A number among the notes of a checkpoint; DataError where it is damaged, `none` where there is no such note.
int64_t number_note(const Checkpoint& checkpoint, const char* name, int64_t none) {
  const auto it = checkpoint.notes.find(name);
  if (it == checkpoint.notes.end()) return none;
  int64_t number = -1;
  const char* end = it->second.data() + it->second.size();
  if (std::from_chars(it->second.data(), end, number).ptr != end || number < 0)
    fail<DataError>("the checkpoint is damaged: its note '{}' is '{}', a whole number from 0 is expected", name,
                    it->second);
  return number;
}
}  // namespace

std::map<std::string, std::string> environment_notes() {
  return {{"vem", VEM_VERSION},
          {"LibTorch", TORCH_VERSION},
          {"threads", std::to_string(at::get_num_threads())},
          {"vector instructions", vector_instructions()},
          {"BLAS", blas_info().config}};
}

int64_t epochs_done(const Checkpoint& checkpoint) {
  const int64_t epochs = number_note(checkpoint, kEpochs, -1);
  if (epochs < 0) fail<DataError>("the checkpoint was not written by `vem train`: it counts no epochs");
  return epochs;
}

Checkpoints::Checkpoints(const RunDirectory& directory, Checkpoint blank, int64_t epochs_done, double seconds)
    : directory_(directory), blank_(std::move(blank)), seconds_(seconds), epochs_done_(epochs_done) {}

Checkpoint Checkpoints::filled(TensorMap state) const {
  Checkpoint checkpoint = blank_;
  checkpoint.state = std::move(state);
  return checkpoint;
}

void Checkpoints::follow(const Checkpoint& last) {
  const int64_t best_epoch = number_note(last, kBestEpoch, 0);
  const std::string file = directory_.checkpoint("best");
  if (best_epoch > 0) blank_.notes[kBestEpoch] = std::to_string(best_epoch);
  if (best_epoch == 0 || (std::filesystem::exists(file) && epochs_done(load_checkpoint(file)) == best_epoch)) return;
  if (best_epoch == epochs_done_) return save_checkpoint(file, last);
  fmt::print(stderr,
             "vem: warning: {}: was lost when the run was killed; it held epoch {}, and the next one that is better "
             "takes its place\n",
             file, best_epoch);
}

void Checkpoints::save(const Checkpoint& now) {
  save_checkpoint(directory_.checkpoint("last"), now);
  if (best_) save_checkpoint(directory_.checkpoint("best"), *best_);
  best_.reset();
}

void Checkpoints::on_start(const Model& model, int64_t, int64_t) {
  if (const auto* components = dynamic_cast<const ComponentModel*>(&model))
    for (const auto& [name, note] : components->notes()) blank_.notes[name] = note;
  blank_.notes[kEpochs] = std::to_string(epochs_done_);
}

bool Checkpoints::on_epoch(const Model&, const EpochReport& report, const std::function<TensorMap()>& state) {
  epochs_done_ = report.epoch;
  blank_.notes[kEpochs] = std::to_string(epochs_done_);
  blank_.notes["bound"] = fmt::format("{:.17g}", report.bound);
  const bool due = !written_ || seconds_since(*written_) >= seconds_;
  if (!due && !report.improved) return true;
  if (report.improved) blank_.notes[kBestEpoch] = std::to_string(report.epoch);
  const Checkpoint now = filled(state());
  if (report.improved) best_ = now;
  if (!due) return true;
  save(now);
  written_ = Clock::now();
  return true;
}

void Checkpoints::on_end(const Model&, const std::string&, const std::function<TensorMap()>& state) {
  save(filled(state()));
}

}  // namespace vem
