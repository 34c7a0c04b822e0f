// What fuzzing and the replay of past findings share: harnesses, each a reader of files and small files to begin with.
// data.cpp, and a file for each other layer that has readers, defines harnesses() for its layer: that is all that a new
// harness needs. libFuzzer runs them through fuzzer.cpp, the ordinary tests through findings.cpp.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace vem {

struct Harness {
  const char* name;
  const char* file;                              ///< what the file is called: readers look at names too
  std::function<void(const std::string&)> read;  ///< reads the file and uses what it holds, or throws vem::Error
  std::vector<std::string> seeds;                ///< contents of files that are read without an error, and near ones
};

/// The harnesses of the layer that this program is about.
const std::vector<Harness>& harnesses();

/// The content of a file.
std::string bytes_of(const std::string& path);

/// Writes `bytes` as the harness's file into `folder` and reads it, with at most 64 MiB for what the file holds.
/// vem::Error is an answer; any other exception leaves this function, and is a finding.
void read_as(const Harness& harness, const std::string& folder, const std::string& bytes);

}  // namespace vem
