// The JSON header of a safetensors file, apart from any input and output. Private to safetensors.cpp.
#pragma once

#include <c10/core/ScalarType.h>

#include <map>
#include <string>
#include <vector>

#include "vem/core/types.h"

namespace vem {

constexpr uint64_t kLargestHeader = 100'000'000;  // bytes: the limit of the public implementation

/// Where a tensor lies in the data behind the header.
struct SafetensorsEntry {
  std::string name;
  at::ScalarType type;
  Shape shape;
  uint64_t begin, end;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// JSON, padded with spaces to a multiple of 8 bytes. Errors begin with `path`. Throws DataError for what the format
/// can not hold.
std::string print_header(const std::string& path, const SafetensorsHeader& header);
/// The inverse. Throws DataError for anything but entries whose bytes fill the `available` ones without gap or overlap.
SafetensorsHeader parse_header(const std::string& path, const std::string& text, uint64_t available);

}  // namespace vem
