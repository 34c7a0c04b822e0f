// Reading options from TOML: keys flattened to dotted paths, each with the line it came from.
#include "vem/core/config.h"

#include <toml++/toml.h>

#include <fstream>
#include <set>
#include <sstream>

#include "option_table.h"
#include "vem/core/names.h"

namespace vem {
namespace {

std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

Config::Scalar scalar_of(const toml::node& node, const std::string& key, const std::string& where) {
  if (const auto* b = node.as_boolean()) return b->get();
  if (const auto* i = node.as_integer()) return i->get();
  if (const auto* d = node.as_floating_point()) return d->get();
  if (const auto* s = node.as_string()) return text_of_toml(s->get());
  fail<ConfigError>("{}: {} must be a number, a string, a boolean or an array of them", where, key);
}

void flatten(const toml::node& node, const std::string& key, const std::string& source, bool with_line,
             std::map<std::string, Config::Value>& into) {
  const std::string where = with_line ? fmt::format("{}:{}", source, node.source().begin.line) : source;
  if (const auto* table = node.as_table()) {
    for (const auto& [name, child] : *table)
      flatten(child, join(key, std::string(name.str())), source, with_line, into);
    return;
  }
  Config::Value value{{}, node.is_array(), where, false};
  if (const auto* array = node.as_array())
    for (const auto& item : *array) value.items.push_back(scalar_of(item, key, where));
  else
    value.items.push_back(scalar_of(node, key, where));
  into[key] = std::move(value);
}

bool below(const std::string& key, const std::string& ancestor) {
  return key.size() > ancestor.size() && key.compare(0, ancestor.size(), ancestor) == 0 && key[ancestor.size()] == '.';
}

/// The section whose plug-in this key chooses: "model.prior" for "model.prior.kind", and for a bare word.
std::string chosen_section(const std::string& key) {
  return key.size() > 5 && key.compare(key.size() - 5, 5, ".kind") == 0 ? key.substr(0, key.size() - 5) : key;
}

}  // namespace

Config Config::parse(const std::string& text, const std::string& source) {
  Config config;
  try {
    const toml::table table = toml::parse(text, std::string_view(source));
    flatten(table, "", source, true, config.values_);
  } catch (const toml::parse_error& e) {
    fail<ConfigError>("{}:{}: {}", source, e.source().begin.line, e.description());
  }
  return config;
}

Config Config::load(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail<MissingInputError>("{}: no such configuration file", path);
  std::ostringstream text;
  text << file.rdbuf();
  return parse(text.str(), path);
}

std::string Config::text(const std::string& key) const {
  const auto it = values_.find(key);
  const auto* word =
      it == values_.end() || it->second.items.empty() ? nullptr : std::get_if<std::string>(&it->second.items[0]);
  return word ? *word : "";
}

void Config::set(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    fail<ConfigError>("--set {}: key=value is expected, for example --set train.epochs=20", assignment);
  const auto trim = [](std::string s) {
    s.erase(0, s.find_first_not_of(" \t"));
    s.erase(s.find_last_not_of(" \t") + 1);
    return s;
  };
  const std::string key = trim(assignment.substr(0, equals)), text = trim(assignment.substr(equals + 1));
  std::map<std::string, Value> fresh;
  try {
    const toml::table table = toml::parse("value = " + text, std::string_view("--set"));
    if (table.size() == 1)
      flatten(*table.get("value"), key, "--set", false, fresh);
    else
      fresh[key] = Value{{text}, false, "--set", false};  // a word of several lines
  } catch (const toml::parse_error& e) {
    if (text.empty() || std::string("[{\"'").find(text[0]) != std::string::npos)
      fail<ConfigError>("--set {}: {}", assignment, e.description());
    fresh[key] = Value{{text}, false, "--set", false};  // a plain word
  }
  for (const auto& [name, value] : fresh) {
    // Another choice leaves the options of the previous one behind, but not those of an earlier --set.
    const std::string section = chosen_section(name);
    for (auto it = values_.begin(); it != values_.end();)
      it = it->first == name || ((it->first == section || below(it->first, section)) && it->second.where != "--set")
               ? values_.erase(it)
               : std::next(it);
    if (name == section)
      values_.erase(section + ".kind");
    else
      values_.erase(section);
    values_[name] = value;
  }
}

void Config::underlay(const Config& other, const std::string& prefix) {
  const auto choice = [](const std::map<std::string, Value>& values, const std::string& section) -> const Value* {
    for (const std::string& key : {section, section + ".kind"})
      if (const auto it = values.find(key); it != values.end()) return &it->second;
    return nullptr;
  };
  const Config mine = *this;
  for (const auto& [name, value] : other.values_) {
    const std::string key = join(prefix, name);
    bool hidden = mine.values_.count(key) > 0;
    // Options of a plug-in make no sense under another choice.
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      const std::string section = name.substr(0, dot);
      const Value *ours = choice(mine.values_, join(prefix, section)), *theirs = choice(other.values_, section);
      hidden = hidden || (ours && theirs && ours->items != theirs->items);
    }
    if (const std::string section = chosen_section(name); choice(mine.values_, join(prefix, section))) hidden = true;
    if (hidden) continue;
    values_[key] = value;
    values_[key].laid_under = true;
  }
}

