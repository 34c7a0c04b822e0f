// Errors as people read them.
#pragma once

#include <exception>
#include <string>

namespace vem {

/// What a person should read of an error, on one line: of LibTorch's, the first line and not the stack; where memory
/// ran out, how much was asked for and during what (vem/core/activity.h).
std::string message_of(const std::exception& e);

}  // namespace vem
