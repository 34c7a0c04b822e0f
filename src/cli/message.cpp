// The first line of an error that a person can act on, whichever library threw it.
#include "message.h"

#include <new>

#include "vem/core/error.h"

namespace vem {

std::string message_of(const std::exception& e) {
  if (dynamic_cast<const Error*>(&e)) return e.what();
  if (dynamic_cast<const std::bad_alloc*>(&e))
    return "out of memory; a smaller train.batch_size or data.limit may help";
  const auto* torch = dynamic_cast<const c10::Error*>(&e);
  const std::string text = torch ? torch->what_without_backtrace() : e.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace vem
