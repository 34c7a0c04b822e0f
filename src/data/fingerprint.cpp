// CRC-32 by zlib over the bytes of tensors in a fixed order.
#include "vem/data/fingerprint.h"

#include <fmt/core.h>
#include <zlib.h>

namespace vem {
namespace {

constexpr int64_t kWhole = int64_t{256} << 20;  // bytes: larger columns are sampled
constexpr int64_t kSampled = 65536;             // rows of a column that is sampled
constexpr int64_t kSampledOnDisk = 1024;        // items of data that stay on disk

Tensor evenly_spaced(int64_t size, int64_t most) {
  const int64_t count = std::min(size, most);
  return at::arange(count, at::kLong).mul(size).div(std::max<int64_t>(count, 1), "floor");
}

class Checksum {
 public:
  void add(const std::string& text) { sum_ = crc32_z(sum_, reinterpret_cast<const Bytef*>(text.data()), text.size()); }
  void add(const std::string& name, const Tensor& column) {
    if (!column.defined()) return;
    add(fmt::format("{} {} {}\n", name, c10::toString(column.scalar_type()), fmt::join(column.sizes(), ",")));
    const bool whole = static_cast<int64_t>(column.nbytes()) <= kWhole;
    const Tensor rows = (whole ? column : column.index_select(0, evenly_spaced(column.size(0), kSampled))).contiguous();
    sum_ = crc32_z(sum_, static_cast<const Bytef*>(rows.data_ptr()), rows.nbytes());
  }
  std::string text() const { return fmt::format("{:08x}", sum_); }

 private:
  uLong sum_ = crc32_z(0, nullptr, 0);
};

}  // namespace

std::string fingerprint(const Dataset& data) {
  Checksum sum;
  sum.add(fmt::format("{} items\n", data.size));
  for (const auto& [name, column] : data.columns) sum.add(name, column);
  for (const auto& [name, column] : data.item_columns) sum.add(name, column);
  sum.add("offsets", data.offsets);
  sum.add("index", data.index);
  sum.add("weight", data.weight);
  if (data.disk) {
    const Batch batch = data.batch(evenly_spaced(data.size, kSampledOnDisk), 0, at::ScalarType::Undefined);
    for (const auto& [name, column] : batch.columns) sum.add(name, column);
  }
  return sum.text();
}

}  // namespace vem
