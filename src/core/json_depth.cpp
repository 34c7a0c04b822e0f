// One pass over the text that counts brackets outside of strings.
#include "vem/core/json_depth.h"

#include "vem/core/error.h"

namespace vem {

const std::string& checked_json_depth(const std::string& text, int limit) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;  // the escaped character does not end the string
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit) fail<DataError>("JSON that is nested more than {} deep, at byte {}", limit, i);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return text;
}

}  // namespace vem
