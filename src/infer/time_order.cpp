#include "vem/infer/time_order.h"

#include <algorithm>

namespace vem {

TimeOrder::TimeOrder(const Tensor& offsets) {
  const Tensor ends = offsets.contiguous();
  const int64_t* begin = ends.data_ptr<int64_t>();
  const auto length = [&](int64_t i) { return begin[i + 1] - begin[i]; };
  std::vector<int64_t> items, rows;
  for (int64_t i = 0; i + 1 < ends.size(0); ++i)
    if (length(i) > 0) items.push_back(i);
  std::stable_sort(items.begin(), items.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  for (size_t left = items.size(), t = 0; left > 0; ++t) {
    while (left > 0 && length(items[left - 1]) <= static_cast<int64_t>(t)) --left;
    if (left > 0) sizes.push_back(static_cast<int64_t>(left));
    for (size_t i = 0; i < left; ++i) rows.push_back(begin[items[i]] - begin[0] + static_cast<int64_t>(t));
  }
  row = at::tensor(rows, at::kLong);
  item = at::tensor(items, at::kLong);
}

Tensor previous_rows(const Tensor& offsets) {
  const Tensor begin = offsets.slice(0, 0, -1) - offsets[0];
  const int64_t rows = (offsets[-1] - offsets[0]).item<int64_t>();
  const Tensor before = at::arange(-1, rows - 1, at::kLong);
  const Tensor firsts = begin.masked_select(offsets.diff() > 0);
  return before.index_fill(0, firsts, rows);
}

}  // namespace vem
