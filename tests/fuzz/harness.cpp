#include "fuzz/harness.h"

#include <fstream>
#include <iterator>

#include "vem/core/error.h"
#include "vem/data/memory.h"

namespace vem {

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void read_as(const Harness& harness, const std::string& folder, const std::string& bytes) {
  const std::string path = folder + "/" + harness.file;
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const MemoryLimitScope limit(int64_t{64} << 20);
  try {
    harness.read(path);
  } catch (const Error&) {
  }
}

}  // namespace vem
