// The IDX container of MNIST: a big-endian header (two zero bytes, type, number of dimensions, sizes), then the values.
// Only uint8 images and labels, which is what exists; the other types of the format are refused by name.
#include "bytes.h"
#include "vem/core/error.h"
#include "vem/data/memory.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

constexpr uint32_t kImages = 0x0803;
constexpr uint32_t kLabels = 0x0801;

uint32_t big_endian(const unsigned char* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

[[noreturn]] void fail_truncated(const std::string& path, int64_t got, double wanted, const std::string& least = "") {
  fail<DataError>("{}: truncated: got {} bytes, {}{:.0f} are wanted", path, got, least, wanted);
}

/// The sizes that the header names: {items} or {items, rows, columns}.
Shape read_shape(ByteReader& file, const std::string& path) {
  unsigned char bytes[16];
  const int64_t got = file.read(bytes, 4);
  if (got < 4) fail_truncated(path, got, 8, "at least ");
  const uint32_t magic = big_endian(bytes);
  if (magic != kImages && magic != kLabels)
    fail<DataError>("{}: IDX magic 0x{:08x}, images (0x{:08x}) or labels (0x{:08x}) of type uint8 are expected", path,
                    magic, kImages, kLabels);
  const int64_t dims = magic & 0xff;
  const int64_t sizes = file.read(bytes + 4, 4 * dims);
  if (sizes < 4 * dims) fail_truncated(path, 4 + sizes, 4.0 + 4.0 * dims, "at least ");
  Shape shape;
  for (int64_t d = 1; d <= dims; ++d) shape.push_back(big_endian(bytes + 4 * d));
  return shape;
}

}  // namespace

Tensor read_idx(const std::string& path) {
  ByteReader file(path);
  const Shape shape = read_shape(file, path);
  const auto header = static_cast<int64_t>(4 + 4 * shape.size());
  double wanted = 1;  // floating, since three damaged sizes overflow an integer
  for (const int64_t size : shape) wanted *= static_cast<double>(size);
  if (wanted > static_cast<double>(file.max_size())) fail_truncated(path, header + file.skip_rest(), header + wanted);

  MemoryMeter(path).expect(wanted, fmt::format("its {} values", fmt::join(shape, " x ")));
  const Tensor values = at::empty(shape, at::kByte);
  const int64_t got = file.read(values.data_ptr(), values.numel());
  if (got < values.numel()) fail_truncated(path, header + got, header + wanted);
  // Reading on to the end also makes zlib compare its check sum.
  if (const int64_t rest = file.skip_rest(); rest > 0)
    fail<DataError>("{}: got {} bytes, but its header announces {:.0f}", path, header + got + rest, header + wanted);
  return values;
}

}  // namespace vem
