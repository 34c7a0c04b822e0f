// A configuration: dotted keys with their values and the place each came from, read from TOML or from --set.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "vem/core/options.h"
#include "vem/core/registry.h"

namespace vem {

class Config {
 public:
  /// Parses TOML. `source` stands in error messages ("vae.toml"). Throws ConfigError with the line.
  static Config parse(const std::string& text, const std::string& source);
  /// Reads a file. Throws MissingInputError.
  static Config load(const std::string& path);

  /// Applies one `key=value`; the value is TOML, or a plain word taken as a string. Overrides what was there.
  void set(const std::string& assignment);
  /// Lays defaults under this one's keys: only keys that are absent here are taken. Keys move below `prefix`.
  void underlay(const Config& other, const std::string& prefix = "");
  /// The text at a key; "" where there is none.
  std::string text(const std::string& key) const;
  /// True if the key, or a key below it, is present.
  bool has(const std::string& key) const;

  /// A key whose value differs in another configuration; the values as TOML, "" where a side has none.
  struct Difference {
    std::string key, here, there;
  };
  std::vector<Difference> differences(const Config& other) const;

  /// Reads every field of `options`; afterwards each key must have been used. Throws ConfigError that names the line,
  /// the key and the nearest valid one; a key that is known but without effect in this run says what it needs.
  void read(Options& options, const Registry& registry) const;

  using Scalar = std::variant<bool, int64_t, double, std::string>;
  struct Value {
    std::vector<Scalar> items;  ///< one item, or those of an array
    bool array = false;
    std::string where;        ///< "vae.toml:12" or "--set"
    bool laid_under = false;  ///< a default of a plug-in: no error where it has no effect
  };

 private:
  friend class OptionReader;
  std::map<std::string, Value> values_;
};

/// The fields of `options` that have an effect, as TOML that Config::read accepts unchanged.
std::string to_toml(Options& options, const Registry& registry);

/// One option, for people: a row of `vem describe`.
struct OptionInfo {
  std::string path, type, default_value, range, help, condition;
};
/// Every field, those under a condition included; of nested plug-ins, the fields of the default ones.
std::vector<OptionInfo> describe(Options& options, const Registry& registry);

}  // namespace vem
