// Rows of (word, count) on disk, for corpora that do not fit into memory. Private to the readers.
#pragma once

#include <string>

#include "vem/data/dataset.h"

namespace vem {

/// A file without a name: it is gone when the last owner goes, or the program ends, however it ends.
class RowFile final : public RowSource {
 public:
  /// In the folder for temporary files ($TMPDIR), for the rows of the file `owner`. Throws OutputError.
  explicit RowFile(std::string owner);
  ~RowFile() override;
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;

  /// Appends a row. Throws as expect_space() does, where the disk has no room.
  void append(int32_t word, int32_t count);
  /// Writes what is still in memory; before the first read().
  void flush();
  int64_t size() const { return size_; }
  TensorMap read(const Tensor& begins, const Tensor& lengths) const override;

 private:
  std::string owner_;
  int file_;
  int64_t size_ = 0;
  std::vector<int32_t> buffer_;
};

}  // namespace vem
