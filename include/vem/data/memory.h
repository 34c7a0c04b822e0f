// How much memory data may take. Readers count what they are about to allocate, so that a file which announces more
// than it holds, or unpacks to more than the machine has, is refused with a message instead of filling the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vem {

/// Four fifths, in bytes, of what this program can have at this moment: of the machine's memory, of the limits of its
/// control groups, and of what the limits of the process (ulimit -v and -d) leave to it, whichever is least.
int64_t default_memory_limit();

/// Bytes that what is read by this thread may take: those of the innermost MemoryLimitScope, else
/// default_memory_limit().
int64_t memory_limit();

/// While it lives, memory_limit() of this thread is `bytes`.
class MemoryLimitScope {
 public:
  explicit MemoryLimitScope(int64_t bytes);
  ~MemoryLimitScope();
  MemoryLimitScope(const MemoryLimitScope&) = delete;
  MemoryLimitScope& operator=(const MemoryLimitScope&) = delete;

 private:
  int64_t before_;
};

/// The bytes that a text means: a number with K, M, G or T (powers of 1024) behind it or none, such as "8G", "1.5GiB"
/// or "800000000"; "auto" is default_memory_limit(). Throws ConfigError that names `option`.
int64_t memory_amount(const std::string& text, const std::string& option);

/// Bytes as people read them: "512 B", "1.5 KiB", "51.4 GiB".
std::string memory_text(double bytes);

/// The bytes that the content of one file takes in memory.
class MemoryMeter {
 public:
  /// The limit is memory_limit() at this moment.
  explicit MemoryMeter(std::string path) : path_(std::move(path)), limit_(static_cast<double>(memory_limit())) {}

  /// Throws DataError if `bytes` more than are held by now would be beyond the limit. The message names the file, the
  /// line (0: none), `what` would take the memory ("60000 columns"), how much, the limit and the option that raises it.
  void expect(double bytes, std::string_view what, int64_t line = 0) const {
    if (held_ + bytes > limit_) refuse(bytes, what, line);
  }
  /// The same, and counts them as held from now on.
  void hold(double bytes, std::string_view what, int64_t line = 0) {
    expect(bytes, what, line);
    held_ += bytes;
  }
  /// They are no longer held.
  void release(double bytes) { held_ -= bytes; }

 private:
  [[noreturn]] void refuse(double bytes, std::string_view what, int64_t line) const;

  std::string path_;
  double limit_, held_ = 0;  // bytes; floating, since announced sizes overflow an integer
};

}  // namespace vem
