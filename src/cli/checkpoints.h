// When a training run saves itself. What is in the file is the business of vem/train/checkpoint.h.
#pragma once

#include <chrono>
#include <optional>

#include "run_directory.h"
#include "vem/train/callback.h"

namespace vem {

/// checkpoints/last after a pass and at the end, checkpoints/best with the best judged bound so far. Passes that take
/// less than `seconds` share a write: flushing to disk would cost more than the pass; the end always writes. `last` is
/// written before `best`: if the disk fills in between, there is something to resume from.
class Checkpoints final : public Callback {
 public:
  /// `blank` is a checkpoint without state; `epochs_done` counts those of a run that resumes.
  Checkpoints(const RunDirectory& directory, Checkpoint blank, int64_t epochs_done, double seconds = 1);
  /// Goes on from the checkpoint `last` of a run that resumes: if the run was killed between `last` and `best`, writes
  /// the best epoch again where it was the last one, else warns.
  void follow(const Checkpoint& last);
  void on_start(const Model& model, int64_t num_epochs, int64_t batches) override;
  bool on_epoch(const Model& model, const EpochReport& report, const std::function<TensorMap()>& state) override;
  void on_end(const Model& model, const std::string& reason, const std::function<TensorMap()>& state) override;
  /// Those of the last checkpoint, with what the model's initialize() decided and "bound", per item, after the last
  /// pass.
  const std::map<std::string, std::string>& notes() const { return blank_.notes; }

 private:
  Checkpoint filled(TensorMap state) const;
  /// Writes `now` as `last`, then `best` if it is new.
  void save(const Checkpoint& now);

  const RunDirectory& directory_;
  Checkpoint blank_;
  const double seconds_;
  int64_t epochs_done_;
  std::optional<Checkpoint> best_;  // not written yet
  std::optional<std::chrono::steady_clock::time_point> written_;
};

/// Passes over the data that a checkpoint has behind it. Throws DataError for one that `vem train` did not write.
int64_t epochs_done(const Checkpoint& checkpoint);

/// What a bitwise resume depends on beside the file: versions, threads, the kind of processor and BLAS.
std::map<std::string, std::string> environment_notes();

}  // namespace vem
