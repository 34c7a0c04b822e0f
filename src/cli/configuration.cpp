// The configuration of a run from the arguments that describe one: a preset or a file, then --data, --seed and --set.
#include "inputs.h"
#include "run_directory.h"
#include "run_options.h"
#include "vem/core/names.h"

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

}  // namespace vem
