// Training, validation and test items as three neighbouring parts of one storage.
#include "split.h"

#include <cmath>
#include <cstring>

#include "mapped.h"
#include "vem/core/error.h"
#include "vem/data/readers.h"

namespace vem {

namespace {

/// Items asked for by a count (1 or more) or by a fraction of n; a fraction above 0 gives at least one.
int64_t num_held(double wanted, int64_t n, const char* name) {
  if (!(wanted >= 0)) fail<ConfigError>("{} must be a count or a fraction, got {}", name, wanted);
  if (wanted >= 1 && wanted != std::floor(wanted))
    fail<ConfigError>("{} must be a fraction below 1 or a whole number of items, got {}", name, wanted);
  // More than there are is refused by the caller; the cut keeps the sum an integer.
  if (wanted >= 1) return static_cast<int64_t>(std::min(wanted, 1e15));
  return wanted > 0 ? std::max<int64_t>(1, std::llround(wanted * static_cast<double>(n))) : 0;
}

/// The items in their new order: training, validation, test; each part in the order of the file.
Tensor new_order(int64_t n, int64_t validation, int64_t test, const DataOptions& options) {
  if (options.split == DataOptions::Split::tail) return at::arange(n, at::kLong);
  const Tensor order = Rng(options.seed).fold("split").permutation(n);
  const auto part = [&](int64_t start, int64_t count) { return std::get<0>(order.narrow(0, start, count).sort()); };
  return at::cat({part(test + validation, n - test - validation), part(test, validation), part(0, test)});
}

/// Puts the rows of `column` in the order kept, held. `kept` is ascending, so rows only ever move towards the front.
void reorder_rows(const Tensor& column, const Tensor& kept, const Tensor& held) {
  const Tensor aside = column.index_select(0, held);
  char* const base = static_cast<char*>(column.data_ptr());
  const auto row_bytes = static_cast<int64_t>(column.nbytes()) / column.size(0);
  const int64_t* from = kept.data_ptr<int64_t>();
  for (int64_t to = 0; to < kept.numel(); ++to)
    if (from[to] != to) std::memcpy(base + to * row_bytes, base + from[to] * row_bytes, row_bytes);
  column.narrow(0, kept.numel(), held.numel()).copy_(aside);
}

/// The rows of `column` in this order: where they are many in a file of their own, since the column may be a file that
/// is never written to and a second copy may not fit into memory; else in place.
Tensor in_order(Tensor column, const Tensor& order, int64_t num_kept) {
  if (static_cast<int64_t>(column.nbytes()) < kLargeFile) {
    reorder_rows(column, order.narrow(0, 0, num_kept), order.narrow(0, num_kept, order.numel() - num_kept));
    return column;
  }
  Tensor ordered = temporary_tensor(column.sizes().vec(), column.scalar_type(), "the data set");
  at::index_select_out(ordered, column, 0, order);
  return ordered;
}

/// Neighbouring items as a data set of their own, on the same storage.
Dataset part(const Dataset& all, int64_t start, int64_t count) {
  if (all.offsets.defined()) return all.subset(at::arange(start, start + count, at::kLong));
  Dataset result = all;
  for (auto& [name, column] : result.columns) column = column.narrow(0, start, count);
  if (all.index.defined()) result.index = all.index.narrow(0, start, count);
  if (all.weight.defined()) result.weight = all.weight.narrow(0, start, count);
  result.size = count;
  return result;
}

}  // namespace

Splits hold_out(Dataset all, const DataOptions& options) {
  const int64_t n = all.size;
  const int64_t validation = num_held(options.validation, n, "data.validation");
  const int64_t test = num_held(options.test, n, "data.test");
  if (validation + test >= n)
    fail<ConfigError>(
        "data.validation and data.test hold out {} + {} of {} items; at least one must be left to train on", validation,
        test, n);
  const int64_t train = n - validation - test;
  if (train < n && all.offsets.defined()) {  // rows move with their items, into a second copy, on disk if it is large
    all = all.subset(new_order(n, validation, test, options));
  } else if (train < n) {
    all.index = new_order(n, validation, test, options);
    if (all.weight.defined()) all.weight = all.weight.index_select(0, all.index);
    if (options.split == DataOptions::Split::random)
      for (auto& entry : all.columns) entry.second = in_order(entry.second, all.index, train);
  }
  return {part(all, 0, train), part(all, train, validation), part(all, train + validation, test)};
}

}  // namespace vem
