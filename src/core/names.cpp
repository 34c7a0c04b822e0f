#include "vem/core/names.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "vem/core/error.h"

namespace vem {
namespace {

/// The name in quotes that begins at `at`, which moves behind it.
std::string quoted_name(const std::string& text, size_t& at, const std::string& option) {
  std::string name;
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"' && (at + 1 == text.size() || text[at + 1] != '"')) {
      ++at;
      return name;
    }
    if (text[at] == '"') ++at;
    name += text[at];
  }
  fail<ConfigError>("{}: a quote is not closed in {}", option, text);
}

}  // namespace

std::vector<std::string> listed_names(const std::string& text, const std::string& option) {
  std::vector<std::string> names;
  const auto skip_blanks = [&](size_t at) { return std::min(text.find_first_not_of(' ', at), text.size()); };
  for (size_t at = 0;; ++at) {
    at = skip_blanks(at);
    if (at < text.size() && text[at] == '"') {
      names.push_back(quoted_name(text, at, option));
      at = skip_blanks(at);
      if (at < text.size() && text[at] != ',')
        fail<ConfigError>("{}: a comma is expected after the name in quotes, got '{}'", option, text.substr(at));
    } else {
      const size_t end = std::min(text.find(',', at), text.size());
      const std::string name = text.substr(at, end - at);
      if (end > at) names.push_back(name.substr(0, name.find_last_not_of(' ') + 1));
      at = end;
    }
    if (at == text.size()) return names;
  }
}

// A JSON string is a TOML basic string, but for the one control character that JSON leaves as it is.
std::string toml_string(const std::string& text) {
  using Json = nlohmann::json;
  std::string quoted;
  try {
    quoted = Json(text).dump();
  } catch (const Json::type_error&) {
    fail<ConfigError>("{} is no UTF-8 text, in which configurations are written; \ufffd stands for the other bytes",
                      Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  for (size_t at; (at = quoted.find('\x7f')) != std::string::npos;) quoted.replace(at, 1, "\\u007f");
  return quoted;
}

}  // namespace vem
