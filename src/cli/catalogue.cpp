// vem list, describe and info: what there is.
#include <sys/utsname.h>
#include <torch/version.h>

#include <filesystem>

#include "run_options.h"
#include "vem/core/error.h"
#include "vem/core/platform.h"
#include "verbs.h"

namespace vem {
namespace {

void print_options(Options& options, const Registry& registry) {
  for (const OptionInfo& row : describe(options, registry)) {
    fmt::print("  {} = {}\n", row.path, row.default_value);
    fmt::print("      {}", row.help);
    if (!row.range.empty()) fmt::print(" [{}]", row.range);
    if (!row.condition.empty()) fmt::print(" (when {})", row.condition);
    fmt::print("\n");
  }
}

/// All that can be set with a model, with the defaults that it brings for its data and its training.
void print_model(const Plugin& plugin, const Registry& registry) {
  RunOptions options;
  Config::parse(fmt::format("model = \"{}\"", plugin.name), "describe").read(options, registry);
  print_options(options, registry);
}

void print_choice(const Plugin& plugin, const Registry& registry) {
  ChoiceOptions options(plugin.kind, plugin.name);
  Config::parse(fmt::format("{} = \"{}\"", plugin.kind, plugin.name), "describe").read(options, registry);
  print_options(options, registry);
}

void print_plugin(const Plugin& plugin, const Registry& registry) {
  fmt::print("{} {}: {}\n", plugin.kind, plugin.name, plugin.summary);
  if (!plugin.base.empty()) fmt::print("  a preset of {}\n", plugin.base);
  if (plugin.kind == Model::kKind)
    print_model(plugin, registry);
  else
    print_choice(plugin, registry);
  fmt::print("\n");
}

}  // namespace

int list(const Arguments& a, const Registry& registry) {
  const std::string wanted = a.count("name") ? a["name"].as<std::string>() : "";
  std::vector<std::string> kinds;
  for (const Plugin* plugin : registry.list())
    if (std::find(kinds.begin(), kinds.end(), plugin->kind) == kinds.end()) kinds.push_back(plugin->kind);
  std::sort(kinds.begin(), kinds.end());
  if (!wanted.empty() && std::find(kinds.begin(), kinds.end(), wanted) == kinds.end())
    fail<UsageError>("unknown kind '{}'; there are: {}", wanted, fmt::join(kinds, ", "));
  for (const std::string& kind : kinds) {
    if (!wanted.empty() && kind != wanted) continue;
    fmt::print("{}\n", kind);
    for (const Plugin* plugin : registry.list(kind)) fmt::print("  {:<22} {}\n", plugin->name, plugin->summary);
  }
  return 0;
}

int describe(const Arguments& a, const Registry& registry) {
  if (!a.count("name"))
    fail<UsageError>("describe: which name? `vem list` lists them; data and train are sections of every run");
  const auto name = a["name"].as<std::string>();
  if (std::filesystem::exists(std::filesystem::path(name) / "config.toml")) return describe_run(a, registry);
  a.refuse("json", fmt::format("it takes the folder of a run, and {} is none", name));
  RunOptions run;
  if (name == "data" || name == "train") {
    a.require_all_read();
    fmt::print("[{}]\n", name);
    if (name == "data")
      print_options(run.data, registry);
    else
      print_options(run.train, registry);
    return 0;
  }
  std::vector<const Plugin*> found;
  std::vector<std::string> names;
  for (const Plugin* plugin : registry.list()) {
    names.push_back(plugin->name);
    if (plugin->name == name) found.push_back(plugin);
  }
  const std::string near = nearest(name, names);
  if (found.empty())
    fail<UsageError>("nothing is called '{}'; {}`vem list` lists everything", name,
                     near.empty() ? "" : "did you mean '" + near + "'? ");
  a.require_all_read();
  for (const Plugin* plugin : found) print_plugin(*plugin, registry);
  return 0;
}

int info(const Arguments&, const Registry&) {
  tune_platform(0);
  const BlasInfo blas = blas_info();
  utsname system;
  uname(&system);
  fmt::print("vem        {}\nLibTorch   {}\nsystem     {} {} {}, {}\ndevice     cpu\nthreads    {}\n", VEM_VERSION,
             TORCH_VERSION, system.sysname, system.release, system.machine, vector_instructions(),
             at::get_num_threads());
  fmt::print("waiting    threads look for work, and sleep while other programs take cores\n");
  fmt::print("BLAS       {}\n", blas.library);
  if (!blas.config.empty()) fmt::print("           {}\n", blas.config);
  const double single_speed = measured_gflops(at::kFloat), double_speed = measured_gflops(at::kDouble);
  fmt::print("speed      {:.0f} GFLOP/s in float32, {:.0f} in float64 (products of 1024 x 1024 matrices)\n",
             single_speed, double_speed);
  if (!blas.warning.empty()) fmt::print("warning    {}\n", blas.warning);
  return 0;
}

}  // namespace vem
