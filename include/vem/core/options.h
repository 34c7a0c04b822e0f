// Options are plain structs with the default in place and one visit() that names each field, its range and its help.
// The TOML reader, the writer of the resolved configuration, `vem describe` and --help all call that one function.
#pragma once

#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "vem/core/types.h"

namespace vem {

class OptionVisitor;

/// Base of every options struct.
struct Options {
  virtual ~Options() = default;
  /// Names every field to `v`. Fields that have an effect only under a condition on earlier fields stand inside
  /// v.when().
  virtual void visit(OptionVisitor& v) = 0;
};

/// A choice among the registered plug-ins of one kind, with the options of the one chosen.
struct Choice {
  std::string kind;                  ///< "prior", "objective" ...
  std::string name;                  ///< the plug-in; a preset is replaced by what it stands for when it is read
  std::shared_ptr<Options> options;  ///< null until read: the defaults of `name`
};

/// Sections of one type under names of the user's choice: [section.NAME]; a name may have dots.
struct Sections {
  std::function<std::shared_ptr<Options>()> blank;  ///< a fresh section of defaults
  std::map<std::string, std::shared_ptr<Options>> entries{};
};

/// Inclusive limits of a number; open_min excludes the lower one.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool open_min = false;
};
inline Range positive() { return {0, std::numeric_limits<double>::infinity(), true}; }
inline Range at_least(double min) { return {min, std::numeric_limits<double>::infinity(), false}; }

class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;

  virtual void operator()(const char* name, bool& value, const char* help) = 0;
  virtual void operator()(const char* name, int64_t& value, Range range, const char* help) = 0;
  virtual void operator()(const char* name, double& value, Range range, const char* help) = 0;
  virtual void operator()(const char* name, std::string& value, const char* help) = 0;
  /// A number, or one word in its place, which stands for none: `weight = 2` or `weight = "auto"`.
  virtual void operator()(const char* name, std::optional<double>& value, const char* none, Range range,
                          const char* help) = 0;
  virtual void operator()(const char* name, std::vector<int64_t>& value, Range range, const char* help) = 0;
  virtual void operator()(const char* name, std::vector<double>& value, Range range, const char* help) = 0;
  virtual void word(const char* name, std::string& value, const std::vector<std::string>& allowed,
                    const char* help) = 0;
  virtual void operator()(const char* name, Choice& value, const char* help) = 0;
  virtual void operator()(const char* name, Options& section, const char* help) = 0;
  virtual void operator()(const char* name, Sections& sections, const char* help) = 0;
  /// Fields named in `body` have an effect only if `holds`; `condition` says so in words ("estimate is map").
  virtual void when(bool holds, const std::string& condition, const std::function<void()>& body) = 0;

  /// An enumeration by its words.
  template <class E, class = std::enable_if_t<std::is_enum_v<E>>>
  void operator()(const char* name, E& value, std::initializer_list<std::pair<const char*, E>> words,
                  const char* help) {
    std::string chosen;
    std::vector<std::string> allowed;
    for (const auto& [text, e] : words) {
      allowed.emplace_back(text);
      if (e == value) chosen = text;
    }
    word(name, chosen, allowed, help);
    for (const auto& [text, e] : words)
      if (chosen == text) value = e;
  }
};

/// One choice as options of its own, in the section that is called after its kind: `model.num_components = 3`.
struct ChoiceOptions final : Options {
  ChoiceOptions(std::string kind, std::string name) : choice{std::move(kind), std::move(name), nullptr} {}
  void visit(OptionVisitor& v) override { v(choice.kind.c_str(), choice, "the choice itself"); }
  Choice choice;
};

/// Floating-point type of a model, as an option: shared by every model that has one.
enum class Precision { float32, float64, bf16 };
/// Of parameters and bounds: float32 for bf16, which names products only.
at::ScalarType scalar_type(Precision precision);
/// `with_bf16`: whether products of networks may be bfloat16.
void visit_precision(OptionVisitor& v, Precision& precision, bool with_bf16 = false);

}  // namespace vem
