// See unicode.h.
#include "unicode.h"

#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/ucsdet.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <cstring>

#include "vem/core/error.h"

namespace vem {
namespace {

using icu::UnicodeString;

constexpr UChar32 kApostrophe = 0x27, kHyphen = 0x2D, kSoftHyphen = 0xAD, kTypographicApostrophe = 0x2019,
                  kModifierApostrophe = 0x2BC, kTypographicHyphen = 0x2010, kUnbreakableHyphen = 0x2011,
                  kNonJoiner = 0x200C, kJoiner = 0x200D;

/// ICU's status; it only fails where its data files are missing.
void check(UErrorCode status) {
  if (U_FAILURE(status)) fail<Error>("ICU: {}", u_errorName(status));
}

std::unique_ptr<icu::BreakIterator> iterator(icu::BreakIterator* (*create)(const icu::Locale&, UErrorCode&)) {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<icu::BreakIterator> made(create(icu::Locale::getRoot(), status));
  check(status);
  return made;
}

UnicodeString unicode(std::string_view text) {
  return UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
}

bool is_mark(UChar32 c) { return (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0; }
bool is_joint(UChar32 c) { return c == kApostrophe || c == kHyphen; }
/// Whether words of the script that this letter belongs to stand without blanks between them.
bool is_dense(UChar32 c) {
  UErrorCode status = U_ZERO_ERROR;
  return c > 0xFF && uscript_breaksBetweenLetters(uscript_getScript(c, &status)) != 0;
}

/// Composed, in lower case, with plain apostrophes and hyphens.
UnicodeString folded(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  UnicodeString all = icu::Normalizer2::getNFCInstance(status)->normalize(unicode(text), status);
  check(status);
  all.findAndReplace(UnicodeString(kSoftHyphen), UnicodeString());
  all.findAndReplace(UnicodeString(kTypographicApostrophe), UnicodeString(kApostrophe));
  all.findAndReplace(UnicodeString(kModifierApostrophe), UnicodeString(kApostrophe));
  all.findAndReplace(UnicodeString(kTypographicHyphen), UnicodeString(kHyphen));
  all.findAndReplace(UnicodeString(kUnbreakableHyphen), UnicodeString(kHyphen));
  return all.toLower(icu::Locale::getRoot());
}

/// Where the run of letters, marks and inner joints that begins at `from` ends.
int32_t end_of_run(const UnicodeString& text, int32_t from) {
  const auto letter_at = [&](int32_t i) { return i < text.length() && u_isalpha(text.char32At(i)); };
  int32_t i = from;
  while (i < text.length()) {
    const UChar32 c = text.char32At(i);
    const bool inside =
        u_isalpha(c) || is_mark(c) || ((is_joint(c) || c == kNonJoiner || c == kJoiner) && letter_at(i + 1));
    if (!inside) break;
    i += U16_LENGTH(c);
  }
  return i;
}

}  // namespace

bool is_ascii(std::string_view text) {
  size_t i = 0;
  for (uint64_t eight; i + 8 <= text.size(); i += 8) {
    std::memcpy(&eight, text.data() + i, 8);
    if (eight & 0x8080808080808080u) return false;
  }
  for (; i < text.size(); ++i)
    if (static_cast<unsigned char>(text[i]) > 127) return false;
  return true;
}

size_t find_fault(std::string_view text) {
  const size_t zero = text.find('\0');
  if (is_ascii(text)) return zero;
  const auto size = static_cast<int64_t>(std::min(zero, text.size()));
  for (int64_t i = 0; i < size;) {
    const int64_t start = i;
    UChar32 c = 0;
    U8_NEXT(text.data(), i, size, c);
    if (c < 0) return static_cast<size_t>(start);
  }
  return zero;
}

std::string likely_encoding(std::string_view bytes) {
  const auto starts = [&](std::string_view with) { return bytes.substr(0, with.size()) == with; };
  if (starts({"\xff\xfe\0\0", 4}) || starts({"\0\0\xfe\xff", 4})) return "UTF-32";
  if (starts("\xff\xfe")) return "UTF-16LE";
  if (starts("\xfe\xff")) return "UTF-16BE";
  // Latin letters in UTF-16 are every other byte zero.
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < bytes.size(); ++i) zeros[i % 2] += bytes[i] == 0;
  if (zeros[0] + zeros[1] > 0) {
    const size_t enough = bytes.size() / 4;
    return zeros[1] > enough && zeros[0] == 0 ? "UTF-16LE" : zeros[0] > enough && zeros[1] == 0 ? "UTF-16BE" : "";
  }
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UCharsetDetector, void (*)(UCharsetDetector*)> detector(ucsdet_open(&status), ucsdet_close);
  ucsdet_setText(detector.get(), bytes.data(), static_cast<int32_t>(bytes.size()), &status);
  int32_t found = 0;
  const UCharsetMatch** const matches = ucsdet_detectAll(detector.get(), &found, &status);
  for (int32_t i = 0; U_SUCCESS(status) && i < found; ++i)  // the likeliest first; Unicode is ruled out by now
    if (const std::string name = ucsdet_getName(matches[i], &status); name.rfind("UTF-", 0) != 0) return name;
  return "";
}

void each_character(std::string_view text, const std::function<void(std::string_view)>& body) {
  if (is_ascii(text)) {
    for (size_t i = 0; i < text.size(); ++i) body(text.substr(i, 1));
    return;
  }
  static thread_local const auto clusters = iterator(icu::BreakIterator::createCharacterInstance);
  const UnicodeString all = unicode(text);
  clusters->setText(all);
  std::string character;
  for (int32_t from = clusters->first(), to = clusters->next(); to != icu::BreakIterator::DONE;
       from = to, to = clusters->next()) {
    character.clear();
    body(all.tempSubStringBetween(from, to).toUTF8String(character));
  }
}

struct WordBreaker::Dictionary {
  std::unique_ptr<icu::BreakIterator> words = iterator(icu::BreakIterator::createWordInstance);
};

WordBreaker::WordBreaker() : dictionary_(std::make_unique<Dictionary>()) {}
WordBreaker::~WordBreaker() = default;

void WordBreaker::each_word(std::string_view text, const std::function<void(std::string_view)>& body) const {
  const UnicodeString all = folded(text);
  std::string word;
  const auto add = [&](const UnicodeString& token) {
    const UChar32 first = token.char32At(0);
    if (token.countChar32() < 2 && !u_hasBinaryProperty(first, UCHAR_IDEOGRAPHIC)) return;
    word.clear();
    token.toUTF8String(word);
    body(word);
  };
  for (int32_t i = 0; i < all.length();) {
    const UChar32 c = all.char32At(i);
    if (!u_isalpha(c)) {
      i += U16_LENGTH(c);
      continue;
    }
    const int32_t end = end_of_run(all, i);
    const UnicodeString run = all.tempSubStringBetween(i, end);
    bool dense = false;
    for (int32_t at = 0; at < run.length() && !dense; at = run.moveIndex32(at, 1)) dense = is_dense(run.char32At(at));
    i = end;
    if (!dense) {
      add(run);
      continue;
    }
    dictionary_->words->setText(run);
    for (int32_t from = dictionary_->words->first(), to = dictionary_->words->next(); to != icu::BreakIterator::DONE;
         from = to, to = dictionary_->words->next())
      if (u_isalpha(run.char32At(from))) add(run.tempSubStringBetween(from, to));
  }
}

}  // namespace vem
