// What is to be said about a fitted model beside its numbers.
#pragma once

#include <string>
#include <vector>

#include "vem/infer/model.h"

namespace vem {

/// Components that explain nothing or sit at a limit, or are no better than one, a sentence for each kind; empty where
/// all is well. `notes` are those of the run's checkpoint.
std::vector<std::string> remarks(const Model& model, const std::map<std::string, std::string>& notes);

}  // namespace vem
