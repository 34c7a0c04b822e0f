// Tensors as nested lists of JSON, and back. Legend: state is Model::state() under its dotted names.
#include "vem/train/parameters.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "vem/core/error.h"
#include "vem/core/json_depth.h"

namespace vem {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kParametersFormat = "vem-parameters";
constexpr int kParametersVersion = 1;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Json json_of(const Tensor& tensor) {
  if (tensor.dim() > 0) {
    Json list = Json::array();
    for (const Tensor& entry : tensor.unbind(0)) list.push_back(json_of(entry));
    return list;
  }
  if (!tensor.is_floating_point()) return tensor.item<int64_t>();
  const double value = tensor.item<double>();
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

/// What null stands for, which json_of() writes for a number that is not finite.
enum class Null { refused, nan };

/// Appends the numbers of a nested list to `values`; it has to be as regular as `shape` says.
void read(const Json& json, Null null, size_t depth, const Shape& shape, std::vector<double>& values) {
  if (depth == shape.size()) {
    if (json.is_null() && null == Null::nan) return values.push_back(std::nan(""));
    if (!json.is_number()) fail<DataError>("a number is expected, got {}", json.dump());
    values.push_back(json.get<double>());
    return;
  }
  if (!json.is_array() || static_cast<int64_t>(json.size()) != shape[depth])
    fail<DataError>("lists of one length are expected");
  for (const Json& entry : json) read(entry, null, depth + 1, shape, values);
}

/// float64, of the shape that the first entries have.
Tensor tensor_of(const Json& json, Null null = Null::refused) {
  Shape shape;
  for (const Json* list = &json; list->is_array(); list = &list->front()) {
    shape.push_back(static_cast<int64_t>(list->size()));
    if (list->empty()) break;
  }
  std::vector<double> values;
  read(json, null, 0, shape, values);
  return at::tensor(values, at::kDouble).view(shape);
}

/// What the model's methods without inputs say, in the units of the data.
void add_readable(Json& all, const Model& model) {
  for (const Method& method : model.methods()) {
    if (!method.inputs.empty()) continue;
    const std::vector<Tensor> values = method.call({}, Rng(0));
    for (size_t i = 0; i < values.size(); ++i)
      all[method.name][method.outputs[i]] = json_of(values[i].detach().to(at::kDouble));
  }
}

/// t follows from eta.
Json state_json(const Model& model) {
  Json state = Json::object();
  const TensorMap tensors = model.state();
  for (const auto& [key, value] : tensors) {
    if (key.compare(0, kModelPrefix.size(), kModelPrefix) != 0) continue;
    if (ends_with(key, ".t") && tensors.count(key.substr(0, key.size() - 1) + "eta")) continue;
    state[key.substr(kModelPrefix.size())] = json_of(value.detach().to(at::kDouble));
  }
  return state;
}

Checkpoint from_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail<MissingInputError>("{}: no such file", path);
  try {
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Json all = Json::parse(checked_json_depth(text));
    if (all.value("format", "") != kParametersFormat)
      fail<DataError>("its format is not \"{}\"; `vem export RUN --format json` writes that", kParametersFormat);
    if (all.at("version") != kParametersVersion) fail<DataError>("its version is not {}", kParametersVersion);
    Checkpoint checkpoint{all.at("config").get<std::string>(), schema_from_json(all.at("schema").dump()), {}, {}};
    for (const auto& [key, value] : all.at("state").items()) checkpoint.state[kModelPrefix + key] = tensor_of(value);
    return checkpoint;
  } catch (const DataError& e) {
    fail<DataError>("{}: holds no parameters of a run: {}", path, e.what());
  } catch (const Json::exception& e) {
    fail<DataError>("{}: holds no parameters of a run: {}", path, e.what());
  }
}

}  // namespace

std::string parameters_json(const Model& model, const std::string& name, const Checkpoint& checkpoint) {
  const at::NoGradGuard no_grad;
  Json all{{"format", kParametersFormat},
           {"version", kParametersVersion},
           {"model", name},
           {"features", checkpoint.schema.feature_names}};
  add_readable(all, model);
  all["config"] = checkpoint.config;
  all["schema"] = Json::parse(to_json(checkpoint.schema));
  all["state"] = state_json(model);
  return all.dump(1) + "\n";
}

std::string tensors_json(const NamedTensors& tensors) {
  Json all = Json::object();
  for (const auto& [name, tensor] : tensors) all[name] = json_of(tensor.detach());
  return all.dump();
}

NamedTensors tensors_from_json(const std::string& text) {
  try {
    const Json all = Json::parse(checked_json_depth(text));
    NamedTensors tensors;
    for (const auto& [name, value] : all.items()) tensors.emplace_back(name, tensor_of(value, Null::nan));
    return tensors;
  } catch (const Json::exception&) {
    fail<DataError>("an object of nested lists of numbers is expected");
  }
}

Checkpoint load_parameters(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) fail<MissingInputError>("{}: no such run or file", path);
  if (!fs::is_directory(path, ignored)) return ends_with(path, ".json") ? from_json(path) : load_checkpoint(path);
  for (const char* name : {"best", "last"})
    if (const fs::path file = fs::path(path) / "checkpoints" / (std::string(name) + ".safetensors");
        fs::exists(file, ignored))
      return load_checkpoint(file.string());
  fail<MissingInputError>("{}: is no run with a checkpoint", path);
}

}  // namespace vem
