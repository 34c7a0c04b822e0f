// Harnesses for what a program reads before and after a training: configurations, checkpoints to resume from, and the
// folder of a run as a whole.
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>

#include "../src/cli/run_options.h"
#include "fuzz/harness.h"
#include "support/stop_after.h"
#include "vem/cli/run.h"
#include "vem/core/error.h"
#include "vem/models/registry.h"

namespace vem {
namespace {

namespace fs = std::filesystem;

const Registry& built_in() {
  static const Registry registry = builtin_registry();
  return registry;
}

/// What was read is written and read back without a difference.
void read_configuration(const std::string& path) {
  RunOptions options, again;
  Config::load(path).read(options, built_in());
  const Config written = Config::parse(to_toml(options, built_in()), "what was written");
  written.read(again, built_in());
  const Config rewritten = Config::parse(to_toml(again, built_in()), "what was written again");
  if (!written.differences(rewritten).empty()) throw std::logic_error("options change when they are written");
}

// ---- a checkpoint of which entries are damaged ----

struct Training {
  RunOptions options;
  Dataset data;
  TensorMap state;
};

std::shared_ptr<Model> model_of(const Training& training) {
  return built_in().create<Model>(training.options.model, {training.data.schema, built_in()});
}

Training half_done(const std::string& toml) {
  Training training;
  Config::parse("train.epochs = 4\n" + toml, "training").read(training.options, built_in());
  training.data.size = 24;
  training.data.schema.item_shape = {2};
  training.data.columns["x"] =
      Rng(1).normal(at::arange(24, at::kLong), {2}, "x") + at::arange(24).remainder(2).unsqueeze(1) * 5;
  const auto model = model_of(training);
  StopAfter stop(3);
  fit(*model, training.data, training.options.train, {built_in(), nullptr, nullptr, {&stop}});
  training.state = stop.state();
  return training;
}

const std::vector<Training>& trainings() {
  const std::string mixture = "model.kind = \"gmm\"\nmodel.num_components = 2\n";
  static const std::vector<Training> all{
      half_done(mixture + "train.tolerance = 0.0\n"),
      half_done(mixture + "train.tolerance = 0.0\ntrain.acceleration = \"squarem\"\n"),
      half_done(mixture + "train.batch_size = 8\n"),
      half_done(mixture + "train.batch_size = 8\ntrain.memoised = true\ntrain.tolerance = 0.0\n"),
      half_done(mixture + "model.estimate = \"gibbs\"\ntrain.burn_in = 1\n"),
      half_done("model.kind = \"vae\"\nmodel.latent_dim = 1\nmodel.decoder.widths = [3]\nmodel.e_step = \"local\"\n"
                "model.inner_steps = 2\nmodel.likelihood = \"normal\"\ntrain.batch_size = 8\n")};
  return all;
}

Tensor damaged(const Tensor& entry, uint8_t how, uint8_t with) {
  const auto number = static_cast<int8_t>(with);
  const bool rows = entry.dim() > 0 && entry.size(0) > 0;
  switch (how % 9) {
    case 0:
      return entry.to(with % 2 ? at::kFloat : at::kLong);
    case 1:
      return entry.reshape({-1});
    case 2:
      return rows ? entry.slice(0, 0, entry.size(0) - 1) : entry.unsqueeze(0);
    case 3:
      return rows ? at::cat({entry, entry.slice(0, 0, 1)}) : entry.unsqueeze(0);
    case 4:
      return at::zeros({with}, entry.options());
    case 5:
      return at::full_like(entry, number);
    case 6:
      if (!entry.is_floating_point()) return entry * 1'000'000'007;
      return at::full_like(entry.to(at::kDouble), number * 1e300).to(entry.scalar_type());
    case 7:
      return entry.is_floating_point() ? at::full_like(entry, std::nan("")) : -entry;
    default: {
      Tensor one = entry.clone();
      if (one.numel() > 0) one.view({-1})[with % one.numel()] = number;
      return one;
    }
  }
}

/// The first byte chooses the training, each three bytes after it an entry, what is done to it, and with what. Then
/// the training is resumed.
void resume_damaged(const std::string& path) {
  const std::string bytes = bytes_of(path);
  if (bytes.empty()) return;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const Training& training = trainings()[byte(0) % trainings().size()];
  TensorMap state = training.state;
  for (size_t i = 1; i + 2 < bytes.size() && i < 16; i += 3) {
    const auto entry = std::next(state.begin(), byte(i) % static_cast<int64_t>(state.size()));
    if (byte(i + 1) == 255)
      state.erase(entry);
    else
      entry->second = damaged(entry->second, byte(i + 1), byte(i + 2));
    if (state.empty()) return;
  }
  const auto model = model_of(training);
  model->load(state);
  fit(*model, training.data, training.options.train, {built_in(), nullptr, nullptr, {}, &state});
}

// ---- the folder of a run ----

constexpr std::string_view kBetween = "\n%%%%\n";

int call(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return run(static_cast<int>(argv.size()), argv.data(), built_in());
}

/// The data of the run, under a name that its configuration can hold.
std::string rows_file() {
  const std::string path = (fs::temp_directory_path() / "vem-fuzz-rows.csv").string();
  std::ofstream(path) << "a,b\n1,2\n2,1\n8,9\n9,8\n1,1\n8,8\n";
  return path;
}

/// The file holds config.toml, the last checkpoint and the metrics of a run, with kBetween between them. The run is
/// described, evaluated and resumed, which must end with an exit code of vem/cli/run.h.
void use_run(const std::string& path) {
  const std::string all = bytes_of(path);
  const fs::path run = fs::path(path).parent_path() / "run", data = rows_file();
  fs::remove_all(run);
  fs::create_directories(run / "checkpoints");
  std::string_view rest = all;
  for (const char* name : {"config.toml", "checkpoints/last.safetensors", "metrics.jsonl"}) {
    const size_t end = std::min(rest.find(kBetween), rest.size());
    std::ofstream(run / name, std::ios::binary) << rest.substr(0, end);
    rest.remove_prefix(std::min(end + kBetween.size(), rest.size()));
  }
  static const std::set<int> codes{0, 64, 65, 66, 70, 73, 78};
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"vem", "describe", run.string()},
        {"vem", "evaluate", run.string(), "--data", data.string()},
        {"vem", "train", "--resume", run.string(), "--set", "train.max_minutes=0.01", "--set", "train.epochs=3"}})
    if (!codes.count(call(words))) throw std::logic_error("an exit code of its own: vem " + words[1]);
}

