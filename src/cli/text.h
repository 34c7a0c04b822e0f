// Numbers as people read them, words as shells do.
#pragma once

#include <cstdint>
#include <string>

namespace vem {

/// 1234567 -> "1,234,567".
std::string grouped(int64_t number);
/// Seconds -> "under 1 s", "12 s", "3:05 min" or "2:07 h".
std::string duration(double seconds);
/// The path of a file as a shell takes it, on one line: in quotes where it holds anything else than letters, digits and
/// "_-./=+,:@%", with "./" before a dash that would be taken for an option, and between $' and ' where it holds control
/// characters or bytes that are no UTF-8.
std::string shell_word(const std::string& word);
/// "1 item", "2 items".
std::string counted(int64_t number, const std::string& noun);

}  // namespace vem
