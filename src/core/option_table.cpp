// Options as rows, and rows as TOML.
#include "option_table.h"

#include "vem/core/names.h"

namespace vem {

std::string format_range(const Range& range) {
  const auto number = [](double x) {
    return x == std::floor(x) && std::abs(x) < 1e15 ? fmt::format("{:.0f}", x) : fmt::format("{}", x);
  };
  const bool below = std::isinf(range.min), above = std::isinf(range.max);
  if (below && above) return "any number";
  if (above) return fmt::format("{} {}", range.open_min ? ">" : ">=", number(range.min));
  if (below) return fmt::format("<= {}", number(range.max));
  return fmt::format("in {}{}, {}]", range.open_min ? "(" : "[", number(range.min), number(range.max));
}

std::string format_value(bool value) { return value ? "true" : "false"; }
std::string format_value(int64_t value) { return fmt::format("{}", value); }
std::string format_value(double value) {
  const std::string text = fmt::format("{}", value);  // the shortest that reads back to the same number
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}
std::string format_value(const std::string& value) { return toml_string(value); }
std::string format_value(const std::vector<int64_t>& value) { return fmt::format("[{}]", fmt::join(value, ", ")); }
std::string format_value(const std::vector<double>& value) {
  std::vector<std::string> items;
  for (const double item : value) items.push_back(format_value(item));
  return fmt::format("[{}]", fmt::join(items, ", "));
}
std::string format_value(const Config::Value& value) {
  std::vector<std::string> items;
  for (const auto& item : value.items) items.push_back(std::visit([](const auto& x) { return format_value(x); }, item));
  return value.array ? fmt::format("[{}]", fmt::join(items, ", ")) : items.at(0);
}

namespace {

class Tabulator final : public OptionVisitor {
 public:
  Tabulator(const Registry& registry, bool all_plugins) : registry_(registry), all_plugins_(all_plugins) {}

  void operator()(const char* name, bool& value, const char* help) override {
    row(name, "boolean", format_value(value), "true, false", help);
  }
  void operator()(const char* name, int64_t& value, Range range, const char* help) override {
    row(name, "integer", format_value(value), format_range(range), help);
  }
  void operator()(const char* name, double& value, Range range, const char* help) override {
    row(name, "number", format_value(value), format_range(range), help);
  }
  void operator()(const char* name, std::optional<double>& value, const char* none, Range range,
                  const char* help) override {
    row(name, "number or word", value ? format_value(*value) : format_value(std::string(none)),
        fmt::format("{}, or \"{}\"", format_range(range), none), help);
  }
  void operator()(const char* name, std::string& value, const char* help) override {
    row(name, "string", format_value(value), "", help);
  }
  void operator()(const char* name, std::vector<int64_t>& value, Range range, const char* help) override {
    row(name, "integers", format_value(value), "each " + format_range(range), help);
  }
  void operator()(const char* name, std::vector<double>& value, Range range, const char* help) override {
    row(name, "numbers", format_value(value), "each " + format_range(range), help);
  }
  void word(const char* name, std::string& value, const std::vector<std::string>& allowed, const char* help) override {
    row(name, "word", format_value(value), fmt::format("{}", fmt::join(allowed, ", ")), help);
  }
  void operator()(const char* name, Choice& value, const char* help) override {
    std::vector<std::string> names;
    for (const Plugin* plugin : registry_.list(value.kind)) names.push_back(plugin->name);
    const bool outer = schedule_;
    schedule_ = outer || value.kind == "schedule";
    row(std::string(name) + ".kind", value.kind, format_value(value.name), fmt::format("{}", fmt::join(names, ", ")),
        help);
    if (!value.options) value.options = registry_.resolve(value.kind, value.name).options();
    (*this)(name, *value.options, "");
    schedule_ = outer;
    if (all_plugins_ && std::find(others_of_.begin(), others_of_.end(), value.kind) == others_of_.end())
      visit_others(name, value);
  }
  void operator()(const char* name, Options& options, const char*) override {
    const std::string parent = prefix_;
    prefix_ = path(name);
    options.visit(*this);
    prefix_ = parent;
  }
  void operator()(const char* name, Sections& sections, const char* help) override {
    for (auto& [entry, options] : sections.entries) (*this)(fmt::format("{}.{}", name, entry).c_str(), *options, "");
    if (!sections.entries.empty()) return;
    const auto options = sections.blank();
    when(false, help, [&] { (*this)(fmt::format("{}.NAME", name).c_str(), *options, ""); });
  }
  void when(bool holds, const std::string& condition, const std::function<void()>& body) override {
    const std::string condition_before = condition_;
    const bool effective_before = effective_;
    condition_ = condition_.empty() ? condition : condition_ + " and " + condition;
    effective_ = effective_ && holds;
    body();
    condition_ = condition_before;
    effective_ = effective_before;
  }

