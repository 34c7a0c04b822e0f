// The safetensors format: tensors by name and string metadata, nothing that runs on load.
#pragma once

#include <map>
#include <string>

#include "vem/core/types.h"

namespace vem {

struct Safetensors {
  TensorMap tensors;                            ///< float64, float32, bfloat16, int64, int32, uint8, bool; contiguous
  std::map<std::string, std::string> metadata;  ///< the header's __metadata__
};

/// Writes to a temporary name beside `path`, flushes to disk, then renames. Throws OutputError; the old file stays.
void save_safetensors(const std::string& path, const Safetensors& file);
/// Reads and checks: header, sizes, overlaps, truncation, duplicate names. Throws MissingInputError or DataError.
Safetensors load_safetensors(const std::string& path);

}  // namespace vem
