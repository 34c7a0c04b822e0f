// Numbers as people read them, words as shells do.
#include "text.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>

#include "vem/core/names.h"

namespace vem {

std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  const int64_t sign = number < 0 ? 1 : 0;
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > sign; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string duration(double seconds) {
  if (seconds < 0.5) return "under 1 s";
  const int64_t s = std::llround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02d} min", s / 60, s % 60);
  return fmt::format("{}:{:02d} h", s / 3600, s / 60 % 60);
}

std::string shell_word(const std::string& word) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || std::strchr("_-./=+,:@%", c) != nullptr; };
  if (!word.empty() && word[0] == '-') return shell_word("./" + word);
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  const bool escaped = one_line(word) != word;
  std::string quoted = escaped ? "$'" : "'";
  for (const char c : word)
    if (c == '\'' || (c == '\\' && escaped))
      quoted += escaped ? std::string{'\\', c} : "'\\''";
    else
      quoted += c;
  return one_line(quoted + "'");
}

std::string counted(int64_t number, const std::string& noun) {
  return fmt::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

}  // namespace vem
