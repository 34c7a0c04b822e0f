// Names of columns and files in configurations: "length, weight" as a list, and any text as a TOML string.
#pragma once

#include <string>
#include <vector>

namespace vem {

/// The names between the commas of `text`, without blanks around them. A name that holds a comma itself, or begins or
/// ends with a blank, stands in double quotes, where "" is one quote: `a, "b, left"`. Nothing between two commas is no
/// name. Throws ConfigError, with `option` in its message, for a quote that is not closed and for words behind one.
std::vector<std::string> listed_names(const std::string& text, const std::string& option);

/// Any text as a TOML string, in quotes. Throws ConfigError for text that is no UTF-8, which TOML can not hold.
std::string toml_string(const std::string& text);

}  // namespace vem
