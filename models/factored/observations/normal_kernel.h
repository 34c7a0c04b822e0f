// What the full and the diagonal normal share: K quadratic forms, and the E-step's two ways to evaluate them.
// Legend: N rows, D features, K components, F features of a row: 1 + D + D (D + 1) / 2 (full) or 1 + 2 D (diagonal).
#pragma once

#include <memory>

#include "vem/infer/observation.h"

namespace vem {

/// offset_k - |R_k' (x - mean_k)|^2 / 2.
struct QuadraticForm {
  Tensor mean;    ///< [K, D]
  Tensor root;    ///< R: [K, D, D] with R R' the precision, or [K, D] where it is diagonal
  Tensor offset;  ///< [K]

  bool full() const { return root.dim() == 3; }
  Tensor whitened(const Tensor& x) const;  ///< R_k' (x - mean_k) for rows [N, D]: [K, N, D]
  Tensor log_lik(const Tensor& x) const;   ///< [N, K], one component after the other
};

/// log_lik by one product of moments of rows with weights [K, F], float32 or float64 (see moment_product.h). A third of
/// the work of residuals, but terms as large as the squared distance of a component from the origin cancel.
std::unique_ptr<const RowKernel> packed_kernel(const Tensor& weights, bool full);
/// The same sums in float64, log_lik by whitened residuals: for components that lie far from the origin.
std::unique_ptr<const RowKernel> residual_kernel(const Tensor& weights, const QuadraticForm& form);

}  // namespace vem
