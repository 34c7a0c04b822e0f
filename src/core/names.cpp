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

size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned lead = byte(0);
  if (text.empty() || lead < 0x80) return text.empty() ? 0 : 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  // The second byte rules out longer spellings than are needed, surrogates, and numbers beyond U+10FFFF.
  const unsigned low = lead == 0xE0   ? 0xA0
                       : lead == 0xF0 ? 0x90
                                      : 0x80,
                 high = lead == 0xED   ? 0x9F
                        : lead == 0xF4 ? 0x8F
                                       : 0xBF;
  if (byte(1) < low || byte(1) > high) return 0;
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (size_t i = 2; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  return length;
}

namespace {

// U+EF80 .. U+EFFF stand for the bytes 0x80 .. 0xFF: 0xEE, then 0xBE or 0xBF, then 0x80 .. 0xBF.
bool stands_for_byte(std::string_view character) {
  return character.size() == 3 && character[0] == '\xEE' && (character[1] == '\xBE' || character[1] == '\xBF');
}
unsigned char byte_of(std::string_view character) {
  return static_cast<unsigned char>(0x80 | (character[1] & 1) << 6 | (character[2] & 0x3F));
}
std::string character_of(unsigned char byte) {
  return {'\xEE', static_cast<char>(0xBE | (byte >> 6 & 1)), static_cast<char>(0x80 | (byte & 0x3F))};
}

/// Calls body(character) for each UTF-8 character of `text`, and for each byte that belongs to none.
template <class Body>
void for_each_utf8(std::string_view text, const Body& body) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    body(text.substr(0, std::max<size_t>(length, 1)), length > 0);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
}

}  // namespace

// A JSON string is a TOML basic string, but for the one control character that JSON leaves as it is.
std::string toml_string(const std::string& text) {
  std::string spelled, quoted;
  for_each_utf8(text, [&](std::string_view character, bool valid) {
    if (valid && !stands_for_byte(character))
      spelled += character;
    else
      for (const char byte : character) spelled += character_of(static_cast<unsigned char>(byte));
  });
  for_each_utf8(nlohmann::json(spelled).dump(), [&](std::string_view character, bool) {
    if (stands_for_byte(character))
      quoted += fmt::format("\\uEF{:02X}", byte_of(character));
    else if (character == "\x7f")
      quoted += "\\u007F";
    else
      quoted += character;
  });
  return quoted;
}

std::string text_of_toml(const std::string& parsed) {
  std::string text;
  for_each_utf8(parsed, [&](std::string_view character, bool) {
    if (stands_for_byte(character))
      text += static_cast<char>(byte_of(character));
    else
      text += character;
  });
  return text;
}

std::string one_line(std::string_view text) {
  std::string line;
  for_each_utf8(text, [&](std::string_view character, bool valid) {
    const auto first = static_cast<unsigned char>(character[0]);
    const bool control = first < 0x20 || first == 0x7F ||
                         (first == 0xC2 && valid && static_cast<unsigned char>(character[1]) < 0xA0);  // U+0080 .. 9F
    if (character == "\n" || character == "\r" || character == "\t")
      line += character == "\n" ? "\\n" : character == "\r" ? "\\r" : "\\t";
    else if (control || !valid)
      for (const char byte : character) line += fmt::format("\\x{:02X}", static_cast<unsigned char>(byte));
    else
      line += character;
  });
  return line;
}

}  // namespace vem
