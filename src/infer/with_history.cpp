// Rows beside those before them, for observations that depend on earlier rows of a sequence.
#include <limits>

#include "vem/infer/factored.h"

namespace vem {
namespace {

/// x [end - first, D] are the rows from `first` on of all rows, and those that are asked for [n] are its last ones.
Tensor beside_history(const Tensor& x, const Tensor& row, int64_t first, int64_t begin, const Tensor& offsets,
                      int64_t lags) {
  const Tensor item = at::searchsorted(offsets, row, /*out_int32=*/false, /*right=*/true) - 1;
  const Tensor place = row - offsets.index_select(0, item);
  std::vector<Tensor> parts{x.slice(0, begin - first)};
  for (int64_t lag = 1; lag <= lags; ++lag)
    parts.push_back(x.index_select(0, (row - first - lag).clamp_min(0))
                        .masked_fill(place.lt(lag).unsqueeze(-1), std::numeric_limits<double>::quiet_NaN()));
  return at::cat(parts, 1);
}

}  // namespace

Tensor with_history(const RowReader& rows, const Tensor& offsets, int64_t begin, int64_t end, int64_t lags) {
  if (lags == 0) return rows(begin, end);
  const int64_t first = std::max<int64_t>(0, begin - lags);
  return beside_history(rows(first, end), at::arange(begin, end, at::kLong), first, begin, offsets, lags);
}

Tensor with_history(const Tensor& x, const Tensor& offsets, int64_t lags) {
  const Tensor row = at::ones_like(x.select(1, 0), x.options().dtype(at::kLong)).cumsum(0) - 1;
  return beside_history(x, row, 0, 0, offsets, lags);
}

}  // namespace vem
