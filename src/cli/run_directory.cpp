#include "run_directory.h"

#include "platform.h"
#include "vem/core/error.h"

namespace vem {

namespace fs = std::filesystem;

RunDirectory RunDirectory::create(const std::string& path, bool force) {
  std::error_code error;
  const fs::path root(path);
  if (fs::exists(root) && !fs::is_directory(root)) fail<OutputError>("{}: is a file, a folder for the run is expected", path);
  const bool holds_run = fs::exists(root / "config.toml");
  if (holds_run && !force)
    fail<OutputError>("{}: holds a run already; --resume {} goes on with it, --force replaces it, --out names another folder", path, path);
  if (fs::exists(root) && !holds_run && !fs::is_empty(root) && !force)
    fail<OutputError>("{}: is not empty and holds no run; --out names another folder, --force uses this one", path);
  if (holds_run)
    for (const char* name : {"config.toml", "metrics.jsonl", "evaluation.json", "checkpoints", "export", "images"}) fs::remove_all(root / name, error);
  for (const char* name : {"checkpoints", "export", "images"}) {
    fs::create_directories(root / name, error);
    if (error) fail<OutputError>("{}: can not be created: {}", (root / name).string(), error.message());
  }
  return RunDirectory(root);
}

RunDirectory RunDirectory::open(const std::string& path) {
  if (!fs::exists(fs::path(path) / "config.toml"))
    fail<MissingInputError>("{}: is no run: it has no config.toml; `vem train` makes one", path);
  return RunDirectory(path);
}

LoadedRun load_run(const std::string& path, const Registry& registry, const std::string& which) {
  LoadedRun run{RunDirectory::open(path), {}, {}, nullptr};
  Config::load(run.directory.config()).read(run.options, registry);
  const std::string name = !which.empty() ? which : fs::exists(run.directory.checkpoint("best")) ? "best" : "last";
  run.checkpoint = load_checkpoint(run.directory.checkpoint(name));
  tune_platform(run.options.threads);
  run.model = registry.create<Model>(run.options.model, {run.checkpoint.schema, registry});
  try {
    run.model->load(run.checkpoint.state);
  } catch (const DataError& e) {
    fail<DataError>("{}: {}", run.directory.checkpoint(name), e.what());
  }
  return run;
}

}  // namespace vem
