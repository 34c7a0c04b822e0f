// vem train: everything is checked, and the model has looked at its data, before the folder of the run is made.
#include <unistd.h>

#include <csignal>

#include "checkpoints.h"
#include "draws.h"
#include "inputs.h"
#include "metrics_log.h"
#include "neighbours.h"
#include "preparation.h"
#include "progress.h"
#include "remarks.h"
#include "signals.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/core/platform.h"
#include "vem/data/fingerprint.h"
#include "vem/data/writers.h"
#include "vem/infer/component_model.h"
#include "verbs.h"

namespace vem {
namespace {

namespace fs = std::filesystem;

const std::string kMnist = "mnist:";
const char* const kItems = "training items";      // notes of a checkpoint: how many there are,
const char* const kContent = "training content";  // and their fingerprint

/// The last part of a source, for the name of a folder: "table" of "some/table.csv.gz".
std::string short_name(const std::string& source) {
  const std::string name = fs::path(source).filename().string();
  return source.rfind(kMnist, 0) == 0 ? "mnist" : name.substr(0, name.find('.'));
}

/// A source that the run's other verbs find from any folder.
std::string absolute(const std::string& source) {
  const std::string prefix = source.rfind(kMnist, 0) == 0 ? kMnist : "";
  const fs::path path(source.substr(prefix.size()));
  std::error_code ignored;
  return fs::exists(path, ignored) ? prefix + fs::absolute(path).lexically_normal().string() : source;
}

/// A resumed run may go on longer or stop earlier; anything else would make it another run.
void check_resumed_settings(const Arguments& a) {
  if (a.count("what"))
    fail<UsageError>("train: --resume takes the model and the configuration of the run; '{}' does not go with it",
                     a["what"].as<std::string>());
  for (const char* name : {"data", "seed", "threads", "device", "out", "force"})
    if (a.count(name))
      fail<UsageError>("train: --resume takes the configuration of the run; --{} does not go with it", name);
  const std::vector<std::string> allowed{"train.epochs", "train.max_minutes", "train.patience", "train.tolerance",
                                         "data.max_memory"};
  for (const std::string& assignment : assignments(a)) {
    std::string key = assignment.substr(0, assignment.find('='));
    key.erase(key.find_last_not_of(" \t") + 1);
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
      fail<ConfigError>("train: {} can not change when a run is resumed; {} can", key, fmt::join(allowed, ", "));
  }
}

void warn_of_other_environment(const Checkpoint& checkpoint) {
  for (const auto& [name, now] : environment_notes()) {
    const auto it = checkpoint.notes.find(name);
    if (it == checkpoint.notes.end() || it->second == now) continue;
    fmt::print(stderr,
               "vem: warning: {}: was {}, is {} now; the resumed run will not equal an uninterrupted one bit for bit\n",
               name, it->second, now);
  }
}

void check_same_data(const Dataset& train, const Checkpoint& checkpoint, const std::string& source) {
  const auto it = checkpoint.notes.find(kItems), content = checkpoint.notes.find(kContent);
  const bool same_size = it == checkpoint.notes.end() || it->second == std::to_string(train.size);
  Schema schema = train.schema;
  schema.source = checkpoint.schema.source;  // the file may have moved
  const bool same_shape = schema == checkpoint.schema && same_size;
  if (same_shape && content != checkpoint.notes.end() && content->second != fingerprint(train))
    fail<DataError>(
        "{}: has changed since the run began: as many items of the same shape, but other content; put the file back, "
        "or "
        "begin a new run with --out",
        source);
  if (same_shape) return;
  fail<DataError>("{}: has changed since the run began: {} of shape [{}] now, {} of shape [{}] then", source,
                  counted(train.size, "training item"), fmt::join(train.schema.item_shape, ", "),
                  it == checkpoint.notes.end() ? "items" : it->second, fmt::join(checkpoint.schema.item_shape, ", "));
}

std::string summary(const Splits& splits) {
  std::string text =
      fmt::format("{} of {}", counted(splits.train.size, "item"),
                  counted(splits.train.schema.num_features(), splits.train.columns.count("x") ? "number" : "word"));
  if (splits.validation.size > 0) text += fmt::format(", {} for validation", grouped(splits.validation.size));
  if (splits.test.size > 0) text += fmt::format(", {} for the test", grouped(splits.test.size));
  return text;
}

/// What can be done with the run now, from what its model can do.
void print_next(const Model& model, const RunDirectory& directory) {
  const auto methods = model.methods();
  const std::string run = shell_word(directory.path());
  fmt::print("Next: {}vem evaluate {}", model.sampled() ? "vem diagnose " + run + ", " : "", run);
  for (const char* verb : {"sample", "reconstruct"})
    if (Model::find(methods, verb)) fmt::print(", vem {} {}", verb, run);
  fmt::print(", vem export {}\n", run);
}

int finish(const FitResult& result, const Model& model, const std::map<std::string, std::string>& notes,
           const RunDirectory& directory) {
  const int signal = Signals::received();
  const std::string by = !signal ? "" : signal == SIGINT ? " (Ctrl-C)" : " (SIGTERM)";
  const bool has_best = fs::exists(directory.checkpoint("best"));
  fmt::print("Stopped after {} and {}: {}{}\n", counted(result.epoch, "epoch"), counted(result.iteration, "update"),
             result.reason, by);
  for (const auto& [move, times] : result.kept) fmt::print("Kept {} of kind {}\n", counted(times, "move"), move);
  for (const std::string& remark : remarks(model, notes)) fmt::print(stderr, "vem: warning: {}\n", remark);
  fmt::print("The run is in {}: config.toml, metrics.jsonl, checkpoints/{}\n", one_line(directory.path()),
             has_best ? "{best,last}.safetensors" : "last.safetensors");
  if (result.interrupted)
    fmt::print("Go on with: vem train --resume {}\n", shell_word(directory.path()));
  else
    print_next(model, directory);
  return signal ? 128 + signal : 0;
}

/// Does something when the fit begins, so after the model has looked at its data: bad input leaves nothing behind.
class AtStart final : public Callback {
 public:
  explicit AtStart(std::function<void(const Model&)> action) : action_(std::move(action)) {}
  void on_start(const Model& model, int64_t, int64_t) override { action_(model); }

