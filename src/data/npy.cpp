// NumPy's .npy: magic, version, the length of a header that is a Python dictionary, then the values, in C or Fortran
// order and of either byte order. Format: NumPy Enhancement Proposal 1.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "bytes.h"
#include "mapped.h"
#include "vem/core/error.h"
#include "vem/data/memory.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

struct Header {
  std::string type;
  bool fortran_order = false;
  Shape shape;
};

/// What follows `'key':` in the dictionary, without leading blanks; empty where there is no such key.
std::string value_of(const std::string& dictionary, const std::string& key) {
  const size_t at = dictionary.find("'" + key + "':");
  if (at == std::string::npos) return "";
  const size_t start = dictionary.find_first_not_of(' ', at + key.size() + 3);
  return start == std::string::npos ? "" : dictionary.substr(start);
}

Shape parse_shape(const std::string& tuple) {
  Shape shape;
  for (const char* at = tuple.c_str() + 1; *at && *at != ')';) {
    char* end = nullptr;
    const int64_t size = std::strtoll(at, &end, 10);
    if (end == at) {
      ++at;  // a comma or a blank
    } else {
      shape.push_back(size);
      at = end;
    }
  }
  return shape;
}

Header read_header(ByteReader& file, const std::string& path) {
  std::array<unsigned char, 12> start{};
  if (file.read(start.data(), 8) < 8 || std::memcmp(start.data(), "\x93NUMPY", 6) != 0)
    fail<DataError>("{}: is no .npy file (its first bytes are not those of NumPy)", path);
  // The length has two bytes in version 1, four in versions 2 and 3.
  const int64_t length_bytes = start[6] == 1 ? 2 : 4;
  file.read(start.data() + 8, length_bytes);
  int64_t length = 0;
  for (int64_t b = length_bytes; b-- > 0;) length = length << 8 | start[8 + b];
  std::string text(std::min<int64_t>(length, 1 << 16), ' ');
  if (start[6] < 1 || start[6] > 3 || length > 1 << 16 || file.read(text.data(), length) < length)
    fail<DataError>("{}: the header of this .npy file is damaged or of an unknown version", path);

  const std::string type = value_of(text, "descr"), order = value_of(text, "fortran_order");
  const std::string shape = value_of(text, "shape");
  if (type.size() < 2 || order.empty() || shape.empty() || shape[0] != '(')
    fail<DataError>("{}: the header of this .npy file lacks descr, fortran_order or shape", path);
  const bool simple = type[0] == '\'';  // a record type is a list
  return {simple ? type.substr(1, type.find('\'', 1) - 1) : "record", order.rfind("True", 0) == 0, parse_shape(shape)};
}

struct ValueType {
  at::ScalarType type;
  bool swapped;  ///< bytes stand in the other order than this machine's
};

ValueType value_type_of(const Header& header, const std::string& path) {
  static const std::map<std::string, at::ScalarType> types = {{"f4", at::kFloat}, {"f8", at::kDouble},
                                                              {"u1", at::kByte},  {"i4", at::kInt},
                                                              {"i8", at::kLong},  {"b1", at::kBool}};
  const auto found = header.type.size() == 3 ? types.find(header.type.substr(1)) : types.end();
  if (found == types.end() || std::string("<>|=").find(header.type[0]) == std::string::npos)
    fail<DataError>(
        "{}: values of type {}, but float32, float64, uint8, int32, int64 or bool (<f4 <f8 |u1 <i4 <i8 |b1) "
        "is expected; convert with .astype('float32')",
        path, header.type);
  return {found->second, header.type[0] == '>' && c10::elementSize(found->second) > 1};
}

/// Reverses the bytes of every value.
void swap_bytes(const Tensor& values) {
  char* at = static_cast<char*>(values.data_ptr());
  const auto size = static_cast<std::ptrdiff_t>(values.element_size());
  for (char* const end = at + values.nbytes(); at < end; at += size) std::reverse(at, at + size);
}

/// Values that were written with the first index fastest, in C order: read as the transposed array that they are. A
/// copy of many values is a file, as they are.
Tensor in_c_order(const Tensor& transposed, int64_t map_from, const std::string& path) {
  const Tensor values = transposed.permute([&] {
    Shape axes;
    for (int64_t axis = transposed.dim() - 1; axis >= 0; --axis) axes.push_back(axis);
    return axes;
  }());
  if (static_cast<int64_t>(values.nbytes()) < map_from) return values.contiguous();
  return temporary_tensor(values.sizes().vec(), values.scalar_type(), path).copy_(values);
}

[[noreturn]] void fail_missing_values(const std::string& path, int64_t got, double wanted) {
  fail<DataError>("{}: truncated: got {} bytes of values, {:.0f} are wanted", path, got, wanted);
}

[[noreturn]] void fail_too_long(const std::string& path, int64_t got, int64_t wanted) {
  fail<DataError>("{}: got {} bytes of values, but its header announces {}", path, got, wanted);
}

/// Values that stay in the file, from byte `begin` on; `wanted` bytes.
Tensor mapped_values(const std::string& path, int64_t begin, const Shape& shape, at::ScalarType type, double wanted) {
  const auto got = static_cast<int64_t>(std::filesystem::file_size(path)) - begin;
  if (static_cast<double>(got) < wanted) fail_missing_values(path, got, wanted);
  if (static_cast<double>(got) > wanted) fail_too_long(path, got, static_cast<int64_t>(wanted));
  return map_file(path, begin, shape, type);
}

}  // namespace

Tensor read_npy(const std::string& path, int64_t map_from) {
  ByteReader file(path);
  Header header = read_header(file, path);
  const auto [type, swapped] = value_type_of(header, path);
  const bool transposed = header.fortran_order && header.shape.size() > 1;
  if (transposed) std::reverse(header.shape.begin(), header.shape.end());

  auto wanted = static_cast<double>(c10::elementSize(type));
  for (const int64_t size : header.shape) {
    if (size < 0) fail<DataError>("{}: the header of this .npy file names a negative size", path);
    wanted *= static_cast<double>(size);
  }
  const bool large = wanted >= static_cast<double>(map_from);
  const bool mappable = file.plain() && file.position() % static_cast<int64_t>(c10::elementSize(type)) == 0 &&
                        std::filesystem::is_regular_file(path);
  Tensor values;
  if (mappable && large) {
    values = mapped_values(path, file.position(), header.shape, type, wanted);
    if (swapped) values = temporary_tensor(header.shape, type, path).copy_(values);
  } else {
    const bool possible = wanted <= static_cast<double>(file.max_size());
    if (possible) MemoryMeter(path).expect(wanted, fmt::format("its {} values", fmt::join(header.shape, " x ")));
    values = at::empty(possible ? header.shape : Shape{0}, type);
    const auto bytes = static_cast<int64_t>(values.nbytes());
    const int64_t got = possible ? file.read(values.data_ptr(), bytes) : file.skip_rest();
    if (!possible || got < bytes) fail_missing_values(path, got, wanted);
    if (const int64_t rest = file.skip_rest(); rest > 0) fail_too_long(path, bytes + rest, bytes);
  }
  if (swapped) swap_bytes(values);
  return transposed ? in_c_order(values, map_from, path) : values;
}

}  // namespace vem
