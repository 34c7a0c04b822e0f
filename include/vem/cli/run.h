// The whole command line as one function: a program with plug-ins of its own fills a registry and calls it.
#pragma once

#include "vem/core/registry.h"

namespace vem {

/// Runs `vem ARGUMENTS`: results go to standard output, progress and errors to standard error. Returns the exit code:
/// 0, or that of sysexits.h for the class of the error (64 usage, 65 data, 66 missing input, 70 software or numeric,
/// 73 output, 78 configuration), or 128 + signal number for a training run that was asked to stop. Never throws.
int run(int argc, char** argv, const Registry& registry);

}  // namespace vem
