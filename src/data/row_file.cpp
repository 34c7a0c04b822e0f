// Pairs of int32, read by pread, so that any thread may read.
#include "row_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "mapped.h"
#include "vem/core/error.h"

namespace vem {

namespace {

constexpr size_t kBuffer = size_t{1} << 18;
constexpr int64_t kRowBytes = 2 * sizeof(int32_t);

}  // namespace

RowFile::RowFile(std::string owner) : owner_(std::move(owner)), file_(temporary_file()) { buffer_.reserve(kBuffer); }

RowFile::~RowFile() { close(file_); }

void RowFile::append(int32_t word, int32_t count) {
  buffer_.push_back(word);
  buffer_.push_back(count);
  ++size_;
  if (buffer_.size() >= kBuffer) flush();
}

void RowFile::flush() {
  expect_space(file_, static_cast<double>(buffer_.size() * sizeof(int32_t)), owner_);
  const char* from = reinterpret_cast<const char*>(buffer_.data());
  for (size_t left = buffer_.size() * sizeof(int32_t); left > 0;) {
    const ssize_t done = write(file_, from, left);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0)
      fail<OutputError>("{}: its rows in a temporary file can not be written: {}", owner_, std::strerror(errno));
    from += done;
    left -= static_cast<size_t>(done);
  }
  buffer_.clear();
}

TensorMap RowFile::read(const Tensor& begins, const Tensor& lengths) const {
  const Tensor pairs = at::empty({lengths.sum().item<int64_t>(), 2}, at::kInt);
  const Tensor from = begins.contiguous(), many = lengths.contiguous();
  char* to = static_cast<char*>(pairs.data_ptr());
  for (int64_t i = 0; i < from.size(0); ++i) {
    int64_t at = from.data_ptr<int64_t>()[i] * kRowBytes;
    for (int64_t left = many.data_ptr<int64_t>()[i] * kRowBytes; left > 0;) {
      const ssize_t got = pread(file_, to, static_cast<size_t>(left), at);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0)
        fail<MissingInputError>("{}: its rows in a temporary file can not be read: {}", owner_, std::strerror(errno));
      to += got;
      at += got;
      left -= got;
    }
  }
  return {{"word", pairs.select(1, 0).contiguous()}, {"count", pairs.select(1, 1).contiguous()}};
}

}  // namespace vem
