// Checkpoints as safetensors files whose metadata say what is inside: format, version, configuration, schema and notes.
// How the tensors lie in the file is safetensors.cpp's part; what they mean is the model's and the trainer's.
#include "vem/train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "vem/core/error.h"
#include "vem/core/json_depth.h"

namespace vem {
namespace {

using nlohmann::json;

constexpr const char* kCheckpointFormat = "vem-checkpoint";
constexpr const char* kCheckpointVersion = "1";

std::string print(const json& value, const char* what) {
  try {
    return value.dump();
  } catch (const json::exception&) {
    fail<DataError>("checkpoint: the {} hold text that is not UTF-8; convert the data's names", what);
  }
}

/// A number of the schema; get<int64_t>() alone would also take 2.5 and true.
int64_t whole_number(const json& value, const char* key, int64_t min) {
  if (!value.is_number_integer() || value.get<int64_t>() < min)
    fail<DataError>("schema: {} must be whole numbers from {}, got {}", key, min, value.dump());
  return value.get<int64_t>();
}

std::map<std::string, std::string> parse_notes(const std::string& text) {
  try {
    return json::parse(checked_json_depth(text)).get<std::map<std::string, std::string>>();
  } catch (const json::exception&) {
    fail<DataError>("notes: a JSON object of texts is expected");
  }
}

/// A metadata entry that every checkpoint has.
const std::string& entry(const std::string& path, const Safetensors& file, const std::string& key) {
  const auto it = file.metadata.find(key);
  if (it == file.metadata.end()) fail<DataError>("{}: is no checkpoint of vem: its metadata have no {}", path, key);
  return it->second;
}

void check_format(const std::string& path, const Safetensors& file) {
  if (const std::string& format = entry(path, file, "format"); format != kCheckpointFormat)
    fail<DataError>("{}: is no checkpoint of vem: its format is \"{}\", \"{}\" is expected", path, format,
                    kCheckpointFormat);
  if (const std::string& version = entry(path, file, "version"); version != kCheckpointVersion)
    fail<DataError>("{}: is a checkpoint of version {}, this program reads version {}", path, version,
                    kCheckpointVersion);
}

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  save_safetensors(path, {checkpoint.state,
                          {{"format", kCheckpointFormat},
                           {"version", kCheckpointVersion},
                           {"config", checkpoint.config},
                           {"schema", to_json(checkpoint.schema)},
                           {"notes", print(checkpoint.notes, "notes")}}});
}

Checkpoint load_checkpoint(const std::string& path) {
  Safetensors file = load_safetensors(path);
  check_format(path, file);
  const std::string config = entry(path, file, "config"), schema = entry(path, file, "schema"),
                    notes = entry(path, file, "notes");
  try {
    return {config, schema_from_json(schema), std::move(file.tensors), parse_notes(notes)};
  } catch (const DataError& error) {
    fail<DataError>("{}: its metadata are damaged: {}", path, error.what());
  }
}

std::string to_json(const Schema& schema) {
  return print({{"source", schema.source},
                {"feature_names", schema.feature_names},
                {"item_shape", schema.item_shape},
                {"num_classes", schema.num_classes},
                {"categories", schema.categories}},
               "names of the schema");
}

Schema schema_from_json(const std::string& text) {
  try {
    const json value = json::parse(checked_json_depth(text));
    Schema schema;
    schema.source = value.at("source").get<std::string>();
    schema.feature_names = value.at("feature_names").get<std::vector<std::string>>();
    for (const json& size : value.at("item_shape"))
      schema.item_shape.push_back(whole_number(size, "the sizes of item_shape", 1));
    schema.num_classes = whole_number(value.at("num_classes"), "num_classes", 0);
    if (value.contains("categories"))  // a file of an earlier version has none
      schema.categories = value["categories"].get<decltype(schema.categories)>();
    return schema;
  } catch (const json::exception&) {
    fail<DataError>("schema: an object with source, feature_names, item_shape and num_classes is expected");
  }
}

}  // namespace vem
