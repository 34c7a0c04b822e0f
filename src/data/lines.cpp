// See lines.h.
#include "lines.h"

#include "unicode.h"
#include "vem/core/error.h"
#include "vem/data/memory.h"

namespace vem {

namespace {

size_t find_end(const std::string& text, size_t from) {
  while (from < text.size() && text[from] != '\n' && text[from] != '\r') ++from;
  return from < text.size() ? from : std::string::npos;
}

// ICU counts characters in 31 bits.
constexpr int64_t kLongestLine = int64_t{1} << 30;

}  // namespace

LineReader::LineReader(const std::string& path, Content content)
    : path_(path),
      file_(path),
      content_(content),
      longest_(static_cast<size_t>(std::min(kLongestLine, memory_limit() / 8))) {}

std::optional<Line> LineReader::next_any() {
  size_t end = find_end(buffer_, position_);
  // A CR that ends the buffer may be half of a line end.
  while (end == std::string::npos || (buffer_[end] == '\r' && end + 1 == buffer_.size())) {
    const size_t searched = buffer_.size() - position_ - (end != std::string::npos);
    if (end == std::string::npos) expect_end();
    if (!read_block()) break;
    end = find_end(buffer_, searched);
  }
  if (end == std::string::npos) file_.expect_complete(number_ + 1);
  if (end == std::string::npos && position_ == buffer_.size()) return std::nullopt;
  const size_t stop = std::min(end, buffer_.size());
  std::string_view text = std::string_view(buffer_).substr(position_, stop - position_);
  const bool pair = buffer_.compare(stop, 2, "\r\n") == 0;
  position_ = std::min(stop + (pair ? 2 : 1), buffer_.size());
  if (++number_ == 1 && text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  if (content_ == Content::utf8) expect_text(text);
  return Line{text, number_};
}

/// Throws where the line that is being read is longer than a line may be.
void LineReader::expect_end() const {
  if (buffer_.size() - position_ <= longest_) return;
  fail<DataError>("{}:{}: this line is longer than {}; is it text?{}", path_, number_ + 1,
                  memory_text(static_cast<double>(longest_)),
                  longest_ < kLongestLine ? " An eighth of data.max_memory is the longest that is read" : "");
}

void LineReader::expect_text(std::string_view line) const {
  const size_t fault = find_fault(line);
  if (fault == std::string_view::npos) return;
  constexpr size_t kSample = 1 << 16;
  const auto start = static_cast<size_t>(line.data() - buffer_.data());
  const std::string encoding = likely_encoding(std::string_view(buffer_).substr(start, kSample));
  const std::string advice = encoding.empty()
                                 ? "is it a text at all?"
                                 : fmt::format("it may be {0}, which `iconv -f {0} -t UTF-8` converts", encoding);
  fail<DataError>("{}:{}: is not UTF-8: byte {} of the line is 0x{:02X}; {}", path_, number_, fault + 1,
                  static_cast<unsigned char>(line[fault]), advice);
}

std::optional<Line> LineReader::next() {
  while (const auto line = next_any())
    if (line->text.find_first_not_of(" \t") != std::string_view::npos) return line;
  return std::nullopt;
}

/// Drops what was read and appends the next bytes; false where there are none.
bool LineReader::read_block() {
  if (at_end_) return false;
  // The first block is small: who only looks at the first lines should not wait for more.
  const int64_t block = number_ == 0 && buffer_.empty() ? 1 << 14 : 1 << 20;
  buffer_.erase(0, position_);
  position_ = 0;
  const size_t size = buffer_.size();
  buffer_.resize(size + static_cast<size_t>(block));
  const int64_t got = file_.read(buffer_.data() + size, block);
  buffer_.resize(size + static_cast<size_t>(got));
  at_end_ = got < block;
  return true;
}

}  // namespace vem
