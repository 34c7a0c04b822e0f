// Which files may be written, and over which others.
#include "output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "inputs.h"
#include "vem/core/error.h"
#include "vem/core/names.h"

namespace vem {
namespace {

namespace fs = std::filesystem;

void refuse(const std::string& path, const std::string& why) {
  fail<OutputError>("{}: can not be written: {}", one_line(path), why);
}

void require_writable(const std::string& path) {
  std::error_code ignored;
  const fs::path folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
  if (fs::is_directory(path, ignored)) refuse(path, "it is a folder");
  if (!fs::is_directory(folder, ignored)) refuse(path, fmt::format("there is no folder {}", one_line(folder.string())));
  const bool exists = fs::exists(path, ignored);
  if (exists && !fs::is_regular_file(path, ignored)) return;  // a device or a pipe
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    refuse(path, fmt::format("{}: {}", one_line(folder.string()), std::strerror(errno)));
  if (exists && ::access(path.c_str(), W_OK) != 0) refuse(path, std::strerror(errno));
}

}  // namespace

std::vector<std::string> input_files(const Arguments& arguments) {
  std::vector<std::string> files;
  for (const char* option : {"data", "factors", "held-out"})
    if (arguments.count(option)) files.push_back(arguments.given(option));
  return files;
}

std::vector<std::string> input_files(const Arguments& arguments, const DataOptions& data) {
  std::vector<std::string> files = input_files(arguments);
  for (const std::string& file : {data.source, data.validation_file, data.corpus.vocabulary, data.corpus.stop_words})
    if (!file.empty()) files.push_back(file);
  return files;
}

void check_output(const Arguments& arguments, const std::string& path, const std::vector<std::string>& extensions,
                  const std::vector<std::string>& inputs) {
  const bool force = arguments["force"].as<bool>();
  const auto fits = [&](const std::string& extension) { return has_extension(path, extension); };
  if (!extensions.empty() && std::none_of(extensions.begin(), extensions.end(), fits))
    fail<UsageError>("{}: the name of a file to write ends with {}", one_line(path), fmt::join(extensions, ", "));
  std::error_code ignored;
  for (const std::string& input : inputs)
    if (fs::equivalent(path, input, ignored)) refuse(path, "it is read from; --out names another file");
  const OwnFile own = own_file(path);
  if (own == OwnFile::state) refuse(path, "the run in that folder needs it; --out names another file");
  require_writable(path);
  if (!force && own == OwnFile::none && fs::is_regular_file(path, ignored))
    fail<OutputError>("{}: exists; --force replaces it, --out names another file", one_line(path));
}

std::string output_of(const Arguments& arguments, const LoadedRun& run, const std::string& fallback,
                      const std::vector<std::string>& extensions) {
  const std::string path = arguments.count("out") ? arguments["out"].as<std::string>() : run.directory.file(fallback);
  check_output(arguments, path, extensions, input_files(arguments, run.options.data));
  return path;
}

}  // namespace vem
