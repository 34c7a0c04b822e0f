#include "mapped.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "mapped_ranges.h"
#include "vem/core/error.h"
#include "vem/data/memory.h"

namespace vem {

namespace {

double bytes_of(const Shape& shape, at::ScalarType type) {
  auto bytes = static_cast<double>(c10::elementSize(type));  // floating, since announced sizes overflow an integer
  for (const int64_t size : shape) bytes *= static_cast<double>(size);
  return bytes;
}

/// `file` lives as long as the tensor.
Tensor mapped(int file, int64_t offset, const Shape& shape, at::ScalarType type, int protection,
              const std::string& owner) {
  const auto bytes = static_cast<size_t>(offset) + static_cast<size_t>(bytes_of(shape, type));
  void* start = mmap(nullptr, bytes, protection, MAP_SHARED, file, 0);
  const int error = errno;
  if (start == MAP_FAILED) close(file);
  if (start == MAP_FAILED && error == ENOMEM)
    fail<DataError>("{}: its values take {} of address space, which is more than the limit (ulimit -v) leaves", owner,
                    memory_text(static_cast<double>(bytes)));
  if (start == MAP_FAILED) fail<MissingInputError>("{}: can not be read: {}", owner, std::strerror(error));
  MappedRange* const range = add_mapped_range(start, bytes, file, owner);
  const auto unmap = [start, bytes, range](void*) {
    remove_mapped_range(range);
    munmap(start, bytes);
  };
  return at::from_blob(static_cast<char*>(start) + offset, shape, unmap, type);
}

std::filesystem::path temporary_folder() {
  std::error_code ignored;
  return std::filesystem::temp_directory_path(ignored);
}

}  // namespace

int temporary_file() {
  std::string name = (temporary_folder() / "vem-rows-XXXXXX").string();
  const int file = mkstemp(name.data());
  if (file < 0) fail<OutputError>("{}: can not be written: {}", name, std::strerror(errno));
  unlink(name.c_str());
  return file;
}

void expect_space(int file, double bytes, const std::string& owner) {
  const std::string needed = fmt::format("{}: its rows need {} more in a temporary file", owner, memory_text(bytes)),
                    folder = temporary_folder().string();
  const double size_then = static_cast<double>(lseek(file, 0, SEEK_END)) + bytes;
  struct statfs kind {};
  if (fstatfs(file, &kind) == 0 && (kind.f_type == TMPFS_MAGIC || kind.f_type == RAMFS_MAGIC))
    MemoryMeter(owner).expect(size_then,
                              fmt::format("its rows in a temporary file in {}, which lies in memory", folder));
  struct statvfs disk {};
  if (fstatvfs(file, &disk) == 0)
    if (const double free = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize); bytes > free)
      fail<OutputError>("{}, {} has {}; $TMPDIR names another folder", needed, folder, memory_text(free));
  rlimit most{};
  if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY &&
      size_then > static_cast<double>(most.rlim_cur))
    fail<OutputError>("{}, files may have {} (ulimit -f)", needed, memory_text(static_cast<double>(most.rlim_cur)));
}

Tensor map_file(const std::string& path, int64_t offset, const Shape& shape, at::ScalarType type) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail<MissingInputError>("{}: can not be read: {}", path, std::strerror(errno));
  return mapped(file, offset, shape, type, PROT_READ, path);
}

Tensor temporary_tensor(const Shape& shape, at::ScalarType type, const std::string& owner) {
  const int file = temporary_file();
  const double bytes = bytes_of(shape, type);
  try {
    expect_space(file, bytes, owner);
  } catch (...) {
    close(file);
    throw;
  }
  // Space is taken now: a disk that gets full later would end the program.
  if (const int error = posix_fallocate(file, 0, static_cast<off_t>(bytes)); error != 0) {
    close(file);
    fail<OutputError>("{}: its rows in a temporary file can not be written: {}; $TMPDIR names another folder", owner,
                      std::strerror(error));
  }
  return mapped(file, 0, shape, type, PROT_READ | PROT_WRITE, owner);
}

}  // namespace vem
