// Checkpoints as safetensors files whose metadata say what is inside.
#include "vem/train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "vem/core/error.h"

namespace vem {
namespace {

const char* const kFormat = "vem-checkpoint";
const char* const kVersion = "1";

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  save_safetensors(path, {checkpoint.state,
                          {{"format", kFormat}, {"version", kVersion}, {"config", checkpoint.config},
                           {"schema", to_json(checkpoint.schema)}, {"notes", nlohmann::json(checkpoint.notes).dump()}}});
}

Checkpoint load_checkpoint(const std::string& path) {
  Safetensors file = load_safetensors(path);
  const auto text = [&](const char* key) {
    const auto it = file.metadata.find(key);
    if (it == file.metadata.end()) fail<DataError>("{}: is no checkpoint of vem: its metadata has no {}", path, key);
    return it->second;
  };
  if (text("format") != kFormat) fail<DataError>("{}: is no checkpoint of vem: its format is \"{}\"", path, text("format"));
  if (text("version") != kVersion)
    fail<DataError>("{}: is a checkpoint of version {}, this program reads version {}", path, text("version"), kVersion);
  try {
    return {text("config"), schema_from_json(text("schema")), std::move(file.tensors),
            nlohmann::json::parse(text("notes")).get<std::map<std::string, std::string>>()};
  } catch (const nlohmann::json::exception& e) {
    fail<DataError>("{}: its metadata are damaged: {}", path, e.what());
  }
}

std::string to_json(const Schema& schema) {
  return nlohmann::ordered_json{{"source", schema.source}, {"feature_names", schema.feature_names},
                                {"item_shape", schema.item_shape}, {"num_classes", schema.num_classes}}.dump();
}

Schema schema_from_json(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  Schema schema;
  schema.source = json.at("source").get<std::string>();
  schema.feature_names = json.at("feature_names").get<std::vector<std::string>>();
  schema.item_shape = json.at("item_shape").get<Shape>();
  schema.num_classes = json.at("num_classes").get<int64_t>();
  return schema;
}

}  // namespace vem
