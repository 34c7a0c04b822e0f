// Tests that can run long: `sh tests/long.sh draws` sets VEM_LONG=1.
#pragma once

#include <cstdlib>
#include <string>

namespace vem {

/// Whether random tests take many draws and seeds, and tables every combination.
inline bool long_tests() {
  const char* value = std::getenv("VEM_LONG");
  return value && std::string(value) == "1";
}

}  // namespace vem
