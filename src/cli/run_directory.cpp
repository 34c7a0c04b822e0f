// Making, finding and loading the folder of a run.
#include "run_directory.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vem/core/error.h"
#include "vem/core/platform.h"
#include "vem/data/writers.h"

namespace vem {

namespace fs = std::filesystem;

namespace {

/// The folder itself or, while it does not exist, the nearest one above it that does.
fs::path nearest_existing(const fs::path& path) {
  std::error_code ignored;
  fs::path at = fs::absolute(path);
  while (!fs::exists(at, ignored) && at.has_parent_path() && at != at.parent_path()) at = at.parent_path();
  return at;
}

}  // namespace

RunDirectory RunDirectory::plan(const std::string& path, bool force) {
  std::error_code ignored;
  const fs::path root(path), above = nearest_existing(root);
  if (!fs::is_directory(above, ignored))
    fail<OutputError>("{}: can not be created: {} is a file", path, above.string());
  if (access(above.c_str(), W_OK) != 0)
    fail<OutputError>("{}: can not be created: {}: {}", path, above.string(), std::strerror(errno));
  if (force || !fs::exists(root, ignored)) return RunDirectory(root);
  if (fs::exists(root / "config.toml", ignored))
    fail<OutputError>(
        "{}: holds a run already; --resume {} goes on with it, --force replaces it, --out names another folder", path,
        path);
  if (!fs::is_empty(root, ignored))
    fail<OutputError>("{}: is not empty and holds no run; --out names another folder, --force uses this one", path);
  return RunDirectory(root);
}

RunDirectory RunDirectory::open(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(fs::path(path) / "config.toml", ignored))
    fail<MissingInputError>("{}: is no run: it has no config.toml; `vem train` makes one", path);
  return RunDirectory(path);
}

void RunDirectory::create(const std::string& config) const {
  std::error_code error;
  if (fs::exists(this->config(), error))
    for (const char* name :
         {"config.toml", "metrics.jsonl", "draws.jsonl", "evaluation.json", "checkpoints", "export", "images"})
      fs::remove_all(root_ / name, error);
  for (const char* name : {"checkpoints", "export", "images"}) {
    fs::create_directories(root_ / name, error);
    if (error) fail<OutputError>("{}: can not be created: {}", (root_ / name).string(), error.message());
  }
  write_text(this->config(), config);
}

std::shared_ptr<Model> load_model(const RunOptions& options, const Checkpoint& checkpoint, const std::string& path,
                                  const Registry& registry) {
  const auto model = registry.create<Model>(options.model, {checkpoint.schema, registry});
  try {
    model->load(checkpoint.state);
  } catch (const DataError& e) {
    fail<DataError>("{}: does not fit the model of config.toml ({}): {}", path, options.model.name, e.what());
  }
  return model;
}

RunOptions saved_options(const Config& config, const Registry& registry) {
  RunOptions options;
  config.read(options, registry);
  CorpusOptions& corpus = options.data.corpus;
  const bool cut = corpus.format == CorpusFormat::automatic || corpus.format == CorpusFormat::text ||
                   corpus.format == CorpusFormat::mallet;
  if (cut && corpus.tokenization == Tokenization::automatic) corpus.tokenization = Tokenization::bytes;
  return options;
}

LoadedRun load_run(const std::string& path, const Registry& registry, const std::string& which,
                   std::optional<int64_t> threads) {
  LoadedRun run{RunDirectory::open(path), {}, {}, which, nullptr};
  run.options = saved_options(Config::load(run.directory.config()), registry);
  if (which.empty()) run.checkpoint_name = fs::exists(run.directory.checkpoint("best")) ? "best" : "last";
  const std::string file = run.directory.checkpoint(run.checkpoint_name);
  run.checkpoint = load_checkpoint(file);
  tune_platform(threads.value_or(run.options.threads));
  run.model = load_model(run.options, run.checkpoint, file, registry);
  if (run.model->swap_averages()) fmt::print(stderr, "using the average of parameters (optimizer.average)\n");
  return run;
}

}  // namespace vem
