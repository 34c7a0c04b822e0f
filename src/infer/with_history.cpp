// Rows beside those before them, for observations that depend on earlier rows of a sequence.
#include <limits>

#include "vem/infer/factored.h"

namespace vem {

Tensor with_history(const RowReader& rows, const Tensor& offsets, int64_t begin, int64_t end, int64_t lags) {
  if (lags == 0) return rows(begin, end);
  const int64_t first = std::max<int64_t>(0, begin - lags);
  const Tensor x = rows(first, end), row = at::arange(begin, end, at::kLong);
  const Tensor item = at::searchsorted(offsets, row, /*out_int32=*/false, /*right=*/true) - 1;
  const Tensor place = row - offsets.index_select(0, item);
  std::vector<Tensor> parts{x.slice(0, begin - first)};
  for (int64_t lag = 1; lag <= lags; ++lag)
    parts.push_back(x.index_select(0, (row - first - lag).clamp_min(0))
                        .masked_fill(place.lt(lag).unsqueeze(-1), std::numeric_limits<double>::quiet_NaN()));
  return at::cat(parts, 1);
}

}  // namespace vem
