// The command line of one verb: its parsed options, and which of them the verb has read.
#pragma once

// A comma does not separate values, since --set takes arrays and tables.
#define CXXOPTS_VECTOR_DELIMITER '\0'
#include <cxxopts.hpp>
#include <set>
#include <string>

namespace vem {

/// An option that is given but changes nothing is an error, as a key of a configuration without effect is. So a verb
/// reads an option where it uses it, and nowhere else: what is then left unread had no effect.
class Arguments {
 public:
  Arguments(cxxopts::ParseResult parsed, std::string verb) : parsed_(std::move(parsed)), verb_(std::move(verb)) {}

  /// How many times an option was given; 0 for one that was not. This alone does not count as reading it.
  size_t count(const std::string& name) const { return parsed_.count(name); }
  /// The text that an option was given, without reading it; it must have been given.
  std::string given(const std::string& name) const { return parsed_[name].as<std::string>(); }
  /// The value of an option, given or default; it counts as read from then on.
  const cxxopts::OptionValue& operator[](const std::string& name) const {
    read_.insert(name);
    return parsed_[name];
  }
  /// Throws UsageError if the option is given: for a verb that knows why it has no effect.
  void refuse(const std::string& name, const std::string& why) const;
  /// Throws UsageError if an option is given that the verb has not read. Verbs call it before work that takes long and
  /// before they write; run() calls it in the end.
  void require_all_read() const;

 private:
  cxxopts::ParseResult parsed_;
  std::string verb_;
  mutable std::set<std::string> read_;
};

}  // namespace vem
