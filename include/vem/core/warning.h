// Warnings: what a person should know although the work goes on. The library itself never prints; the command line
// passes warnings on to standard error, and a program may do with them what it likes.
#pragma once

#include <fmt/core.h>

#include <functional>
#include <string>

namespace vem {

using WarningHandler = std::function<void(const std::string& message)>;

/// Sets what receives warnings, of all threads and one at a time, and returns what received them before. At first, and
/// with an empty handler, warnings are dropped.
WarningHandler set_warning_handler(WarningHandler handler);

/// Hands a message to the handler.
void send_warning(const std::string& message);

/// Sends a formatted warning that says where, what was found and what was made of it: `warn("{}: got {}", where, got)`.
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  send_warning(fmt::format(format, std::forward<Args>(args)...));
}

/// Receives warnings for as long as it lives, then lets the handler before it go on.
class WarningScope {
 public:
  explicit WarningScope(WarningHandler handler) : before_(set_warning_handler(std::move(handler))) {}
  ~WarningScope() { set_warning_handler(std::move(before_)); }
  WarningScope(const WarningScope&) = delete;
  WarningScope& operator=(const WarningScope&) = delete;

 private:
  WarningHandler before_;
};

}  // namespace vem
