// Every error that vem throws. A message says where, what it got, what it wanted, and a hint.
// The command line maps the classes to sysexits codes; the library never prints and never exits.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>

namespace vem {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command line itself is wrong (exit code 64).
class UsageError : public Error {
  using Error::Error;
};
/// The data are not what the reader or the model needs (65).
class DataError : public Error {
  using Error::Error;
};
/// A file or a folder that should be read is not there (66).
class MissingInputError : public Error {
  using Error::Error;
};
/// A number went non-finite, or a promise of the library was broken (70).
class NumericError : public Error {
  using Error::Error;
};
/// An output can not be written (73).
class OutputError : public Error {
  using Error::Error;
};
/// An option is unknown, mistyped, out of range or without effect (78).
class ConfigError : public Error {
  using Error::Error;
};

/// Throws E with a formatted message: `fail<DataError>("{}: got {}", where, got)`.
template <class E, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vem
