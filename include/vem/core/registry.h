// The table of plug-ins. A plain container: models/registry.cpp fills it from models/registry.def, and a program of
// someone else's adds its own rows. What is listed here is described, documented and tested from here.
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vem/core/error.h"
#include "vem/core/options.h"

namespace vem {

struct Plugin {
  std::string kind;      ///< "model", "prior", "objective" ...
  std::string name;      ///< as written in a configuration
  std::string summary;   ///< one line for `vem list`
  std::string defaults;  ///< TOML, relative to the section that holds the choice: keys visited after it
  std::string base;      ///< presets only: the plug-in that this name stands for
  std::function<std::shared_ptr<Options>()> options{};  ///< a fresh struct of defaults (empty for presets)
  std::any create{};  ///< Factory<Interface> of the kind's interface (empty for presets)
};

template <class Interface>
using Factory = std::function<std::shared_ptr<Interface>(const Options&, const typename Interface::Context&)>;

class Registry {
 public:
  /// Adds a plug-in whose options are OptionsT and whose interface names its kind as Interface::kKind.
  template <class Interface, class OptionsT>
  void add(std::string name, std::string summary,
           std::function<std::shared_ptr<Interface>(const OptionsT&, const typename Interface::Context&)> create,
           std::string defaults = "") {
    Plugin plugin{Interface::kKind, std::move(name), std::move(summary), std::move(defaults), ""};
    plugin.options = [] { return std::make_shared<OptionsT>(); };
    plugin.create = Factory<Interface>([create](const Options& options, const typename Interface::Context& context) {
      return create(dynamic_cast<const OptionsT&>(options), context);
    });
    insert(std::move(plugin));
  }
  /// Adds a name for a plug-in with other defaults: a variant is data, not a class.
  void add_preset(std::string kind, std::string name, std::string base, std::string defaults, std::string summary);

  /// Builds what `choice` names; default options where it has none. Throws ConfigError for an unknown name.
  template <class Interface>
  std::shared_ptr<Interface> create(const Choice& choice, const typename Interface::Context& context) const {
    const Plugin& plugin = resolve(choice.kind, choice.name);
    auto options = choice.options ? choice.options : plugin.options();
    return std::any_cast<const Factory<Interface>&>(plugin.create)(*options, context);
  }

  /// The row itself; throws ConfigError that names the nearest one.
  const Plugin& find(const std::string& kind, const std::string& name) const;
  /// As find(), but a preset gives the plug-in that it stands for.
  const Plugin& resolve(const std::string& kind, const std::string& name) const;
  /// All rows of a kind (all kinds when empty), in the order they were added.
  std::vector<const Plugin*> list(const std::string& kind = "") const;

 private:
  void insert(Plugin plugin);

  std::vector<std::shared_ptr<const Plugin>> plugins_;
};

/// The candidate with the smallest edit distance to `word`; empty if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace vem
