// The JSON header of a safetensors file: printed, and parsed with every check that keeps a damaged file from doing
// harm. https://github.com/huggingface/safetensors, section "Format".
#include "safetensors_header.h"

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "vem/core/error.h"

namespace vem {
namespace {

using nlohmann::json;
using Entry = SafetensorsEntry;

constexpr uint64_t kAlignment = 8;
constexpr uint64_t kLargestTensor = 1ull << 60;  // bytes: products of sizes below it do not overflow
constexpr size_t kMostDimensions = 64;           // what LibTorch's own loops take
constexpr int kDeepestNesting = 3;               // header, tensor, shape
constexpr const char* kMetadata = "__metadata__";

constexpr std::array<std::pair<at::ScalarType, const char*>, 10> kTypes{{{at::kDouble, "F64"},
                                                                         {at::kFloat, "F32"},
                                                                         {at::kBFloat16, "BF16"},
                                                                         {at::kHalf, "F16"},
                                                                         {at::kLong, "I64"},
                                                                         {at::kInt, "I32"},
                                                                         {at::kShort, "I16"},
                                                                         {at::kChar, "I8"},
                                                                         {at::kByte, "U8"},
                                                                         {at::kBool, "BOOL"}}};

/// A refusal names the file first.
template <class... Args>
[[noreturn]] void damaged(const std::string& path, fmt::format_string<Args...> format, Args&&... args) {
  fail<DataError>("{}: {}", path, fmt::format(format, std::forward<Args>(args)...));
}

const char* name_of(const std::string& path, const Entry& e) {
  for (const auto& [scalar, name] : kTypes)
    if (scalar == e.type) return name;
  damaged(path, "tensor {} is of type {}, which can not be written; convert it first", e.name, toString(e.type));
}

/// Bytes that the shape needs. Sizes of zero count as one for the limit: strides multiply the others all the same.
uint64_t num_bytes(const std::string& path, const Entry& e) {
  uint64_t bytes = c10::elementSize(e.type);
  bool empty = false, possible = e.shape.size() <= kMostDimensions;
  for (const int64_t size : e.shape) {
    const auto factor = static_cast<uint64_t>(std::max<int64_t>(size, 1));
    possible = possible && bytes <= kLargestTensor / factor;
    if (!possible) break;
    bytes *= factor;
    empty = empty || size == 0;
  }
  if (!possible) damaged(path, "tensor {} has the impossible shape [{}]", e.name, fmt::join(e.shape, ", "));
  return empty ? 0 : bytes;
}

/// Whole numbers only: get<int64_t>() would also take 2.5 and true.
Shape whole_numbers(const std::string& path, const std::string& tensor, const json& value, const char* key) {
  const auto it = value.find(key);
  if (it == value.end() || !it->is_array()) damaged(path, "tensor {} has no list {}", tensor, key);
  Shape numbers;
  for (const json& number : *it) {
    if (!number.is_number_integer() || number.get<int64_t>() < 0)
      damaged(path, "tensor {} has {} in its {}, a whole number from 0 is expected", tensor, number.dump(), key);
    numbers.push_back(number.get<int64_t>());
  }
  return numbers;
}

at::ScalarType type_of(const std::string& path, const std::string& tensor, const json& value) {
  const auto it = value.find("dtype");
  if (it == value.end() || !it->is_string()) damaged(path, "tensor {} has no dtype", tensor);
  const auto type = it->get<std::string>();
  std::vector<const char*> names;
  for (const auto& [scalar, name] : kTypes) {
    if (type == name) return scalar;
    names.push_back(name);
  }
  damaged(path, "tensor {} has the unknown dtype \"{}\", one of {} is expected", tensor, type, fmt::join(names, ", "));
}

Entry parse_entry(const std::string& path, const std::string& name, const json& value) {
  if (!value.is_object()) damaged(path, "tensor {} is described by {}, an object is expected", name, value.type_name());
  Entry e{name, type_of(path, name, value), whole_numbers(path, name, value, "shape"), 0, 0};
  const Shape offsets = whole_numbers(path, name, value, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    damaged(path, "tensor {} has data_offsets [{}], [begin, end] is expected", name, fmt::join(offsets, ", "));
  e.begin = static_cast<uint64_t>(offsets[0]);
  e.end = static_cast<uint64_t>(offsets[1]);
  if (const uint64_t wanted = num_bytes(path, e); wanted != e.end - e.begin)
    damaged(path, "tensor {} takes {} bytes, its shape [{}] of {} needs {}", name, e.end - e.begin,
            fmt::join(e.shape, ", "), name_of(path, e), wanted);
  return e;
}

std::map<std::string, std::string> parse_metadata(const std::string& path, const json& value) {
  if (!value.is_object()) damaged(path, "its metadata are {}, an object is expected", value.type_name());
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) damaged(path, "its metadata have {} for {}, a text is expected", text.type_name(), key);
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

/// JSON whose objects name nothing twice: that is checked while it is read, for a parsed object can no longer tell.
json parse_json(const std::string& path, const std::string& text) {
  std::vector<std::set<std::string>> names;
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kDeepestNesting) damaged(path, "its header is nested too deeply; is this a safetensors file?");
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key && !names.back().insert(parsed.get<std::string>()).second)
      damaged(path, "its header names {} twice", parsed.get<std::string>());
    return true;
  };
  if (text.empty() || text[0] != '{') damaged(path, "its header does not begin with {{; is this a safetensors file?");
  try {
    return json::parse(text, check);
  } catch (const json::exception&) {
    damaged(path, "its header is no valid JSON; is this a safetensors file?");
  }
}

/// The tensors' bytes must follow each other from 0 to the end of the file.
void check_layout(const std::string& path, const std::vector<Entry>& entries, uint64_t available) {
  uint64_t end = 0;
  for (const Entry& e : entries) {
    if (e.begin != end)
      damaged(path, "tensor {} begins at byte {} of the data, {} is expected: it {}", e.name, e.begin, end,
              e.begin < end ? "overlaps another one" : "leaves a gap");
    end = e.end;
  }
  if (end != available)
    damaged(path, "its tensors take {} bytes, {} are there: it {}", end, available,
            end > available ? "is cut off" : "has something behind them");
}

}  // namespace

std::string print_header(const std::string& path, const SafetensorsHeader& header) {
  json object = json::object();
  if (!header.metadata.empty()) object[kMetadata] = header.metadata;
  for (const Entry& e : header.entries) {
    if (e.name == kMetadata) damaged(path, "no tensor can be called {}", e.name);
    object[e.name] = {{"dtype", name_of(path, e)}, {"shape", e.shape}, {"data_offsets", {e.begin, e.end}}};
  }
  std::string text;
  try {
    text = object.dump();
  } catch (const json::exception&) {
    damaged(path, "can not be written: a name or a text in its metadata is not UTF-8");
  }
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  if (text.size() > kLargestHeader)
    damaged(path, "can not be written: its header takes {} bytes, at most {} are allowed", text.size(), kLargestHeader);
  return text;
}

SafetensorsHeader parse_header(const std::string& path, const std::string& text, uint64_t available) {
  const json object = parse_json(path, text);
  SafetensorsHeader header;
  for (const auto& [name, value] : object.items()) {
    if (name == kMetadata)
      header.metadata = parse_metadata(path, value);
    else
      header.entries.push_back(parse_entry(path, name, value));
  }
  std::sort(header.entries.begin(), header.entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  check_layout(path, header.entries, available);
  return header;
}

}  // namespace vem
