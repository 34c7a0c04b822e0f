// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace vem {

/// 1234567 -> "1,234,567".
std::string grouped(int64_t number);
/// Seconds -> "under 1 s", "12 s", "3:05 min" or "2:07 h".
std::string duration(double seconds);
/// "1 item", "2 items".
std::string counted(int64_t number, const std::string& noun);

}  // namespace vem
