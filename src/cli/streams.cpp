// glibc lets a program replace the stream `stderr`; this one reports every write as done.
#include "streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace vem {
namespace {

ssize_t write_what_goes(void* /*cookie*/, const char* text, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t written = ::write(STDERR_FILENO, text + done, size - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    done += static_cast<size_t>(written);
  }
  return static_cast<ssize_t>(size);
}

/// The lowest free descriptor is the next one that open() gives.
void fill_closed_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(descriptor, F_GETFD) < 0) (void)!::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace

void protect_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  static const bool done = [] {
    fill_closed_descriptors();
    if (std::FILE* stream = ::fopencookie(nullptr, "w", {nullptr, write_what_goes, nullptr, nullptr})) {
      std::setvbuf(stream, nullptr, _IONBF, 0);
      stderr = stream;
    }
    return true;
  }();
  (void)done;
}

}  // namespace vem
