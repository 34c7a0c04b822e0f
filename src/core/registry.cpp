// The table of plug-ins, and the nearest name for a message.
#include "vem/core/registry.h"

#include <numeric>

namespace vem {
namespace {

/// Levenshtein's distance with neighbours exchanged as one edit: "vea" is one from "vae". Rows of the last two letters.
int64_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<int64_t> row(b.size() + 1), above, two_above;
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    two_above = std::move(above);
    above = row;
    row[0] = static_cast<int64_t>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({row[j] + 1, above[j + 1] + 1, above[j] + (a[i] != b[j])});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j])
        row[j + 1] = std::min(row[j + 1], two_above[j - 1] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  int64_t smallest = std::max<int64_t>(3, static_cast<int64_t>(word.size()) / 2) + 1;
  for (const std::string& candidate : candidates) {
    const int64_t distance = edit_distance(word, candidate);
    if (distance < smallest) {
      smallest = distance;
      best = candidate;
    }
  }
  return best;
}

void Registry::insert(Plugin plugin) {
  for (const auto& known : plugins_)
    if (known->kind == plugin.kind && known->name == plugin.name)
      fail<Error>("registry: {} '{}' is registered already", plugin.kind, plugin.name);
  plugins_.push_back(std::make_shared<const Plugin>(std::move(plugin)));
}

void Registry::add_preset(std::string kind, std::string name, std::string base, std::string defaults,
                          std::string summary) {
  find(kind, base);
  insert({std::move(kind), std::move(name), std::move(summary), std::move(defaults), std::move(base)});
}

const Plugin& Registry::find(const std::string& kind, const std::string& name) const {
  std::vector<std::string> names;
  for (const Plugin* plugin : list(kind)) {
    if (plugin->name == name) return *plugin;
    names.push_back(plugin->name);
  }
  if (names.empty()) fail<ConfigError>("registry: there is no kind '{}'", kind);
  const std::string near = nearest(name, names);
  fail<ConfigError>("unknown {} '{}'; {}there are: {}", kind, name, near.empty() ? "" : "did you mean '" + near + "'? ",
                    fmt::join(names, ", "));
}

const Plugin& Registry::resolve(const std::string& kind, const std::string& name) const {
  const Plugin& plugin = find(kind, name);
  return plugin.base.empty() ? plugin : resolve(kind, plugin.base);
}

std::vector<const Plugin*> Registry::list(const std::string& kind) const {
  std::vector<const Plugin*> rows;
  for (const auto& plugin : plugins_)
    if (kind.empty() || plugin->kind == kind) rows.push_back(plugin.get());
  return rows;
}

}  // namespace vem
