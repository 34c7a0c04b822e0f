// What is to be said about a fitted model beside its numbers.
#pragma once

#include <string>
#include <vector>

#include "vem/infer/model.h"

namespace vem {

/// Components that explain nothing or sit at a limit, a sentence for each kind; empty where all is well.
std::vector<std::string> remarks(const Model& model);

}  // namespace vem
