// A limit on the nesting of JSON that comes from a file. Readers of nested lists recurse, so a damaged or hostile file
// of hundreds of thousands of brackets would overflow the stack and end the program without a message.
#pragma once

#include <string>

namespace vem {

/// The deepest nesting that any JSON file of this project has (parameters: object, group, tensor of at most three
/// dimensions) with room to spare.
constexpr int kJsonDepth = 64;

/// Returns `text` unchanged, for the JSON parser. Throws DataError if its brackets, outside of strings, nest more than
/// `limit` deep; whether the text is JSON at all is the parser's question.
const std::string& checked_json_depth(const std::string& text, int limit = kJsonDepth);

}  // namespace vem
