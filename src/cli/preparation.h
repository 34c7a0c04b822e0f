// What train and select do alike before they fit.
#pragma once

#include "run_options.h"

namespace vem {

/// The options that the arguments of `verb` describe, with `more` assignments. Throws UsageError or ConfigError where
/// the model or the data are missing.
RunOptions run_options(const Arguments& a, const std::string& verb, const Registry& registry,
                       const std::vector<std::string>& more = {});
/// Threads as the options say, and warnings about what makes such a run slow.
void prepare(const RunOptions& options);

}  // namespace vem
