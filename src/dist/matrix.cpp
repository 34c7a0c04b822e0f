#include "matrix.h"

#include "vem/core/error.h"

namespace vem {
namespace {

int64_t order_of(const Tensor& packed) {  // D (D + 1) / 2 = n
  return std::llround((std::sqrt(8. * static_cast<double>(packed.size(-1)) + 1) - 1) / 2);
}

/// 2 off the diagonal and 1 on it, packed.
Tensor multiplicity(int64_t D, const at::TensorOptions& options) {
  const Tensor ij = at::triu_indices(D, D, 0, at::kLong);
  return 1 + (ij[0] != ij[1]).to(options.dtype());
}

}  // namespace

Tensor cholesky(const Tensor& matrix, const char* where, const char* argument) {
  const auto [factor, info] = at::linalg_cholesky_ex(matrix);
  if (info.any().item<bool>())
    fail<NumericError>("{}: {} must be positive definite, that of batch member {} is not", where, argument,
                       info.reshape({-1}).gt(0).to(at::kLong).argmax().item<int64_t>());
  return factor;
}

Tensor half_log_det(const Tensor& cholesky) { return cholesky.diagonal(0, -2, -1).log().sum(-1); }

Tensor solve(const Tensor& cholesky, const Tensor& v, bool transposed) {
  return at::linalg_solve_triangular(transposed ? cholesky.transpose(-2, -1) : cholesky, v.unsqueeze(-1), transposed)
      .squeeze(-1);
}

Tensor outer(const Tensor& v) { return v.unsqueeze(-1) * v.unsqueeze(-2); }

Tensor product(const Tensor& matrix, const Tensor& v) { return at::matmul(matrix, v.unsqueeze(-1)).squeeze(-1); }

Tensor inverse_from(const Tensor& cholesky) {
  const Tensor root = at::linalg_solve_triangular(cholesky, at::eye(cholesky.size(-1), cholesky.options()), false);
  return at::matmul(root.transpose(-2, -1), root);
}

Tensor packed(const Tensor& matrix) {
  const int64_t D = matrix.size(-1);
  const Tensor ij = at::triu_indices(D, D, 0, at::kLong);
  return matrix.flatten(-2).index_select(-1, ij[0] * D + ij[1]);
}

Tensor packed_dual(const Tensor& matrix) { return packed(matrix) * multiplicity(matrix.size(-1), matrix.options()); }

Tensor unpacked(const Tensor& packed) {
  const int64_t D = order_of(packed);
  const Tensor ij = at::triu_indices(D, D, 0, at::kLong), place = at::arange(packed.size(-1), at::kLong);
  const Tensor positions = at::zeros({D * D}, at::kLong).index_copy(0, ij[0] * D + ij[1], place).view({D, D});
  const Tensor source = positions.triu() + positions.triu(1).t();
  return packed.index_select(-1, source.flatten()).unflatten(-1, {D, D});
}

Tensor unpacked_dual(const Tensor& packed) {
  return unpacked(packed / multiplicity(order_of(packed), packed.options()));
}

}  // namespace vem
