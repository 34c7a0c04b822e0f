// What is said of items that a model gives probability 0, and how numbers that are not finite are written.
#pragma once

#include <nlohmann/json.hpp>

#include "inputs.h"

namespace vem {

/// A number for a JSON file, which has no infinity and no NaN: "inf" or "-inf", and null for NaN.
nlohmann::ordered_json number_of_json(double value);

/// After a table of what a method says of each row (its outputs and their names) was written: how many rows are
/// impossible, if any, and how they are written. NumericError where something else is not a number.
void print_impossible_rows(const std::string& method, const std::vector<std::string>& names,
                           const std::vector<Tensor>& outputs);

/// Where log-likelihoods [items] are -infinity: at which step each of the first few of these items becomes impossible,
/// in words, where items are sequences that the model can filter; else which items these are.
std::string first_impossible(const std::vector<Method>& methods, const Model& model, const Dataset& data,
                             const Tensor& log_likelihood);

}  // namespace vem