bool Config::has(const std::string& key) const {
  for (const auto& entry : values_)
    if (entry.first == key || below(entry.first, key)) return true;
  return false;
}

std::vector<Config::Difference> Config::differences(const Config& other) const {
  const auto value_at = [](const Config& config, const std::string& key) {
    const auto it = config.values_.find(key);
    return it == config.values_.end() ? std::string() : format_value(it->second);
  };
  std::set<std::string> keys;
  for (const Config* config : {this, &other})
    for (const auto& entry : config->values_) keys.insert(entry.first);
  std::vector<Difference> all;
  for (const std::string& key : keys)
    if (std::string here = value_at(*this, key), there = value_at(other, key); here != there)
      all.push_back({key, std::move(here), std::move(there)});
  return all;
}

// ---- reading ----

/// Fills options from the values; remembers which keys were used.
class OptionReader final : public OptionVisitor {
 public:
  OptionReader(const Config& config, const Registry& registry) : config_(config), registry_(registry) {}

  void operator()(const char* name, bool& value, const char*) override {
    read(
        name, value, [](const Config::Scalar& s, bool& out) { return assign(s, out); }, "true or false");
  }
  void operator()(const char* name, int64_t& value, Range range, const char*) override {
    read(
        name, value, [](const Config::Scalar& s, int64_t& out) { return assign(s, out); }, "a whole number");
    check_range(name, static_cast<double>(value), format_value(value), range);
  }
  void operator()(const char* name, double& value, Range range, const char*) override {
    read(name, value, assign_number, "a number");
    check_range(name, value, format_value(value), range);
  }
  void operator()(const char* name, std::optional<double>& value, const char* none, Range range, const char*) override {
    const auto assign_either = [none](const Config::Scalar& s, std::optional<double>& out) {
      if (const auto* word = std::get_if<std::string>(&s); word && *word == none) return out.reset(), true;
      double number = 0;
      if (!assign_number(s, number)) return false;
      return out = number, true;
    };
    const std::string wanted = fmt::format("a number or \"{}\"", none);
    read(name, value, assign_either, wanted.c_str());
    if (value) check_range(name, *value, format_value(*value), range);
  }
  void operator()(const char* name, std::string& value, const char*) override {
    read(
        name, value, [](const Config::Scalar& s, std::string& out) { return assign(s, out); }, "a string");
  }
  void operator()(const char* name, std::vector<int64_t>& value, Range range, const char*) override {
    const Config::Value* found = take(name);
    if (!found) return;
    value.clear();
    for (const auto& item : found->items) {
      const auto* whole = std::get_if<int64_t>(&item);
      if (!whole) mistyped(name, *found, "an array of whole numbers");
      value.push_back(*whole);
      check_range(name, static_cast<double>(*whole), format_value(*whole), range);
    }
  }
  void operator()(const char* name, std::vector<double>& value, Range range, const char*) override {
    const Config::Value* found = take(name);
    if (!found) return;
    value.clear();
    for (const auto& item : found->items) {
      double number = 0;
      if (!assign_number(item, number)) mistyped(name, *found, "an array of numbers");
      value.push_back(number);
      check_range(name, number, format_value(number), range);
    }
  }
  void word(const char* name, std::string& value, const std::vector<std::string>& allowed, const char*) override {
    (*this)(name, value, "");
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    const std::string near = nearest(value, allowed);
    fail<ConfigError>("{}{} must be one of {}, got \"{}\"{}", place(name), path(name), fmt::join(allowed, ", "), value,
                      near.empty() ? "" : "; did you mean \"" + near + "\"?");
  }
  void operator()(const char* name, Choice& value, const char*) override {
    const std::string section = path(name), parent = prefix_;
    expand_shorthand(section, value);
    const std::string before = value.name;
    (*this)((std::string(name) + ".kind").c_str(), value.name, "");
    if (value.name != before) value.options = nullptr;
    for (;;) {  // presets give way to what they stand for; defaults of each are laid under
      const Plugin& plugin = find(section, value);
      config_.underlay(Config::parse(plugin.defaults, fmt::format("defaults of {} '{}'", plugin.kind, plugin.name)),
                       parent);
      if (plugin.base.empty()) break;
      value.name = plugin.base;
    }
    if (!value.options) value.options = registry_.find(value.kind, value.name).options();
    (*this)(name, *value.options, "");
  }
  void operator()(const char* name, Options& options, const char*) override {
    const std::string parent = prefix_;
    prefix_ = path(name);
    options.visit(*this);
    prefix_ = parent;
  }
  /// Every name between the section and a field below it makes an entry.
  void operator()(const char* name, Sections& sections, const char*) override {
    const std::string section = path(name);
    std::set<std::string> fields;
    const auto blank = sections.blank();
    for (const OptionRow& row : option_table(*blank, registry_, false))
      fields.insert(row.info.path.substr(0, row.info.path.find('.')));
    for (const auto& [key, value] : config_.values_) {
      if (!below(key, section)) continue;
      const std::string rest = key.substr(section.size() + 1);
      size_t end = rest.rfind('.');
      if (end == std::string::npos) continue;
      for (size_t dot = rest.find('.'); dot < end;
           dot = rest.find('.', dot + 1))  // fields may have fields of their own
        if (fields.count(rest.substr(dot + 1, rest.find('.', dot + 1) - dot - 1))) end = dot;
      sections.entries.emplace(rest.substr(0, end), sections.blank());
    }
    for (auto& [entry, options] : sections.entries) (*this)(fmt::format("{}.{}", name, entry).c_str(), *options, "");
  }
  void when(bool holds, const std::string&, const std::function<void()>& body) override {
    if (holds) body();
  }

