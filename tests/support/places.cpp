#include "support/places.h"

namespace vem {

std::string tests_folder() { return VEM_TESTS_DIR; }
std::string built_program() { return VEM_PROGRAM; }
std::string load_export_program() { return VEM_LOAD_EXPORT; }

}  // namespace vem
