// Tensors whose memory is a file: the system reads pages when they are used and drops them when memory is short, so
// that data may be larger than memory. Private to the readers.
#pragma once

#include <string>

#include "vem/core/types.h"

namespace vem {

/// Opens a file without a name, in the folder for temporary files ($TMPDIR): it is gone when it is closed, or the
/// program ends, however it ends. Throws OutputError.
int temporary_file();

/// Throws if the temporary file `file` can not grow by `bytes`, naming `owner`, whose rows it holds: OutputError where
/// the disk has too little space or the limit of a file's size (ulimit -f) is lower; DataError where its folder lies in
/// memory and `bytes` are more than memory_limit().
void expect_space(int file, double bytes, const std::string& owner);

/// What stands at `offset` in the file, never to be written to. Where the file is cut as long as the tensor lives, its
/// values become zeros and expect_mapped_files_whole() throws. Throws MissingInputError, or DataError where the address
/// space (ulimit -v) is too small.
Tensor map_file(const std::string& path, int64_t offset, const Shape& shape, at::ScalarType type);

/// Values to be filled in, on disk in a temporary_file(). Throws as expect_space() and map_file() do.
Tensor temporary_tensor(const Shape& shape, at::ScalarType type, const std::string& owner);

}  // namespace vem