  /// Throws for the first key (in the order of lines) that nothing has read.
  void check_all_used(Options& options) const {
    for (const auto& [key, value] : config_.values_)
      if (!used_.count(key) && !value.laid_under) unused(key, value, options);
  }

 private:
  template <class T>
  static bool assign(const Config::Scalar& scalar, T& out) {
    const T* typed = std::get_if<T>(&scalar);
    if (typed) out = *typed;
    return typed != nullptr;
  }
  static bool assign_number(const Config::Scalar& scalar, double& out) {
    if (const auto* whole = std::get_if<int64_t>(&scalar)) return out = static_cast<double>(*whole), true;
    return assign(scalar, out);
  }
  std::string path(const std::string& name) const { return join(prefix_, name); }
  const Config::Value* take(const std::string& name) {
    const auto it = config_.values_.find(path(name));
    if (it == config_.values_.end()) return nullptr;
    used_.insert(it->first);
    return &it->second;
  }
  std::string place(const std::string& name) const {
    for (const std::string& key : {path(name), path(name) + ".kind"})
      if (const auto it = config_.values_.find(key); it != config_.values_.end()) return it->second.where + ": ";
    return "";
  }
  [[noreturn]] void mistyped(const std::string& name, const Config::Value& value, const char* wanted) const {
    fail<ConfigError>("{}: {} must be {}, got {}", value.where, path(name), wanted, format_value(value));
  }
  template <class T, class F>
  void read(const std::string& name, T& value, F accept, const char* wanted) {
    const Config::Value* found = take(name);
    if (found && (found->array || !accept(found->items[0], value))) mistyped(name, *found, wanted);
  }
  void check_range(const std::string& name, double value, const std::string& text, const Range& range) const {
    if (!(range.open_min ? value > range.min : value >= range.min) || !(value <= range.max))
      fail<ConfigError>("{}{} must be {}, got {}", place(name), path(name), format_range(range), text);
  }
  /// `prior = "mixture"` and `learning_rate = 0.001` are short for tables.
  void expand_shorthand(const std::string& section, const Choice& value) {
    const auto it = config_.values_.find(section);
    if (it == config_.values_.end()) return;
    const Config::Value short_form = it->second;
    config_.values_.erase(it);
    const bool is_word = !short_form.array && std::holds_alternative<std::string>(short_form.items[0]);
    if (is_word) {
      config_.values_[section + ".kind"] = short_form;
    } else if (value.kind == "schedule" && !short_form.array && !std::holds_alternative<bool>(short_form.items[0])) {
      config_.values_[section + ".kind"] =
          Config::Value{{std::string("constant")}, false, short_form.where, short_form.laid_under};
      config_.values_[section + ".value"] = short_form;
    } else {
      fail<ConfigError>("{}: {} must be the name of a {}, got {}", short_form.where, section, value.kind,
                        format_value(short_form));
    }
  }
  const Plugin& find(const std::string& section, const Choice& value) const {
    try {
      return registry_.find(value.kind, value.name);
    } catch (const ConfigError& e) {
      const auto it = config_.values_.find(section + ".kind");
      fail<ConfigError>("{}{}: {}", it == config_.values_.end() ? "" : it->second.where + ": ", section, e.what());
    }
  }
  [[noreturn]] void unused(const std::string& key, const Config::Value& value, Options& options) const {
    std::vector<std::string> effective;
    for (const OptionRow& row : option_table(options, registry_, true)) {
      const std::string alias = chosen_section(row.info.path);  // "model.prior" is as good as "model.prior.kind"
      if (row.effective)
        effective.push_back(row.info.path);
      else if (row.info.path == key || alias == key)
        fail<ConfigError>("{}: {} has no effect in this run; it takes effect when {}", value.where, key,
                          row.info.condition);
    }
    const std::string near = nearest(key, effective);
    fail<ConfigError>("{}: unknown key {}{}", value.where, key, near.empty() ? "" : "; did you mean " + near + "?");
  }

  Config config_;  // a copy: shorthands are expanded and defaults laid under
  const Registry& registry_;
  std::string prefix_;
  std::set<std::string> used_;
};

void Config::read(Options& options, const Registry& registry) const {
  OptionReader reader(*this, registry);
  options.visit(reader);
  reader.check_all_used(options);
}

}  // namespace vem
