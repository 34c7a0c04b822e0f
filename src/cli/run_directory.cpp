// Making, finding and loading the folder of a run.
#include "run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "text.h"
#include "vem/core/error.h"
#include "vem/core/platform.h"
#include "vem/data/writers.h"

namespace vem {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLock = ".lock";

/// What may differ between config.toml and a checkpoint of the same run.
const std::vector<std::string> kMayDiffer{
    "train.epochs", "train.max_minutes", "train.patience",       "train.tolerance", "threads",
    "device",       "data.source",       "data.validation_file", "data.max_memory"};

/// The mark of a folder that a run was begun in.
constexpr const char* kMark = ".vem-run";

/// What a run needs to go on.
const std::vector<std::string> kStateFiles{kMark,
                                           "config.toml",
                                           "metrics.jsonl",
                                           "draws.jsonl",
                                           "checkpoints/best.safetensors",
                                           "checkpoints/last.safetensors"};
/// What verbs write into the folder of a run unless they are told another name.
const std::vector<std::string> kOutputFiles{"evaluation.json",
                                            "forecast.csv",
                                            "samples.csv",
                                            "samples.ldac",
                                            "reconstructions.csv",
                                            "traversal.csv",
                                            "interpolation.csv",
                                            "export/model.pt",
                                            "export/model.safetensors",
                                            "export/parameters.json",
                                            "export/topics.json",
                                            "export/topics.npy",
                                            "images/samples.png",
                                            "images/reconstructions.png",
                                            "images/traversal.png",
                                            "images/interpolation.png"};
std::vector<std::string> own_files() {
  std::vector<std::string> names = kStateFiles;
  names.insert(names.end(), kOutputFiles.begin(), kOutputFiles.end());
  return names;
}

/// Whether a run was begun here; those of earlier versions have no mark, but a checkpoint.
bool is_run(const fs::path& root) {
  std::error_code ignored;
  return fs::exists(root / kMark, ignored) ||
         (fs::exists(root / "config.toml", ignored) && fs::exists(root / "checkpoints" / "last.safetensors", ignored));
}

/// What runs did before there was an option for it, where that is no longer the default.
constexpr const char* kEarlier = R"(
model.encoder_inputs = "raw"
)";

/// A configuration that a run wrote, with the values that options had before there were any.
Config written_config(Config config) {
  config.underlay(Config::parse(kEarlier, "earlier versions"));
  return config;
}

/// The folder itself or, while it does not exist, the nearest one above it that does.
fs::path nearest_existing(const fs::path& path) {
  std::error_code ignored;
  fs::path at = fs::absolute(path);
  while (!fs::exists(at, ignored) && at.has_parent_path() && at != at.parent_path()) at = at.parent_path();
  return at;
}

}  // namespace

RunLock::RunLock(const fs::path& folder) {
  const std::string path = (folder / kLock).string();
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file_ < 0) fail<OutputError>("{}: can not be written: {}", path, std::strerror(errno));
  char text[256] = "";
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const ssize_t size = ::pread(file_, text, sizeof(text) - 1, 0);
    ::close(file_);
    fail<OutputError>("{}: is being written by another process{}; wait for it, or name another folder with --out",
                      folder.string(), size > 0 ? fmt::format(" ({})", text) : "");
  }
  ::gethostname(text, sizeof(text) - 1);
  const std::string holder = fmt::format("process {} on {}", ::getpid(), text);
  if (::ftruncate(file_, 0) == 0) (void)!::pwrite(file_, holder.data(), holder.size(), 0);
}

RunLock::~RunLock() {
  (void)!::ftruncate(file_, 0);  // nobody holds it any more
  ::close(file_);
}

RunDirectory RunDirectory::plan(const std::string& path, bool force) {
  std::error_code ignored;
  const fs::path root(path), above = nearest_existing(root);
  if (!fs::is_directory(above, ignored))
    fail<OutputError>("{}: can not be created: {} is a file", path, above.string());
  if (access(above.c_str(), W_OK) != 0)
    fail<OutputError>("{}: can not be created: {}: {}", path, above.string(), std::strerror(errno));
  RunDirectory directory(root);
  directory.force_ = force;
  directory.refuse_existing();
  return directory;
}

