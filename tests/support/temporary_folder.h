// A fresh folder for the files of one test, removed at its end, and the bytes that such files hold.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace vem {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "vem-test-XXXXXX").string();
    if (!mkdtemp(name.data())) ADD_FAILURE() << "no temporary folder: " << name;
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(file(name), std::ios::binary) << bytes;
    return file(name);
  }
  std::string write_gzipped(const std::string& name, const std::string& bytes) const {
    const gzFile out = gzopen(file(name).c_str(), "wb");
    gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(out);
    return file(name);
  }
  /// How many files and folders there are: a failed writer must leave none.
  int64_t num_entries() const {
    return std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A file of the IDX format: {items} labels or {items, rows, columns} images, the values repeating 0 .. period-1.
inline std::string idx_bytes(const std::vector<int64_t>& shape, int period = 256) {
  std::string bytes{'\0', '\0', '\x08', static_cast<char>(shape.size())};
  int64_t count = 1;
  for (const int64_t size : shape) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
    count *= size;
  }
  for (int64_t i = 0; i < count; ++i) bytes += static_cast<char>(i % period);
  return bytes;
}

/// What `call` throws as E; a failure, and "", where it throws nothing.
template <class E, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "no exception was thrown";
  return "";
}

/// The folder of optional real data ($VEM_SHARED_DATA); empty where there is none.
inline std::string shared_data() {
  const char* folder = std::getenv("VEM_SHARED_DATA");
  return folder && std::filesystem::is_directory(folder) ? folder : "";
}

}  // namespace vem
