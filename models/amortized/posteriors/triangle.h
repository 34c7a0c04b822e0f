// A strictly lower triangle of numbers that a network gives row by row.
#pragma once

#include "vem/core/types.h"

namespace vem {

class Triangle {
 public:
  explicit Triangle(int64_t size);
  int64_t numel() const { return size_ * (size_ - 1) / 2; }
  /// values [..., numel] -> [..., size, size], zero on and above the diagonal.
  Tensor operator()(const Tensor& values) const;

 private:
  int64_t size_;
  Tensor above_, place_;  // [size, size] what is not below the diagonal; [size * size] where the rest stands
};

}  // namespace vem