void RunDirectory::refuse_existing() const {
  std::error_code ignored;
  if (!fs::exists(root_, ignored)) return;
  if (is_run(root_)) {
    if (force_) return;
    fail<OutputError>(
        "{}: holds a run already; --resume {} goes on with it, --force replaces it, --out names another folder", path(),
        shell_word(path()));
  }
  for (const auto& entry : fs::directory_iterator(root_, ignored))
    if (!force_ && entry.path().filename() != kLock)
      fail<OutputError>("{}: is not empty and holds no run; --out names another folder, --force uses this one", path());
  for (const std::string& name : own_files())
    if (fs::exists(root_ / name, ignored))
      fail<OutputError>(
          "{}: holds {}, which a run would replace, but no run that this program began; --out names another folder",
          path(), name);
}

RunDirectory RunDirectory::open(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(fs::path(path) / "config.toml", ignored))
    fail<MissingInputError>("{}: is no run: it has no config.toml; `vem train` makes one", path);
  return RunDirectory(path);
}

std::unique_ptr<RunLock> RunDirectory::create(const std::string& config) const {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) fail<OutputError>("{}: can not be created: {}", path(), error.message());
  auto held = lock();
  refuse_existing();
  if (is_run(root_))
    for (const std::string& name : own_files()) fs::remove(root_ / name, error);
  for (const char* name : {"checkpoints", "export", "images"}) {
    fs::create_directories(root_ / name, error);
    if (error) fail<OutputError>("{}: can not be created: {}", (root_ / name).string(), error.message());
  }
  write_text(file(kMark), "vem " VEM_VERSION "\n");
  write_text(this->config(), config);
  return held;
}

std::unique_ptr<RunLock> RunDirectory::lock() const {
  auto held = std::make_unique<RunLock>(root_);
  for (const fs::path& folder : {root_, root_ / "checkpoints", root_ / "export", root_ / "images"})
    remove_temporary_files(folder.string());
  return held;
}

void check_configuration(RunOptions& options, const RunDirectory& directory, const Checkpoint& checkpoint,
                         const std::string& path, const Registry& registry) {
  RunOptions written = saved_options(written_config(Config::parse(checkpoint.config, path)), registry);
  const Config now = Config::parse(to_toml(options, registry), directory.config()),
               then = Config::parse(to_toml(written, registry), path);
  std::vector<Config::Difference> differences = now.differences(then);
  std::stable_partition(differences.begin(), differences.end(),
                        [](const Config::Difference& d) { return d.key == "model.kind"; });  // says most
  for (const Config::Difference& d : differences) {
    if (std::find(kMayDiffer.begin(), kMayDiffer.end(), d.key) != kMayDiffer.end()) continue;
    const auto shown = [](const std::string& value) { return value.empty() ? "not set" : value; };
    fail<ConfigError>(
        "{}: {} is {}, but {} was written with {}; another configuration is another run: put it back, or begin one "
        "with "
        "--out (only {} may change)",
        directory.config(), d.key, shown(d.here), path, shown(d.there), fmt::join(kMayDiffer, ", "));
  }
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

OwnFile own_file(const fs::path& path) {
  std::error_code ignored;
  const fs::path file = fs::weakly_canonical(path, ignored), folder = file.parent_path();
  for (const fs::path& root : {folder, folder.parent_path()}) {
    if (!is_run(root)) continue;
    const std::string name = file.lexically_relative(root).string();
    const auto is_in = [&](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    if (is_in(kStateFiles) || name == kLock) return OwnFile::state;
    if (is_in(kOutputFiles)) return OwnFile::output;
  }
  return OwnFile::none;
}

Config load_written_config(const std::string& path) { return written_config(Config::load(path)); }

bool is_written_config(const std::string& path) {
  std::error_code ignored;
  const fs::path file(path);
  return file.filename() == "config.toml" && fs::is_directory(file.parent_path() / "checkpoints", ignored);
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
  run.options = saved_options(load_written_config(run.directory.config()), registry);
  if (which.empty()) run.checkpoint_name = fs::exists(run.directory.checkpoint("best")) ? "best" : "last";
  const std::string file = run.directory.checkpoint(run.checkpoint_name);
  if (std::error_code ignored; !fs::exists(file, ignored))
    fail<MissingInputError>("{}: has no checkpoint {} yet; `vem train` writes one when a pass over the data is done",
                            path, run.checkpoint_name);
  run.checkpoint = load_checkpoint(file);
  tune_platform(threads.value_or(run.options.threads));
  check_configuration(run.options, run.directory, run.checkpoint, file, registry);
  run.model = load_model(run.options, run.checkpoint, file, registry);
  if (run.model->swap_averages()) fmt::print(stderr, "using the average of parameters (optimizer.average)\n");
  return run;
}

}  // namespace vem
