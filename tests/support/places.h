// Where the tests are and what they run. Only places.cpp is compiled with paths of this machine, so that a compiler
// cache serves every other test in any checkout.
#pragma once

#include <string>

namespace vem {

/// The folder tests/ of the source tree.
std::string tests_folder();

/// The program `vem` that was built along.
std::string built_program();

/// The program that reads exported files with LibTorch alone.
std::string load_export_program();

}  // namespace vem
