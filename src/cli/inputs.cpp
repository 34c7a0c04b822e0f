// The run, the items and the methods that verbs work on.
#include "inputs.h"

#include <sstream>

#include "text.h"
#include "vem/core/error.h"
#include "vem/core/names.h"
#include "vem/data/mapped_files.h"

namespace vem {

namespace {

constexpr int64_t kChunk = 1000;  // items a call of a method

/// All of another source, prepared as the run's own. It need not have the column of classes.
Splits load_other(const DataOptions& trained, const std::string& source) {
  DataOptions options = read_alike(trained, source);
  try {
    return load_splits(options);
  } catch (const DataError& error) {
    if (!options.label.empty()) {
      options.label.clear();
      try {
        return load_splits(options);
      } catch (const DataError&) {
      }
    }
    const std::string reading = reading_of(trained);
    if (reading.empty()) throw;
    fail<DataError>("{} (read as {} was: {})", error.what(), trained.source, reading);
  }
}

Unseen unseen_of(const std::string& word) {
  if (word == "refuse") return Unseen::refuse;
  if (word == "missing") return Unseen::missing;
  fail<UsageError>("--unseen is refuse or missing, got '{}'", word);
}

/// Data of another kind than the run's own are never what is meant.
void check_kind(const Dataset& data, const LoadedRun& run) {
  const DataOptions& trained = run.options.data;
  const bool documents = data.columns.count("word") || data.disk,
             symbols = !symbols_of(data.schema.feature_names).empty();
  const bool recorded = run.checkpoint.notes.count("reading") > 0;
  const bool other_documents = documents && recorded && trained.corpus.format == CorpusFormat::automatic;
  const bool other_symbols = symbols && symbols_of(run.checkpoint.schema.feature_names).empty();
  if (other_documents || other_symbols)
    fail<DataError>("{}: holds {}; the model was trained on {}, which holds none", data.schema.source,
                    documents ? "documents" : "sequences of symbols", trained.source);
}

/// The columns that the model was trained on, in its order.
Dataset match_features(Dataset data, const Schema& wanted) {
  const Schema& have = data.schema;
  if (data.columns.count("word") || data.disk) return match_words(std::move(data), wanted);
  if (wanted.feature_names.empty() || have.feature_names.empty() || have.feature_names == wanted.feature_names)
    return data;
  std::vector<int64_t> places;
  for (const std::string& name : wanted.feature_names) {
    const auto it = std::find(have.feature_names.begin(), have.feature_names.end(), name);
    if (it == have.feature_names.end())
      fail<DataError>("{}: has no column '{}', which the model was trained on; its columns are {}", have.source, name,
                      fmt::join(have.feature_names, ", "));
    places.push_back(it - have.feature_names.begin());
  }
  data.columns["x"] = data.columns.at("x").index_select(1, at::tensor(places, at::kLong));
  data.schema.feature_names = wanted.feature_names;
  data.schema.item_shape = wanted.item_shape;
  return data;
}

}  // namespace

std::string reading_of(DataOptions options) {
  static const std::vector<std::string> others{
      "source",     "max_memory", "label",      "validation", "validation_file",        "test",
      "limit",      "split",      "binarize",   "stream",     "min_document_frequency", "max_document_frequency",
      "vocabulary", "stop_words", "labels_kept"};
  std::string reading;
  std::istringstream lines(to_toml(options, Registry()));
  for (std::string line; std::getline(lines, line);) {
    const std::string key = line.substr(0, line.find(' ')),
                      value = line.substr(std::min(line.find('=') + 2, line.size()));
    const bool chosen = value != "\"\"" && value != "\"auto\"" && value != "\"refuse\"";
    if (chosen && std::find(others.begin(), others.end(), key) == others.end())
      reading += (reading.empty() ? "" : ", ") + line;
  }
  return reading;
}

std::optional<int64_t> threads_of(const Arguments& a) {
  if (!a.count("threads")) return {};
  const auto threads = a["threads"].as<int64_t>();
  if (threads < 0 || threads > 1024) fail<UsageError>("--threads must be in [0, 1024], got {}", threads);
  return threads;
}

LoadedRun load_run(const Arguments& a, const std::string& path, const Registry& registry) {
  const std::string which = a.count("checkpoint") ? a["checkpoint"].as<std::string>() : "";
  if (!which.empty() && which != "best" && which != "last")
    fail<UsageError>("--checkpoint is best or last, got '{}'", which);
  return load_run(path, registry, which, threads_of(a));
}

LoadedRun load_run(const Arguments& a, const Registry& registry) {
  if (!a.count("run")) fail<UsageError>("which run? Give the folder that `vem train` made");
  return load_run(a, a["run"].as<std::string>(), registry);
}

Items load_items(const Arguments& a, const LoadedRun& run) {
  const int64_t limit = a["limit"].as<int64_t>();
  if (limit < 0) fail<UsageError>("--limit must be >= 0, got {}", limit);
  const std::string source = a.count("data") ? a["data"].as<std::string>() : run.options.data.source;
  const bool other = source != run.options.data.source;
  std::string split = a.count("split") ? a["split"].as<std::string>() : "";
  DataOptions options = run.options.data;
  if (a.count("unseen")) options.sequences.unseen = unseen_of(a["unseen"].as<std::string>());
  a.require_all_read();
  const Splits splits = other ? load_other(options, source) : load_splits(options);
  const std::map<std::string, const Dataset*> parts{
      {"train", &splits.train}, {"validation", &splits.validation}, {"test", &splits.test}};
  if (split.empty()) {
    split = splits.test.size > 0 ? "test" : splits.validation.size > 0 ? "validation" : "train";
    if (split != "test" && !other)
      fmt::print(stderr, "{} items: the run has kept none for a test{}; --data and --split name others\n", split,
                 split == "train" ? " or for validation" : "");
  }
  if (!parts.count(split)) fail<UsageError>("--split is train, validation or test, got '{}'", split);
  const Schema& schema = run.checkpoint.schema;
  if (parts.at(split)->size == 0) fail<DataError>("{}: has no {} items in this run", source, split);
  Dataset data = *parts.at(split);
  if (other) check_kind(data, run);
  data = match_symbols(std::move(data), schema, options.sequences.unseen);
  data = match_categories(std::move(data), schema, options.sequences.unseen);
  data = match_features(std::move(data), schema);
  if (data.schema.item_shape != schema.item_shape)
    fail<DataError>("{}: items have shape [{}], the model was trained on [{}]", source,
                    fmt::join(data.schema.item_shape, ", "), fmt::join(schema.item_shape, ", "));
  // A file that is given is taken whole: its items are no training items.
  if (other && splits.test.size == 0) split = "all";
  data = as_taken(std::move(data), run.options.model);
  const std::string items = (split == "all" ? "items of " : split + " items of ") + one_line(source);
  int64_t of_file = data.size;
  if (data.index.defined()) {  // one of the parts that a file was split into
    of_file = 0;
    for (const auto& part : parts) of_file += part.second->index.defined() ? part.second->size : 0;
  }
  if (limit == 0 || limit >= data.size) return {data, fmt::format("{} {}", grouped(data.size), items), split, of_file};
  return {data.subset(at::arange(limit, at::kLong)), fmt::format("the first {} {}", grouped(limit), items), split,
          of_file};
}

Dataset load_items_of(const LoadedRun& run, const std::string& source) {
  return as_taken(match_features(load_other(run.options.data, source).train, run.checkpoint.schema), run.options.model);
}

const Method& method_of(const std::vector<Method>& methods, const std::string& name, const LoadedRun& run) {
  if (const Method* method = Model::find(methods, name)) return *method;
  std::vector<std::string> names;
  for (const Method& method : methods) names.push_back(method.name);
  fail<UsageError>("{} has no '{}'; it has: {}", run.options.model.name, name, fmt::join(names, ", "));
}

std::vector<Tensor> inputs_of(const Method& method, const Batch& batch, const std::map<std::string, int64_t>& numbers) {
  std::vector<Tensor> inputs;
  for (const std::string& name : method.inputs) {
    const auto number = numbers.find(name);
    inputs.push_back(number != numbers.end() ? at::scalar_tensor(number->second, at::kLong)
                     : name == "offsets"     ? batch.offsets
                                             : batch.at(name));
  }
  return inputs;
}

std::vector<Tensor> map_items(const Method& method, const Model& model, const Dataset& data, uint64_t seed) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<Tensor>> parts(method.outputs.size());
  const Rng rng = Rng(seed).fold(method.name);
  for (int64_t begin = 0; begin < data.size; begin += kChunk) {
    const Batch batch = data.batch(at::arange(begin, std::min(data.size, begin + kChunk), at::kLong), 0, model.dtype());
    const std::vector<Tensor> out = method.call(inputs_of(method, batch), rng.fold(static_cast<uint64_t>(begin)));
    for (size_t i = 0; i < out.size(); ++i) parts[i].push_back(out[i]);
  }
  expect_mapped_files_whole();
  std::vector<Tensor> joined;
  for (const auto& tensors : parts) joined.push_back(at::cat(tensors));
  return joined;
}

bool has_extension(const std::string& path, const std::string& extension) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == b; };
  return path.size() > extension.size() &&
         std::equal(path.end() - static_cast<std::ptrdiff_t>(extension.size()), path.end(), extension.begin(), same);
}

}  // namespace vem
