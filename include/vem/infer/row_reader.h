// Rows that are formed when they are asked for, so that they need not stand in memory.
#pragma once

#include <functional>

#include "vem/core/types.h"

namespace vem {

/// Rows begin .. end as [end - begin, D]; called from several threads. A tensor reads its own rows.
class RowReader : public std::function<Tensor(int64_t begin, int64_t end)> {
 public:
  using function::function;
  RowReader(const Tensor& x) : function([x](int64_t begin, int64_t end) { return x.slice(0, begin, end); }) {}
};

}  // namespace vem
