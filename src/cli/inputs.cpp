#include "inputs.h"

#include "vem/core/error.h"

namespace vem {

namespace {
constexpr int64_t kChunk = 1000;  // items a call of a method
}

LoadedRun load_run(const cxxopts::ParseResult& a, const Registry& registry) {
  if (!a.count("run")) fail<UsageError>("which run? give the folder that `vem train` made");
  const std::string which = a.count("checkpoint") ? a["checkpoint"].as<std::string>() : "";
  if (!which.empty() && which != "best" && which != "last") fail<UsageError>("--checkpoint is best or last, got '{}'", which);
  return load_run(a["run"].as<std::string>(), registry, which);
}

Items load_items(const cxxopts::ParseResult& a, const LoadedRun& run) {
  DataOptions options = run.options.data;
  const bool other = a.count("data") && a["data"].as<std::string>() != options.source;
  if (other) {  // all of another source, prepared as the run's own
    options.source = a["data"].as<std::string>();
    options.validation = options.test = 0;
    options.limit = 0;
  }
  const Splits splits = load_splits(options);
  if (splits.train.schema.item_shape != run.checkpoint.schema.item_shape)
    fail<DataError>("{}: items have shape [{}], the model was trained on [{}]", options.source, fmt::join(splits.train.schema.item_shape, ", "),
                    fmt::join(run.checkpoint.schema.item_shape, ", "));
  const std::map<std::string, const Dataset*> parts{{"train", &splits.train}, {"validation", &splits.validation}, {"test", &splits.test}};
  std::string split = splits.test.size > 0 ? "test" : splits.validation.size > 0 ? "validation" : "train";
  if (a.count("split")) split = a["split"].as<std::string>();
  if (!parts.count(split)) fail<UsageError>("--split is train, validation or test, got '{}'", split);
  Dataset data = *parts.at(split);
  if (data.size == 0) fail<DataError>("{}: has no {} items in this run", options.source, split);
  const int64_t limit = a["limit"].as<int64_t>();
  if (limit < 0) fail<UsageError>("--limit must be >= 0, got {}", limit);
  std::string name = fmt::format("{} items of {}", split, options.source);
  if (limit > 0 && limit < data.size) {
    data = data.subset(at::arange(limit, at::kLong));
    name = fmt::format("the first {} {}", limit, name);
  } else {
    name = fmt::format("{} {}", data.size, name);
  }
  return {std::move(data), name};
}

const Method& method_of(const std::vector<Method>& methods, const std::string& name, const LoadedRun& run) {
  if (const Method* method = Model::find(methods, name)) return *method;
  std::vector<std::string> names;
  for (const Method& method : methods) names.push_back(method.name);
  fail<UsageError>("{} has no '{}'; it has: {}", run.options.model.name, name, fmt::join(names, ", "));
}

std::vector<Tensor> map_items(const Method& method, const Model& model, const Dataset& data, uint64_t seed) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<Tensor>> parts(method.outputs.size());
  const Rng rng = Rng(seed).fold(method.name);
  for (int64_t begin = 0; begin < data.size; begin += kChunk) {
    const Batch batch = data.batch(at::arange(begin, std::min(data.size, begin + kChunk), at::kLong), 0, model.dtype());
    const std::vector<Tensor> out = method.call({batch.at("x")}, rng.fold(static_cast<uint64_t>(begin)));
    for (size_t i = 0; i < out.size(); ++i) parts[i].push_back(out[i]);
  }
  std::vector<Tensor> joined;
  for (const auto& tensors : parts) joined.push_back(at::cat(tensors));
  return joined;
}

bool has_extension(const std::string& path, const std::string& extension) {
  return path.size() > extension.size() && path.compare(path.size() - extension.size(), extension.size(), extension) == 0;
}

}  // namespace vem
