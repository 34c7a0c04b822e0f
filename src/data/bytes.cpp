// Plain and gzipped files through zlib's gzread, which passes plain bytes on unchanged.
#include "bytes.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

#include "vem/core/error.h"

namespace vem {

namespace fs = std::filesystem;

constexpr int64_t kBlock = 1 << 20;
// Deflate can not shrink data by more than 1032 to 1.
constexpr int64_t kMaxDeflateRatio = 1032;

void ByteReader::Close::operator()(gzFile_s* file) const { gzclose_r(file); }

ByteReader::ByteReader(const std::string& path) : path_(path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) fail<MissingInputError>("{}: is a folder, a file is expected", path);
  errno = 0;
  file_.reset(gzopen(path.c_str(), "rb"));
  if (!file_) fail<MissingInputError>("{}: can not be read: {}", path, std::strerror(errno ? errno : ENOMEM));
  gzbuffer(file_.get(), kBlock / 4);
}

int64_t ByteReader::read(void* to, int64_t size) {
  int64_t done = 0;
  while (done < size) {
    const auto wanted = static_cast<unsigned>(std::min<int64_t>(size - done, 1 << 30));
    const int got = gzread(file_.get(), static_cast<char*>(to) + done, wanted);
    int code = Z_OK;
    const std::string reason = gzerror(file_.get(), &code);  // "path: reason"
    if (code == Z_ERRNO) fail<MissingInputError>("{}: can not be read: {}", path_, std::strerror(errno));
    if (code != Z_OK && code != Z_BUF_ERROR)
      fail<DataError>("{}: damaged gzip data ({})", path_, reason.substr(std::min(path_.size() + 2, reason.size())));
    if (got <= 0) break;
    done += got;
    position_ += got;
  }
  return done;
}

int64_t ByteReader::skip_rest() {
  std::vector<char> block(kBlock);
  int64_t skipped = 0;
  for (int64_t got = kBlock; got == kBlock; skipped += got) got = read(block.data(), kBlock);
  return skipped;
}

void ByteReader::expect_complete(int64_t line) const {
  int code = Z_OK;
  gzerror(file_.get(), &code);
  if (code == Z_BUF_ERROR)
    fail<DataError>("{}:{}: truncated: its gzip data end after {} bytes", path_, line, position_);
}

bool ByteReader::plain() const { return gzdirect(file_.get()) != 0; }

int64_t ByteReader::max_size() const {
  std::error_code error;
  const auto size = fs::file_size(path_, error);  // fails for pipes, which are read as they come
  if (error) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(size) * (plain() ? 1 : kMaxDeflateRatio);
}

}  // namespace vem
