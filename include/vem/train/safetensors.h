// The safetensors format: tensors by name and string metadata, nothing that runs on load.
#pragma once

#include <map>
#include <string>

#include "vem/core/types.h"

namespace vem {

struct Safetensors {
  TensorMap tensors;  ///< any shape; floats of 64, 32 and 16 bits (bfloat16 too), int64 to int8, uint8, bool
  std::map<std::string, std::string> metadata;  ///< the header's __metadata__
};

/// Writes to a temporary name beside `path`, flushes to disk, then renames. Throws OutputError, and DataError for what
/// the format can not hold (a type beyond those above, text that is not UTF-8); the old file stays.
void save_safetensors(const std::string& path, const Safetensors& file);
/// Tensors on the CPU, contiguous. Everything that the header says is checked before memory is taken: size, names that
/// stand twice, types, shapes against bytes, gaps, overlaps, truncation. Throws MissingInputError or DataError.
Safetensors load_safetensors(const std::string& path);

}  // namespace vem
