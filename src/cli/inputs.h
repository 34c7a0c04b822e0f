// What the verbs that read a run share: the run, its data, a method by name.
#pragma once

#include "arguments.h"

#include "run_directory.h"

namespace vem {

LoadedRun load_run(const cxxopts::ParseResult& arguments, const Registry& registry);

/// The items that --data, --split and --limit name, and what to call them. Features of a table are matched by name.
struct Items {
  Dataset data;
  std::string name;
  int64_t of_file = 0;  ///< items of the file that they are from
};
Items load_items(const cxxopts::ParseResult& arguments, const LoadedRun& run);

/// Every item of another source, with the features or words of the run's model.
Dataset load_items_of(const LoadedRun& run, const std::string& source);

/// The method, or a UsageError that lists what this model has.
const Method& method_of(const std::vector<Method>& methods, const std::string& name, const LoadedRun& run);

/// The inputs of a method from a batch: columns by name, and "offsets" of ragged items; those that are
/// whole numbers are left to the caller.
std::vector<Tensor> inputs_of(const Method& method, const Batch& batch);

/// Calls a method on all items in chunks; outputs are joined along their first dimension.
std::vector<Tensor> map_items(const Method& method, const Model& model, const Dataset& data, uint64_t seed);

/// Prints values of components, one a line: [K], [K, D], or matrices [K, D, D'] one below the other.
void print_tensor(const std::string& name, const Tensor& values, const std::vector<std::string>& columns);

/// The parameters of a run as vem/train/parameters.h describes them.
std::string json_of(const LoadedRun& run);

/// True if `path` ends so.
bool has_extension(const std::string& path, const std::string& extension);

}  // namespace vem
