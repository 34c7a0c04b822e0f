// Reading and writing the safetensors format: eight bytes of header length, a JSON header, then the tensors' bytes.
#include "vem/train/safetensors.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "vem/core/error.h"
#include "vem/data/writers.h"

namespace vem {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kLargestHeader = 100'000'000;  // the limit of the public implementation

const std::array<std::pair<at::ScalarType, const char*>, 8> kTypes{{{at::kDouble, "F64"}, {at::kFloat, "F32"}, {at::kBFloat16, "BF16"},
                                                                   {at::kHalf, "F16"}, {at::kLong, "I64"}, {at::kInt, "I32"},
                                                                   {at::kByte, "U8"}, {at::kBool, "BOOL"}}};

std::string name_of(at::ScalarType type, const std::string& tensor) {
  for (const auto& [scalar, name] : kTypes)
    if (scalar == type) return name;
  fail<Error>("safetensors: {} is of type {}, which the format does not have here", tensor, toString(type));
}

/// A refusal names the file first.
template <class... Args>
[[noreturn]] void damaged(const std::string& path, fmt::format_string<Args...> format, Args&&... args) {
  fail<DataError>("{}: {}", path, fmt::format(format, std::forward<Args>(args)...));
}

struct Entry {
  std::string name;
  at::ScalarType type;
  Shape shape;
  uint64_t begin, end;
};

uint64_t bytes_of(const std::string& path, const Entry& e) {
  uint64_t bytes = c10::elementSize(e.type);
  for (const int64_t size : e.shape) {
    if (size < 0 || (size > 0 && bytes > (1ull << 62) / static_cast<uint64_t>(size)))
      damaged(path, "tensor {} has an impossible shape [{}]", e.name, fmt::join(e.shape, ", "));
    bytes *= static_cast<uint64_t>(size);
  }
  return bytes;
}

Entry parse_entry(const std::string& path, const std::string& name, const Json& value) {
  Entry e{name, at::kByte, {}, 0, 0};
  try {
    const auto type = value.at("dtype").get<std::string>();
    const auto known = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return type == t.second; });
    if (known == kTypes.end()) damaged(path, "tensor {} has the unknown type \"{}\"", name, type);
    e.type = known->first;
    e.shape = value.at("shape").get<Shape>();
    const auto offsets = value.at("data_offsets").get<std::vector<uint64_t>>();
    if (offsets.size() != 2 || offsets[0] > offsets[1]) damaged(path, "tensor {} has no valid data_offsets", name);
    e.begin = offsets[0];
    e.end = offsets[1];
  } catch (const nlohmann::json::exception&) {
    damaged(path, "tensor {} needs dtype, shape and data_offsets", name);
  }
  if (const uint64_t wanted = bytes_of(path, e); wanted != e.end - e.begin)
    damaged(path, "tensor {} takes {} bytes, its shape [{}] needs {}", name, e.end - e.begin, fmt::join(e.shape, ", "), wanted);
  return e;
}

/// Parses the header; a name that stands twice is refused, which a parsed object could no longer tell.
Json parse_header(const std::string& path, const std::string& text) {
  std::vector<std::set<std::string>> seen;
  const auto callback = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) seen.emplace_back();
    if (event == Json::parse_event_t::object_end) seen.pop_back();
    if (event == Json::parse_event_t::key && !seen.back().insert(parsed.get<std::string>()).second)
      damaged(path, "the header names {} twice", parsed.get<std::string>());
    return true;
  };
  try {
    Json header = Json::parse(text, callback);
    if (!header.is_object()) damaged(path, "the header is no JSON object");
    return header;
  } catch (const nlohmann::json::exception&) {
    damaged(path, "the header is no valid JSON; is this a safetensors file?");
  }
}

}  // namespace

void save_safetensors(const std::string& path, const Safetensors& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::vector<Tensor> tensors;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    tensors.push_back(tensor.detach().cpu().contiguous());
    const uint64_t bytes = tensors.back().nbytes();
    header[name] = {{"dtype", name_of(tensor.scalar_type(), name)}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // tensors begin on a multiple of eight
  const uint64_t length = text.size();
  write_atomically(path, [&](const std::string& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    std::array<char, 8> size;
    for (int i = 0; i < 8; ++i) size[static_cast<size_t>(i)] = static_cast<char>(length >> (8 * i));
    out.write(size.data(), 8);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const Tensor& tensor : tensors)
      if (tensor.numel() > 0) out.write(static_cast<const char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
    out.flush();
    if (!out) fail<OutputError>("{}: can not be written: {}", path, std::strerror(errno));
  });
}

Safetensors load_safetensors(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) fail<MissingInputError>("{}: no such file", path);
  std::array<unsigned char, 8> prefix;
  if (size < 8 || !in.read(reinterpret_cast<char*>(prefix.data()), 8)) damaged(path, "is cut off: {} bytes, a safetensors file has at least 8", size);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | prefix[static_cast<size_t>(i)];
  if (length > kLargestHeader || length > size - 8)
    damaged(path, "its header should take {} bytes, the file has {}; it is cut off or no safetensors file", length, size - 8);
  std::string text(length, '\0');
  in.read(text.data(), static_cast<std::streamsize>(length));
  const Json header = parse_header(path, text);

  Safetensors file;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(path, name, value));
      continue;
    }
    for (const auto& [key, entry] : value.items()) {
      if (!entry.is_string()) damaged(path, "the metadata {} is no string", key);
      file.metadata[key] = entry.get<std::string>();
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  uint64_t end = 0;
  for (const Entry& e : entries) {
    if (e.begin != end) damaged(path, "tensor {} {}", e.name, e.begin < end ? "overlaps another one" : "leaves a gap before it");
    end = e.end;
  }
  const uint64_t available = size - 8 - length;
  if (end != available) damaged(path, "its tensors take {} bytes, the file has {}; it is cut off or was added to", end, available);
  for (const Entry& e : entries) {
    Tensor tensor = at::empty(e.shape, e.type);
    if (e.end > e.begin) in.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(e.end - e.begin));
    if (!in) damaged(path, "tensor {} can not be read", e.name);
    file.tensors[e.name] = tensor;
  }
  return file;
}

}  // namespace vem
