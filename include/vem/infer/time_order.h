// Rows of ragged items in the order of time: what loops over time and recurrent networks go through.
#pragma once

#include <vector>

#include "vem/core/types.h"

namespace vem {

/// The first rows of all items, then the second ones of those that have one, and so on; the longest item first.
struct TimeOrder {
  /// offsets [items + 1] int64, ascending.
  explicit TimeOrder(const Tensor& offsets);
  Tensor row;                  ///< [rows] int64: where each row in this order stands in the batch
  Tensor item;                 ///< [items of one row at least] int64, the longest first
  std::vector<int64_t> sizes;  ///< how many items have such a row, by step
  /// [rows] int64: the place in this order of each row of the batch.
  Tensor place() const { return row.argsort(); }
  bool empty() const { return sizes.empty(); }
};

/// [rows] int64: the row before it in its item; the number of rows for the first one of an item.
Tensor previous_rows(const Tensor& offsets);

}  // namespace vem
