// Runs the command line inside the test, and as a program of its own; small data sets for it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/temporary_folder.h"
#include "vem/cli/run.h"
#include "vem/models/registry.h"

namespace vem {

struct Outcome {
  int code = 0;
  std::string out, err;
};

/// A program's command line in this process; what it prints is caught.
Outcome run_vem(int (*run)(int, char**), const std::vector<std::string>& arguments);
/// The same for the program of the plug-ins that come with it. Inline, so that only who calls it needs the command
/// line.
inline Outcome vem(const std::vector<std::string>& arguments) {
  return run_vem([](int argc, char** argv) { return run(argc, argv, builtin_registry()); }, arguments);
}
/// Runs a command that must succeed; what it printed.
inline std::string done(const std::vector<std::string>& arguments) {
  const Outcome outcome = vem(arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.out;
}

/// Starts the program `path`; returns its process id. Its output goes nowhere.
int start_program(const std::string& path, const std::vector<std::string>& arguments);
/// Waits for it: the exit code, or -1 if it was killed.
int wait_for_program(int process);

/// Expects the same state in two checkpoints, bit for bit.
void expect_equal_states(const std::string& a, const std::string& b);

/// Two clusters in three columns a, b, c and a column of words, as .csv: rows of each.
std::string clusters_csv(int64_t rows);
/// Images [items, 8, 8] of uint8 noise, as .npy with `folder/name`; returns the path.
std::string write_images(const TemporaryFolder& folder, const std::string& name, int64_t items);

}  // namespace vem
