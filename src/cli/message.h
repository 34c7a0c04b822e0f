// Errors as people read them.
#pragma once

#include <exception>
#include <string>

namespace vem {

/// What a person should read of an error: of LibTorch's, the first line and not the stack.
std::string message_of(const std::exception& e);

}  // namespace vem
