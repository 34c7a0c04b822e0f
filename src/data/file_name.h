// What the name of a file says about it, whatever the case of its letters. Private to the readers.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>

namespace vem {

/// The name without its folders and without .gz, in lower case.
inline std::string plain_name(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t size = name.size();
  return size > 3 && name.compare(size - 3, 3, ".gz") == 0 ? name.substr(0, size - 3) : name;
}

/// Whether the plain name ends so, `extension` in lower case: ".csv".
inline bool has_plain_extension(const std::string& path, const std::string& extension) {
  const std::string name = plain_name(path);
  return name.size() >= extension.size() &&
         name.compare(name.size() - extension.size(), extension.size(), extension) == 0;
}

}  // namespace vem
