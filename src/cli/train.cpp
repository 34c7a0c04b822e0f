// vem train: everything is checked before the folder of the run is made.
#include <unistd.h>

#include "callbacks.h"
#include "platform.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "verbs.h"

namespace vem {
namespace {

namespace fs = std::filesystem;

bool is_toml(const std::string& what) { return what.size() > 5 && what.compare(what.size() - 5, 5, ".toml") == 0; }

/// The last part of a source, for the name of a folder: "table" of "some/table.csv.gz".
std::string short_name(const std::string& source) {
  const std::string name = fs::path(source).filename().string();
  return name.substr(0, name.find('.'));
}

Config configuration(const cxxopts::ParseResult& a, const std::string& what) {
  Config config;
  if (is_toml(what)) config = Config::load(what);
  else if (!what.empty()) config.set("model=\"" + what + "\"");
  for (const char* name : {"seed", "threads", "device"})
    if (a.count(name)) config.set(fmt::format("{}={}", name, a[name].as<std::string>()));
  if (a.count("data")) config.set("data.source=\"" + a["data"].as<std::string>() + "\"");
  if (a.count("set"))
    for (const std::string& assignment : a["set"].as<std::vector<std::string>>()) config.set(assignment);
  return config;
}

/// A resumed run may go on longer or stop earlier; anything else would make it another run.
void check_resumed_settings(const cxxopts::ParseResult& a) {
  for (const char* name : {"data", "seed", "threads", "device", "out", "force"})
    if (a.count(name)) fail<UsageError>("train: --resume takes the configuration of the run; --{} does not go with it", name);
  if (!a.count("set")) return;
  for (const std::string& assignment : a["set"].as<std::vector<std::string>>()) {
    const std::string key = assignment.substr(0, assignment.find('='));
    if (key != "train.epochs" && key != "train.max_minutes" && key != "train.patience" && key != "train.tolerance")
      fail<ConfigError>("train: {} can not change when a run is resumed; train.epochs, train.max_minutes, train.patience and train.tolerance can", key);
  }
}

void warn_of_other_environment(const Checkpoint& checkpoint) {
  for (const auto& [name, now] : environment_notes()) {
    const auto it = checkpoint.notes.find(name);
    if (it != checkpoint.notes.end() && it->second != now)
      fmt::print(stderr, "vem: warning: {} was {} and is {} now; the resumed run will not equal an uninterrupted one bit for bit\n", name, it->second, now);
  }
}

std::string summary(const Splits& splits) {
  std::string text = fmt::format("{} items of {} numbers", splits.train.size, splits.train.schema.num_features());
  if (splits.validation.size > 0) text += fmt::format(", {} for validation", splits.validation.size);
  if (splits.test.size > 0) text += fmt::format(", {} for the test", splits.test.size);
  return text;
}

int finish(const FitResult& result, const RunDirectory& directory, bool improved) {
  fmt::print("Stopped after {} epochs and {} updates: {}\n", result.epoch, result.iteration, result.reason);
  fmt::print("The run is in {}: config.toml, metrics.jsonl, checkpoints/{}\n", directory.path(), improved ? "{best,last}.safetensors" : "last.safetensors");
  if (result.interrupted) fmt::print("Go on with: vem train --resume {}\n", directory.path());
  else fmt::print("Next: vem evaluate {0}, vem sample {0} --out samples.npy, vem export {0}\n", directory.path());
  return Signals::received() ? 128 + Signals::received() : 0;
}

int fit_run(RunOptions& options, const RunDirectory& directory, const Splits& splits, Model& model, const Registry& registry,
            const std::string& config, const TensorMap* resume, int64_t epochs_done) {
  Progress progress(isatty(STDERR_FILENO) != 0);
  MetricsLog metrics(directory.metrics(), epochs_done);
  Checkpoints checkpoints(directory, config, splits.train.schema);
  Signals signals;
  const FitContext context{registry, splits.validation.size > 0 ? &splits.validation : nullptr, nullptr, {&progress, &metrics, &checkpoints, &signals}, resume};
  const FitResult result = fit(model, splits.train, options.train, context);
  return finish(result, directory, fs::exists(directory.checkpoint("best")));
}

int start(const cxxopts::ParseResult& a, const Registry& registry) {
  if (!a.count("what")) fail<UsageError>("train: which model? `vem train vae --data fashion-mnist`, or a TOML file; `vem list model` lists models");
  const std::string what = a["what"].as<std::string>();
  if (!is_toml(what)) registry.find("model", what);
  RunOptions options;
  configuration(a, what).read(options, registry);
  if (options.data.source.empty()) fail<ConfigError>("train: data.source is missing; name a data set or a file with --data");
  tune_platform(options.threads);
  const Splits splits = load_splits(options.data);
  const auto model = registry.create<Model>(options.model, {splits.train.schema, registry});
  const std::string name = is_toml(what) ? short_name(what) : what;
  const std::string out = a.count("out") ? a["out"].as<std::string>() : fmt::format("runs/{}-{}", name, short_name(options.data.source));
  const std::string config = to_toml(options, registry);
  // The model looks at its data before anything is written; fit() does so once more, from the same seed.
  const RunDirectory directory = RunDirectory::create(out, a.count("force") > 0);
  write_text(directory.config(), config);
  fmt::print(stderr, "{} on {}: {}\n", options.model.name, options.data.source, summary(splits));
  return fit_run(options, directory, splits, *model, registry, config, nullptr, 0);
}

int resume(const cxxopts::ParseResult& a, const Registry& registry) {
  check_resumed_settings(a);
  const RunDirectory directory = RunDirectory::open(a["resume"].as<std::string>());
  Config config = Config::load(directory.config());
  if (a.count("set"))
    for (const std::string& assignment : a["set"].as<std::vector<std::string>>()) config.set(assignment);
  RunOptions options;
  config.read(options, registry);
  tune_platform(options.threads);
  const Checkpoint checkpoint = load_checkpoint(directory.checkpoint("last"));
  warn_of_other_environment(checkpoint);
  const Splits splits = load_splits(options.data);
  if (!(splits.train.schema == checkpoint.schema)) fail<DataError>("{}: is not what {} was trained on", options.data.source, directory.path());
  const auto model = registry.create<Model>(options.model, {checkpoint.schema, registry});
  model->load(checkpoint.state);
  const std::string text = to_toml(options, registry);
  write_text(directory.config(), text);
  const int64_t epochs_done = checkpoint.state.at("trainer/counters").data_ptr<int64_t>()[0];
  fmt::print(stderr, "resuming {} after {} epochs\n", directory.path(), epochs_done);
  return fit_run(options, directory, splits, *model, registry, text, &checkpoint.state, std::max<int64_t>(epochs_done, 0));
}

}  // namespace

int train(const cxxopts::ParseResult& arguments, const Registry& registry) {
  return arguments.count("resume") ? resume(arguments, registry) : start(arguments, registry);
}

}  // namespace vem
