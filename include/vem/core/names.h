// Names of columns and files: "length, weight" as a list, any bytes as a TOML string and on a line of a message.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vem {

/// The names between the commas of `text`, without blanks around them. A name that holds a comma itself, or begins or
/// ends with a blank, stands in double quotes, where "" is one quote: `a, "b, left"`. Nothing between two commas is no
/// name. Throws ConfigError, with `option` in its message, for a quote that is not closed and for words behind one.
std::vector<std::string> listed_names(const std::string& text, const std::string& option);

/// The number of bytes of the UTF-8 character that `text` begins with; 0 if it begins with none.
size_t utf8_length(std::string_view text);

/// Any bytes as a TOML string, in quotes. TOML is UTF-8, but the name of a file need not be: a byte 0x80 .. 0xFF that
/// belongs to no UTF-8 character is spelled \uEF80 .. \uEFFF, which are characters for private use. (The bytes of such
/// a character, should it be in `text` itself, are spelled likewise.) text_of_toml() is the inverse.
std::string toml_string(const std::string& text);

/// The bytes that a string of a TOML file means, whose escapes the parser has already replaced: characters U+EF80 ..
/// U+EFFF are bytes, as toml_string() spells them.
std::string text_of_toml(const std::string& parsed);

/// The text on one line, for messages: control characters and bytes that are no UTF-8 as a shell spells them between
/// $' and ' (\n, \x1B, \xFF), everything else as it is.
std::string one_line(std::string_view text);

}  // namespace vem