 private:
  std::function<void(const Model&)> action_;
};

/// A run that is ready to go: what start() and resume() have in common.
struct Job {
  RunOptions& options;
  const RunDirectory& directory;
  const Splits& splits;
  Model& model;
  const Registry& registry;
};

int fit_run(const Job& job, std::vector<Callback*> callbacks, const Checkpoint* from) {
  const Dataset& data = job.splits.train;
  Checkpoint blank{to_toml(job.options, job.registry), data.schema, {}, {}};
  if (from) blank.notes = from->notes;  // what initialize() said
  for (const auto& [name, now] : environment_notes()) blank.notes[name] = now;
  blank.notes[kItems] = std::to_string(data.size);
  blank.notes[kContent] = fingerprint(data);
  blank.notes["reading"] = reading_of(job.options.data);
  Progress progress(isatty(STDERR_FILENO) != 0);
  const int64_t epochs = from ? epochs_done(*from) : 0;
  MetricsLog metrics(job.directory.metrics(), epochs);
  DrawsLog draws(job.directory.draws(), epochs, job.options.train.burn_in, job.options.train.thin, job.splits);
  if (job.options.train.sampled) callbacks.push_back(&draws);
  Checkpoints checkpoints(job.directory, std::move(blank), epochs);
  if (from) checkpoints.follow(*from);
  Signals signals;
  Neighbours neighbours;
  for (Callback* callback : std::initializer_list<Callback*>{&metrics, &checkpoints, &progress, &signals, &neighbours})
    callbacks.push_back(callback);
  const Dataset* validation = job.splits.validation.size > 0 ? &job.splits.validation : nullptr;
  const FitContext context{job.registry,
                           validation,
                           nullptr,
                           std::move(callbacks),
                           from ? &from->state : nullptr,
                           job.directory.checkpoint("last")};
  const FitResult result = fit(job.model, data, job.options.train, context);
  return finish(result, job.model, checkpoints.notes(), job.directory);
}

int start(const Arguments& a, const Registry& registry) {
  RunOptions options = run_options(a, "train", registry);
  const std::string what = a["what"].as<std::string>();
  const std::string name = is_toml(what) ? short_name(what) : what, source = options.data.source;
  const RunDirectory directory = RunDirectory::plan(
      a.count("out") ? a["out"].as<std::string>() : fmt::format("runs/{}-{}", name, short_name(source)),
      a["force"].as<bool>());
  if (std::error_code ignored; fs::equivalent(directory.path(), source, ignored))
    fail<OutputError>("{}: is the data itself; --out names another folder", one_line(source));
  if (options.train.sampled && options.train.burn_in >= options.train.epochs)
    fail<ConfigError>("train: train.burn_in = {} leaves no draw of train.epochs = {}", options.train.burn_in,
                      options.train.epochs);
  options.data.source = absolute(source);
  options.data.validation_file = absolute(options.data.validation_file);
  options.data.corpus.vocabulary = absolute(options.data.corpus.vocabulary);
  std::string& stop_words = options.data.corpus.stop_words;
  if (stop_words != "none" && stop_words != "english") stop_words = absolute(stop_words);
  prepare(options);
  const Splits splits = as_taken(load_splits(options.data), options.model);
  options.data = splits.options;
  const auto model = registry.create<Model>(options.model, {splits.train.schema, registry});
  fmt::print(stderr, "{} on {}: {}\n", options.model.name, one_line(source), summary(splits));
  std::unique_ptr<RunLock> lock;
  AtStart create([&](const Model& started) {
    if (const auto* components = dynamic_cast<const ComponentModel*>(&started))
      fmt::print(stderr, "start: {}\n", components->notes().at("start"));
    lock = directory.create(to_toml(options, registry));
  });
  return fit_run({options, directory, splits, *model, registry}, {&create}, nullptr);
}

/// Goes on with a run.
int resume(const Arguments& a, const Registry& registry) {
  check_resumed_settings(a);
  const RunDirectory directory = RunDirectory::open(a["resume"].as<std::string>());
  const auto lock = directory.lock();
  const std::string file = directory.checkpoint("last");
  if (!fs::exists(file))
    fail<MissingInputError>("{}: there is no checkpoint to resume from; begin again with --force", file);
  Config config = load_written_config(directory.config());
  for (const std::string& assignment : assignments(a)) config.set(assignment);
  RunOptions options = saved_options(config, registry);
  prepare(options);
  const Checkpoint checkpoint = load_checkpoint(file);
  warn_of_other_environment(checkpoint);
  check_configuration(options, directory, checkpoint, file, registry);
  const auto model = load_model(options, checkpoint, file, registry);
  const Splits splits = as_taken(load_splits(options.data), options.model);
  check_same_data(splits.train, checkpoint, options.data.source);
  fmt::print(stderr, "resuming {} after {}\n", one_line(directory.path()), counted(epochs_done(checkpoint), "epoch"));
  AtStart update([&](const Model&) { write_text(directory.config(), to_toml(options, registry)); });
  return fit_run({options, directory, splits, *model, registry}, {&update}, &checkpoint);
}

}  // namespace

int train(const Arguments& arguments, const Registry& registry) {
  return arguments.count("resume") ? resume(arguments, registry) : start(arguments, registry);
}

}  // namespace vem
