// The file that a verb is to write: found fit for it before the work begins.
#pragma once

#include "run_directory.h"

namespace vem {

/// What a verb reads beside its run, by the options of the command line; none of it is ever written over.
std::vector<std::string> input_files(const Arguments& arguments);
/// The same, and the files that the run's data come from.
std::vector<std::string> input_files(const Arguments& arguments, const DataOptions& data);

/// Checks the file that a verb is to write. Throws UsageError for an extension that is not among `extensions` (any, if
/// there are none), and OutputError for a file that could not be written, that is one of `inputs`, or that a run needs
/// to go on; also for one that exists, unless --force is given or it is what verbs write into a run's folder by
/// default.
void check_output(const Arguments& arguments, const std::string& path, const std::vector<std::string>& extensions,
                  const std::vector<std::string>& inputs);

/// The path that --out names or, without it, `fallback` in the run's folder; checked.
std::string output_of(const Arguments& arguments, const LoadedRun& run, const std::string& fallback,
                      const std::vector<std::string>& extensions);

}  // namespace vem
