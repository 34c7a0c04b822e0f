#include "triangle.h"

namespace vem {

Triangle::Triangle(int64_t size) : size_(size) {
  const Tensor row = at::arange(size, at::kLong).unsqueeze(1), column = row.t();
  above_ = row <= column;
  place_ = at::where(above_, at::zeros_like(row), row * (row - 1) / 2 + column).to(at::kLong).flatten();
}

Tensor Triangle::operator()(const Tensor& values) const {
  if (size_ == 1) return at::zeros({1, 1}, values.options());
  return values.index_select(-1, place_).unflatten(-1, {size_, size_}).masked_fill(above_, 0);
}

}  // namespace vem
