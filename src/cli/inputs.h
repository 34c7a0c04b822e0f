// What the verbs that read a run share: the run, its data, a method by name.
#pragma once

#include "arguments.h"

#include "run_directory.h"

namespace vem {

/// The options that say how data were read and that are not at "auto", as TOML with commas between: for people.
std::string reading_of(DataOptions options);

/// The run in the folder `path` with the checkpoint that --checkpoint names, and as many threads as --threads says.
LoadedRun load_run(const Arguments& arguments, const std::string& path, const Registry& registry);
/// The same of the verb's argument RUN.
LoadedRun load_run(const Arguments& arguments, const Registry& registry);
/// --threads, where it is given.
std::optional<int64_t> threads_of(const Arguments& arguments);

/// The items that --data, --split and --limit name, and what to call them. Features of a table are matched by name.
struct Items {
  Dataset data;
  std::string name;     ///< for people: "the first 100 test items of table.csv"
  std::string split;    ///< "train", "validation" or "test"; "all" of another file than the run's
  int64_t of_file = 0;  ///< items of the file that they are from
};
/// Says so on standard error if it takes items of training or validation since the run has kept none for a test. This
/// is where much work begins: whatever else a verb takes it must have read before (Arguments::require_all_read).
Items load_items(const Arguments& arguments, const LoadedRun& run);

/// Every item of another source, with the features or words of the run's model.
Dataset load_items_of(const LoadedRun& run, const std::string& source);

/// The method, or a UsageError that lists what this model has.
const Method& method_of(const std::vector<Method>& methods, const std::string& name, const LoadedRun& run);

/// The inputs of a method in their order: whole numbers by name, else columns of a batch, and "offsets" of ragged
/// items.
std::vector<Tensor> inputs_of(const Method& method, const Batch& batch,
                              const std::map<std::string, int64_t>& numbers = {});

/// Calls a method on all items in chunks; outputs are joined along their first dimension.
std::vector<Tensor> map_items(const Method& method, const Model& model, const Dataset& data, uint64_t seed);

/// Prints values of components, one a line: [K], [K, D], or matrices [K, D, D'] one below the other.
void print_tensor(const std::string& name, const Tensor& values, const std::vector<std::string>& columns);

/// The parameters of a run as vem/train/parameters.h describes them.
std::string json_of(const LoadedRun& run);

/// True if `path` ends with the extension, which is in lower case, in whatever case.
bool has_extension(const std::string& path, const std::string& extension);

}  // namespace vem