  std::vector<OptionRow> rows;

 private:
  std::string path(const std::string& name) const { return prefix_.empty() ? name : prefix_ + "." + name; }
  void row(const std::string& name, std::string type, std::string value, std::string range, const char* help) {
    rows.push_back(
        {{path(name), std::move(type), value, std::move(range), help, condition_}, value, effective_, schedule_});
  }
  /// A plug-in may choose among its own kind again: the others of one kind are not looked for within each other.
  void visit_others(const char* name, const Choice& value) {
    others_of_.push_back(value.kind);
    for (const Plugin* plugin : registry_.list(value.kind)) {
      if (!plugin->base.empty() || plugin->name == value.name) continue;
      const auto options = plugin->options();
      when(false, fmt::format("{} is \"{}\"", path(name), plugin->name), [&] { (*this)(name, *options, ""); });
    }
    others_of_.pop_back();
  }

  const Registry& registry_;
  bool all_plugins_, effective_ = true, schedule_ = false;
  std::string prefix_, condition_;
  std::vector<std::string> others_of_;
};

std::pair<std::string, std::string> split_last(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? std::make_pair(std::string(), path)
                                  : std::make_pair(path.substr(0, dot), path.substr(dot + 1));
}

/// The rows of the schedule at `section` from `first` on, as a number or an inline table (schedules within it are
/// tables within the table); moves `first` past them.
std::string inline_schedule(const std::vector<OptionRow>& rows, size_t& first, const std::string& section) {
  const bool constant = rows[first].value == "\"constant\"";
  const std::string below = section + ".";
  std::vector<std::string> fields;
  std::string last;
  while (first < rows.size() && rows[first].schedule && rows[first].info.path.compare(0, below.size(), below) == 0) {
    const auto [parent, name] = split_last(rows[first].info.path);
    if (parent != section) {
      fields.push_back(parent.substr(below.size()) + " = " + inline_schedule(rows, first, parent));
      continue;
    }
    const OptionRow& row = rows[first++];
    if (!row.effective) continue;
    last = row.value;
    fields.push_back(name + " = " + last);
  }
  return constant ? last : fmt::format("{{{}}}", fmt::join(fields, ", "));
}

}  // namespace

std::vector<OptionRow> option_table(Options& options, const Registry& registry, bool all_plugins) {
  Tabulator tabulator(registry, all_plugins);
  options.visit(tabulator);
  return std::move(tabulator.rows);
}

std::vector<OptionInfo> describe(Options& options, const Registry& registry) {
  std::vector<OptionInfo> infos;
  for (OptionRow& row : option_table(options, registry, false)) infos.push_back(std::move(row.info));
  return infos;
}

std::string to_toml(Options& options, const Registry& registry) {
  const std::vector<OptionRow> rows = option_table(options, registry, false);
  std::vector<std::pair<std::string, std::string>> sections{{"", ""}};  // name and lines, in order of appearance
  for (size_t i = 0; i < rows.size();) {
    const bool schedule = rows[i].schedule;
    const std::string path = schedule ? split_last(rows[i].info.path).first : rows[i].info.path;
    const auto [section, name] = split_last(path);
    const bool effective = rows[i].effective;
    const std::string value = schedule ? inline_schedule(rows, i, path) : rows[i++].value;
    if (!effective) continue;
    const auto same = [&, s = section](const auto& entry) { return entry.first == s; };
    auto it = std::find_if(sections.begin(), sections.end(), same);
    if (it == sections.end()) it = sections.insert(sections.end(), {section, ""});
    it->second += fmt::format("{} = {}\n", name, value);
  }
  std::string text;
  for (const auto& [section, lines] : sections) {
    if (lines.empty()) continue;
    text += (text.empty() ? "" : "\n") + (section.empty() ? lines : fmt::format("[{}]\n{}", section, lines));
  }
  return text;
}

}  // namespace vem
