// Harnesses for the files of tensors: safetensors, and JSON with parameters, draws or the schema of data. What is read
// must also be written and read back equal.
#include <cstring>
#include <stdexcept>

#include "fuzz/harness.h"
#include "vem/core/error.h"
#include "vem/train/parameters.h"

namespace vem {
namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

void read_and_copy_tensors(const std::string& path) {
  const Safetensors read = load_safetensors(path);
  const std::string copy = path + ".copy";
  save_safetensors(copy, read);
  const Safetensors again = load_safetensors(copy);
  require(again.metadata == read.metadata && again.tensors.size() == read.tensors.size(), "other names in the copy");
  for (const auto& [name, tensor] : read.tensors) {
    const Tensor& other = again.tensors.at(name);
    require(other.sizes() == tensor.sizes() && other.scalar_type() == tensor.scalar_type(),
            "another shape in the copy");
    const auto bytes = static_cast<size_t>(tensor.nbytes());
    require(bytes == 0 || std::memcmp(other.data_ptr(), tensor.data_ptr(), bytes) == 0, "other numbers in the copy");
  }
}

void read_json(const std::string& path) {
  const std::string text = bytes_of(path);
  const std::vector<std::function<void()>> ways{[&] { load_parameters(path); },
                                                [&] { tensors_from_json(tensors_json(tensors_from_json(text))); },
                                                [&] { schema_from_json(to_json(schema_from_json(text))); }};
  for (const auto& way : ways) {
    try {
      way();
    } catch (const DataError&) {
    }
  }
}

std::string safetensors(const std::string& header, const std::string& bytes) {
  std::string size(8, '\0');
  for (size_t i = 0; i < 8; ++i) size[i] = static_cast<char>(header.size() >> (8 * i));
  return size + header + bytes;
}

}  // namespace

const std::vector<Harness>& harnesses() {
  static const std::vector<Harness> all{
      {"safetensors",
       "t.safetensors",
       read_and_copy_tensors,
       {safetensors(R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}})", std::string(16, '\x40')),
        safetensors(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]},)"
                    R"("b":{"dtype":"I64","shape":[],"data_offsets":[4,12]}})",
                    std::string(12, '\x01')),
        safetensors(R"({"a":{"dtype":"BOOL","shape":[0,3],"data_offsets":[0,0]}})", "")}},
      {"json",
       "p.json",
       read_json,
       {R"({"format":"vem-parameters","version":1,"model":"mixture","features":["a"],"component_parameters":{},)"
        R"("config":"[model]\nkind = \"gmm\"\n","schema":{"source":"x.csv","item_shape":[1]},)"
        R"("state":{"weights.eta":[[1.5,null]],"scaling.center":[0]}})",
        R"({"means":[[1,2],[3,4.5]],"weights":[0.5,0.5],"n":3})",
        R"({"source":"x.csv","item_shape":[2],"feature_names":["a","b"],"num_classes":0,"categories":{"a":["u","v"]}})"}}};
  return all;
}

}  // namespace vem
