// Unicode text through ICU: whether bytes are UTF-8, what else they may be, characters and words. Private to the
// readers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace vem {

/// Whether every byte is below 128.
bool is_ascii(std::string_view text);

/// The place of the first byte that is zero or no part of valid UTF-8; npos where there is none.
size_t find_fault(std::string_view text);

/// The encoding that these bytes, which are not UTF-8, most likely have ("UTF-16LE", "ISO-8859-1"), by a name that
/// iconv knows; empty where it can not be told.
std::string likely_encoding(std::string_view bytes);

/// Calls body(character) for each character of UTF-8 as people count them: a letter with its combining marks is one
/// (grapheme clusters, UAX 29).
void each_character(std::string_view text, const std::function<void(std::string_view)>& body);

/// Words of texts of any script. Not for use by two threads at once.
class WordBreaker {
 public:
  WordBreaker();
  ~WordBreaker();

  /// Calls body(word) for each word of `text` (UTF-8): a run of letters and their combining marks, with single
  /// apostrophes and hyphens inside, of two or more characters; scripts that put no blanks between words, such as
  /// Chinese and Thai, are cut by ICU's dictionaries, and one ideograph is a word. Words are composed (NFC) and in
  /// lower case; typographic apostrophes and hyphens become ' and -, soft hyphens go.
  void each_word(std::string_view text, const std::function<void(std::string_view)>& body) const;

 private:
  struct Dictionary;
  std::unique_ptr<Dictionary> dictionary_;
};

}  // namespace vem
