// Tensors whose memory is a file: the system reads pages when they are used and drops them when memory is short, so
// that data may be larger than memory. Private to the readers.
#pragma once

#include <string>

#include "vem/core/types.h"

namespace vem {

/// Opens a file without a name, in the folder for temporary files ($TMPDIR): it is gone when it is closed, or the
/// program ends, however it ends. Throws OutputError.
int temporary_file();

/// What stands at `offset` in the file, never to be written to. The file must not shrink as long as the tensor lives.
Tensor map_file(const std::string& path, int64_t offset, const Shape& shape, at::ScalarType type);

/// Values to be filled in, on disk in a temporary_file(). Throws OutputError where the disk is too small.
Tensor temporary_tensor(const Shape& shape, at::ScalarType type);

}  // namespace vem
