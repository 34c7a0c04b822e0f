// The configuration of a run from the arguments that describe one: a preset or a file, then --data, --seed and --set.
#include "run_directory.h"

namespace vem {

bool is_toml(const std::string& what) { return what.size() > 5 && what.compare(what.size() - 5, 5, ".toml") == 0; }

std::vector<std::string> assignments(const Arguments& a) {
  return a.count("set") ? a["set"].as<std::vector<std::string>>() : std::vector<std::string>{};
}

Config configuration(const Arguments& a, const std::string& what) {
  Config config;
  if (is_toml(what))
    config = is_written_config(what) ? load_written_config(what) : Config::load(what);
  else
    config.set("model=\"" + what + "\"");
  for (const char* name : {"seed", "threads", "device"})
    if (a.count(name)) config.set(fmt::format("{}={}", name, a[name].as<std::string>()));
  if (a.count("data")) config.set("data.source='" + a["data"].as<std::string>() + "'");
  for (const std::string& assignment : assignments(a)) config.set(assignment);
  return config;
}

}  // namespace vem
