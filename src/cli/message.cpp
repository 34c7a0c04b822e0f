// The first line of an error that a person can act on, whichever library threw it.
#include "message.h"

#include <cstdlib>
#include <new>

#include "vem/core/activity.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/data/memory.h"

namespace vem {
namespace {

/// What LibTorch's allocators say before the number of bytes that they were asked for.
constexpr const char* kAskedFor = "you tried to allocate ";

std::string out_of_memory(const std::string& amount) {
  const std::string activity = failed_activity();
  return fmt::format("out of memory{}{}; a smaller train.batch_size or data.limit may help",
                     activity.empty() ? "" : " while " + activity,
                     amount.empty() ? "" : ": " + amount + " more were asked for");
}

/// Without LibTorch's stack.
std::string text_of(const std::exception& e) {
  const auto* torch = dynamic_cast<const c10::Error*>(&e);
  const std::string text = torch ? torch->what_without_backtrace() : e.what();
  if (const size_t at = text.find(kAskedFor); at != std::string::npos)
    return out_of_memory(memory_text(std::strtod(text.c_str() + at + std::string_view(kAskedFor).size(), nullptr)));
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string message_of(const std::exception& e) {
  if (dynamic_cast<const Error*>(&e)) return one_line(e.what());
  if (dynamic_cast<const std::bad_alloc*>(&e)) return out_of_memory("");
  return one_line(text_of(e));
}

}  // namespace vem
