// A file appears whole or not at all: it is written under a random name beside its target, flushed to disk and renamed.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <random>
#include <string_view>
#include <system_error>

#include "vem/core/error.h"
#include "vem/data/writers.h"

namespace vem {

namespace {

namespace fs = std::filesystem;

constexpr const char* kTemporary = ".vem-tmp";  // how every temporary file ends

// The temporary file that is being written, for a signal handler; empty: none. Only one is written at a time.
char g_unfinished[PATH_MAX] = "";

[[noreturn]] void fail_errno() { throw std::system_error(errno, std::generic_category()); }

/// Flushes a file, or a folder (what a rename has changed), to disk.
void flush_to_disk(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_errno();
  int failed = 0;
  while ((failed = ::fsync(file)) != 0 && errno == EINTR) continue;
  const int reason = errno;
  ::close(file);
  // EINVAL comes from a file system that has no such call.
  if (failed != 0 && reason != EINVAL) throw std::system_error(reason, std::generic_category());
}

/// The end of a chain of links: a rename would replace the link instead of what it names.
fs::path resolved(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : target;
}

/// A new, empty file beside its target, with the target's permissions where there is one. Its name can not be guessed
/// and it is never opened through a link, so nobody can put another file in its place. Removed at the end of its scope
/// unless it was renamed away, and by a signal handler that calls remove_unfinished_file().
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& target) {
    std::random_device random;
    int file = -1;
    do {
      // A name of its own: that of the target may be as long as the file system allows.
      path_ = (target.parent_path() / fmt::format(".{:08x}{:08x}{}", random(), random(), kTemporary)).string();
      if (path_.size() < sizeof(g_unfinished)) std::memcpy(g_unfinished, path_.c_str(), path_.size() + 1);
      file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    } while (file < 0 && (errno == EEXIST || errno == EINTR));
    const int reason = errno;
    if (file < 0) g_unfinished[0] = '\0';
    if (file < 0) throw std::system_error(reason, std::generic_category());
    struct stat old {};
    if (::stat(target.c_str(), &old) == 0) (void)!::fchmod(file, old.st_mode & 07777);
    ::close(file);
  }
  ~TemporaryFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
    g_unfinished[0] = '\0';
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write_and_rename(const std::string& path, const std::function<void(const std::string&)>& write) {
  const fs::path target = resolved(path);
  std::error_code ignored;
  if (fs::is_directory(target, ignored)) throw std::system_error(EISDIR, std::generic_category());
  // A device or a pipe (/dev/stdout) is written to: a rename would replace it by a file.
  if (fs::exists(target, ignored) && !fs::is_regular_file(target, ignored)) return write(target.string());
  // A file that may not be written to stays: a rename would get around its permissions.
  if (fs::exists(target, ignored) && ::access(target.c_str(), W_OK) != 0) fail_errno();
  const TemporaryFile temporary(target);
  write(temporary.path());
  flush_to_disk(temporary.path());
  if (std::rename(temporary.path().c_str(), target.c_str()) != 0) fail_errno();
  flush_to_disk(target.has_parent_path() ? target.parent_path().string() : ".");
}

}  // namespace

void write_atomically(const std::string& path, const std::function<void(const std::string&)>& write) {
  try {
    write_and_rename(path, write);
  } catch (const Error&) {
    throw;
  } catch (const std::system_error& error) {
    const fs::path folder = fs::path(path).parent_path();
    std::error_code ignored;
    if (!folder.empty() && !fs::is_directory(folder, ignored))
      fail<OutputError>("{}: can not be written: there is no folder {}", path, folder.string());
    fail<OutputError>("{}: can not be written: {}", path, error.code().message());
  } catch (const std::exception& error) {
    const std::string_view what = error.what();  // LibTorch appends a stack trace
    fail<OutputError>("{}: can not be written: {}", path, what.substr(0, what.find('\n')));
  }
}

void remove_unfinished_file() noexcept {
  if (g_unfinished[0] != '\0') ::unlink(g_unfinished);
}

void remove_temporary_files(const std::string& folder) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (fs::directory_iterator it(folder, ignored), end; it != end; it.increment(ignored))
    if (it->path().extension() == kTemporary && it->is_regular_file(ignored) && !it->is_symlink(ignored))
      found.push_back(it->path());
  for (const fs::path& path : found) fs::remove(path, ignored);
}

}  // namespace vem
