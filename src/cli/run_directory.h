// A run is a folder: config.toml, metrics.jsonl, draws.jsonl (of Gibbs sampling), checkpoints/, export/, images/, and
// .vem-run, by which `vem train --force` knows it again.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "run_options.h"
#include "vem/train/checkpoint.h"

namespace vem {

/// While it lives, no other process may write to a run: an exclusive flock() on a file in its folder, which ends with
/// the process, however that ends.
class RunLock {
 public:
  /// Throws OutputError that names the process which holds the lock.
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int file_;
};

class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path root) : root_(std::move(root)) {}
  /// A folder for a run that is to begin; writes nothing. Throws OutputError if it could not be created later, if it
  /// holds anything and `force` is false, and if it holds files of others that a run would replace.
  static RunDirectory plan(const std::string& path, bool force);
  /// An existing run. Throws MissingInputError with a hint.
  static RunDirectory open(const std::string& path);

  /// Makes the folders and config.toml; what a run that was here had written, by the names that it has, is removed, and
  /// nothing else. Throws OutputError, also if another process writes there, or if a run has come into being there
  /// since plan() and `force` is false.
  std::unique_ptr<RunLock> create(const std::string& config) const;
  /// Takes the lock of an existing run and removes temporary files that a killed process has left there.
  std::unique_ptr<RunLock> lock() const;

  std::string path() const { return root_.string(); }
  std::string config() const { return (root_ / "config.toml").string(); }
  std::string metrics() const { return (root_ / "metrics.jsonl").string(); }
  std::string draws() const { return (root_ / "draws.jsonl").string(); }
  std::string checkpoint(const std::string& name) const {
    return (root_ / "checkpoints" / (name + ".safetensors")).string();
  }
  std::string file(const std::string& name) const { return (root_ / name).string(); }

 private:
  void refuse_existing() const;

  std::filesystem::path root_;
  bool force_ = false;
};

/// What a file is to the run in whose folder it lies: none of its files, what it needs to go on, or what verbs write
/// there by default.
enum class OwnFile { none, state, output };
OwnFile own_file(const std::filesystem::path& path);

/// The configuration that a run wrote, in which every option that had an effect is set. One of an earlier version lacks
/// options that came later: these get the values that the run had without knowing them, not today's defaults.
Config load_written_config(const std::string& path);
/// Whether a TOML file is one that a run wrote: config.toml beside the run's checkpoints.
bool is_written_config(const std::string& path);
/// The options of a run from its config.toml. A run that does not say how its texts were cut into words was made by an
/// earlier version, which cut them as Tokenization::bytes does.
RunOptions saved_options(const Config& config, const Registry& registry);

/// A model as a run left it.
struct LoadedRun {
  RunDirectory directory;
  RunOptions options;
  Checkpoint checkpoint;
  std::string checkpoint_name;  ///< "best" or "last"
  std::shared_ptr<Model> model;
};

/// Loads a run's "best" checkpoint, or "last" where there is none (or as asked), and tunes the platform for `threads`;
/// without a number, for those that the run was trained with.
LoadedRun load_run(const std::string& path, const Registry& registry, const std::string& which = "",
                   std::optional<int64_t> threads = {});

/// Throws ConfigError that names the key if the options of config.toml are others than those in a checkpoint of the
/// run, beyond the keys that may change: how long training goes on, where it runs and where the data lie.
void check_configuration(RunOptions& options, const RunDirectory& directory, const Checkpoint& checkpoint,
                         const std::string& path, const Registry& registry);

/// Builds the model of `options` with a checkpoint's state. Throws DataError that names `path` for one of another
/// model.
std::shared_ptr<Model> load_model(const RunOptions& options, const Checkpoint& checkpoint, const std::string& path,
                                  const Registry& registry);

}  // namespace vem
