// Linear algebra on batches of small matrices that the normal and Wishart families share.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// The lower Cholesky factor; NumericError "where: argument must be positive definite, that of batch member i is not".
Tensor cholesky(const Tensor& matrix, const char* where, const char* argument);
/// Half the log-determinant of L L' [...].
Tensor half_log_det(const Tensor& cholesky);
/// L^-1 v [..., D] of L [..., D, D], v [..., D]; with `transposed` L'^-1 v.
Tensor solve(const Tensor& cholesky, const Tensor& v, bool transposed = false);
/// v v' [..., D, D].
Tensor outer(const Tensor& v);
/// A v [..., D].
Tensor product(const Tensor& matrix, const Tensor& v);
/// (L L')^-1.
Tensor inverse_from(const Tensor& cholesky);

/// The upper triangle by rows [..., D (D + 1) / 2] of symmetric matrices [..., D, D], and back. packed_dual() doubles
/// what is off the diagonal, so that <packed(A), packed_dual(B)> = tr(A B).
Tensor packed(const Tensor& matrix);
Tensor packed_dual(const Tensor& matrix);
Tensor unpacked(const Tensor& packed);
Tensor unpacked_dual(const Tensor& packed);

}  // namespace vem
