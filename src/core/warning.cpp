#include "vem/core/warning.h"

#include <mutex>

namespace vem {
namespace {

struct Receiver {
  std::mutex mutex;
  WarningHandler handler;
};

Receiver& receiver() {
  static Receiver the_receiver;
  return the_receiver;
}

}  // namespace

WarningHandler set_warning_handler(WarningHandler handler) {
  const std::lock_guard<std::mutex> lock(receiver().mutex);
  std::swap(receiver().handler, handler);
  return handler;
}

void send_warning(const std::string& message) {
  const std::lock_guard<std::mutex> lock(receiver().mutex);
  if (receiver().handler) receiver().handler(message);
}

}  // namespace vem
