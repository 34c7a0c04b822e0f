// Lines of a text file that may be gzipped, one at a time: the text of large files is never held. Private to the
// readers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bytes.h"

namespace vem {

struct Line {
  std::string_view text;  ///< without its end
  int64_t number;         ///< from 1, blank lines counted, as an editor shows it
};

/// Whether lines must be text, or any bytes will do for somebody who looks what a file is.
enum class Content { utf8, any };

/// Ends of lines are LF, CR LF or a lone CR; a byte order mark is left out. A line has at most 1 GiB, or an eighth of
/// memory_limit() if that is less: a file without line ends must not fill the machine.
class LineReader {
 public:
  /// Throws MissingInputError.
  explicit LineReader(const std::string& path, Content content = Content::utf8);

  /// The next line, blank or not, valid until the next call; nothing at the end of the file. Throws DataError with the
  /// line for damaged or truncated gzip data, for a line that is too long, and for text that is not UTF-8, whose likely
  /// encoding it names.
  std::optional<Line> next_any();
  /// The next line that is not blank.
  std::optional<Line> next();
  /// The number of the last line that was read; 0 before the first.
  int64_t number() const { return number_; }
  /// Bytes that the file can hold at most, as ByteReader::max_size().
  int64_t max_size() const { return file_.max_size(); }

 private:
  bool read_block();
  void expect_end() const;
  void expect_text(std::string_view line) const;

  std::string path_;
  ByteReader file_;
  Content content_;
  size_t longest_;  ///< bytes of a line
  std::string buffer_;
  size_t position_ = 0;
  int64_t number_ = 0;
  bool at_end_ = false;
};

}  // namespace vem
