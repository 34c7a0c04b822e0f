// Bytes of a file that may be gzipped: the one place where the readers touch zlib. Private to the readers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

struct gzFile_s;

namespace vem {

/// Reads a plain or gzipped file from front to back; which of the two it is, is told by its content.
class ByteReader {
 public:
  /// Throws MissingInputError with the system's reason.
  explicit ByteReader(const std::string& path);

  /// Reads `size` bytes into `to` and returns how many there were: fewer only where the file, or its gzip stream, ends.
  /// Throws DataError for damaged gzip data.
  int64_t read(void* to, int64_t size);
  /// Passes over everything that is left; returns its size.
  int64_t skip_rest();
  /// Throws DataError, naming this line, if what was read ended because its gzip data are cut short.
  void expect_complete(int64_t line) const;
  /// Bytes read and passed over so far.
  int64_t position() const { return position_; }
  /// Whether the bytes are the file's own, not gzipped.
  bool plain() const;
  /// No content is longer than this: a header that promises more is wrong, and must not make us allocate it. The size
  /// of a plain file; of gzip data the most that they can unpack to; of a pipe there is no limit.
  int64_t max_size() const;

 private:
  struct Close {
    void operator()(gzFile_s* file) const;
  };

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  int64_t position_ = 0;
};

}  // namespace vem
