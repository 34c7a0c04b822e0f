// Shows that something needs little memory: what asks for more fails.
#pragma once

#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace vem {

/// As long as it lives, the program gets so many bytes more than it has, apart from files that are mapped.
class MemoryLimit {
 public:
  explicit MemoryLimit(int64_t bytes) {
    std::ifstream status("/proc/self/status");
    std::string word;
    rlim_t kilobytes = 0;
    while (status >> word)
      if (word == "VmData:") status >> kilobytes;
    getrlimit(RLIMIT_DATA, &before_);
    rlimit limit = before_;
    limit.rlim_cur = kilobytes * 1024 + static_cast<rlim_t>(bytes);
    EXPECT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
  }
  ~MemoryLimit() { setrlimit(RLIMIT_DATA, &before_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  rlimit before_{};
};

/// Whether temporary files lie in memory (tmpfs), so that large ones are refused as memory is.
inline bool temporary_files_take_memory() {
  struct statfs kind {};
  return statfs(std::filesystem::temp_directory_path().c_str(), &kind) == 0 && kind.f_type == TMPFS_MAGIC;
}

}  // namespace vem