/// The files of a small training as use_run() takes them.
std::string run_as_text() {
  const fs::path folder = fs::temp_directory_path() / fmt::format("vem-fuzz-run-{}", ::getpid());
  fs::create_directories(folder);
  const std::string data = rows_file(), run = (folder / "run").string();
  call({"vem", "train", "gmm", "--data", data, "--set", "model.num_components=2", "--set", "train.epochs=2", "--out",
        run, "--force"});
  std::string text = bytes_of(run + "/config.toml") + std::string(kBetween) +
                     bytes_of(run + "/checkpoints/last.safetensors") + std::string(kBetween) +
                     bytes_of(run + "/metrics.jsonl");
  fs::remove_all(folder);
  return text;
}

}  // namespace

const std::vector<Harness>& harnesses() {
  static const std::vector<Harness> all{
      {"configuration",
       "c.toml",
       read_configuration,
       {"seed = 1\n[model]\nkind = \"vae\"\nlatent_dim = 2\n[model.encoder]\nwidths = [3, 4]\n[train]\nepochs = 3\n",
        "model.kind = \"gmm\"\nmodel.num_components = 3\nmodel.observation = {kind = \"normal\", covariance = "
        "\"tied\"}\n",
        "[model]\nkind = \"hmm\"\n[data]\nsource = \"a.csv\"\ncolumns = 'a, \"b, c\"'\nvalidation = 0.1\n",
        "[model]\nkind = \"vae\"\n[model.objective]\nkind = \"elbo\"\nkl_weight = {kind = \"linear\", from = 0.0, to = "
        "1.0, epochs = 3}\n"}},
      {"checkpoint",
       "edits",
       resume_damaged,
       {std::string("\0", 1), "\1", "\2\1\2\3", "\3\4\5\6\7\10\11", "\4\1\377\1", "\5\12\3\2"}},
      {"run", "run.txt", use_run, {run_as_text()}}};
  return all;
}

}  // namespace vem
