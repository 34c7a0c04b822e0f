// The configuration of a run from the arguments that describe one: a preset or a file, then --data, --seed and --set.
#include "inputs.h"
#include "run_directory.h"
#include "run_options.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/core/platform.h"

namespace vem {

bool is_toml(const std::string& what) { return has_extension(what, ".toml"); }

namespace {

/// What stands on the command line is the value itself, whatever TOML would make of it: a number, else a string.
std::string toml_of(const std::string& value) {
  const bool digits = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
  return digits ? value : toml_string(value);
}

}  // namespace

std::vector<std::string> assignments(const Arguments& a) {
  return a.count("set") ? a["set"].as<std::vector<std::string>>() : std::vector<std::string>{};
}

Config configuration(const Arguments& a, const std::string& what) {
  Config config;
  if (is_toml(what))
    config = is_written_config(what) ? load_written_config(what) : Config::load(what);
  else
    config.set("model=" + toml_string(what));
  for (const char* name : {"seed", "threads", "device"})
    if (a.count(name)) config.set(fmt::format("{}={}", name, toml_of(a[name].as<std::string>())));
  if (a.count("data")) config.set("data.source=" + toml_string(a["data"].as<std::string>()));
  for (const std::string& assignment : assignments(a)) config.set(assignment);
  return config;
}

RunOptions run_options(const Arguments& a, const std::string& verb, const Registry& registry,
                       const std::vector<std::string>& more) {
  if (!a.count("what"))
    fail<UsageError>(
        "{0}: which model? `vem {0} vae --data fashion-mnist`, or a TOML file; `vem list model` lists models", verb);
  const std::string what = a["what"].as<std::string>();
  if (!is_toml(what)) registry.find("model", what);
  Config config = configuration(a, what);
  for (const std::string& assignment : more) config.set(assignment);
  if (!config.has("model")) fail<ConfigError>("{}: model is not set; `vem list model` lists models", what);
  RunOptions options;
  config.read(options, registry);
  if (options.data.source.empty())
    fail<ConfigError>("{}: data.source is not set; name a data set or a file with --data", verb);
  return options;
}

void prepare(const RunOptions& options) {
  tune_platform(options.threads);
  if (const std::string warning = blas_info().warning; !warning.empty())
    fmt::print(stderr, "vem: warning: {}\n", warning);
  if (const auto* chosen = dynamic_cast<const ModelOptions*>(options.model.options.get()))
    if (const std::string advice = chosen->advice(options.train.batch_size); !advice.empty())
      fmt::print(stderr, "vem: warning: {}\n", advice);
}

}  // namespace vem
