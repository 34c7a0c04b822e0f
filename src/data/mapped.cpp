#include "mapped.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "vem/core/error.h"

namespace vem {

namespace {

int64_t bytes_of(const Shape& shape, at::ScalarType type) {
  auto bytes = static_cast<int64_t>(c10::elementSize(type));
  for (const int64_t size : shape) bytes *= size;
  return bytes;
}

/// `file` is closed: the mapping keeps what it needs.
Tensor mapped(int file, int64_t offset, const Shape& shape, at::ScalarType type, int protection, const char* name) {
  const auto bytes = static_cast<size_t>(offset + bytes_of(shape, type));
  void* start = mmap(nullptr, bytes, protection, MAP_SHARED, file, 0);
  const int error = errno;
  close(file);
  if (start == MAP_FAILED) fail<MissingInputError>("{}: can not be read: {}", name, std::strerror(error));
  const auto unmap = [start, bytes](void*) { munmap(start, bytes); };
  return at::from_blob(static_cast<char*>(start) + offset, shape, unmap, type);
}

}  // namespace

int temporary_file() {
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(ignored);
  std::string name = (folder / "vem-rows-XXXXXX").string();
  const int file = mkstemp(name.data());
  if (file < 0) fail<OutputError>("{}: can not be written: {}", name, std::strerror(errno));
  unlink(name.c_str());
  return file;
}

Tensor map_file(const std::string& path, int64_t offset, const Shape& shape, at::ScalarType type) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail<MissingInputError>("{}: can not be read: {}", path, std::strerror(errno));
  return mapped(file, offset, shape, type, PROT_READ, path.c_str());
}

Tensor temporary_tensor(const Shape& shape, at::ScalarType type) {
  const int file = temporary_file();
  // Space is taken now: a disk that gets full later would end the program.
  if (const int error = posix_fallocate(file, 0, bytes_of(shape, type)); error != 0) {
    close(file);
    fail<OutputError>("temporary file of rows: can not be written: {}; $TMPDIR names another folder",
                      std::strerror(error));
  }
  return mapped(file, 0, shape, type, PROT_READ | PROT_WRITE, "temporary file of rows");
}

}  // namespace vem
