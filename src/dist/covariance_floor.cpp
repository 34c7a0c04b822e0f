// Clipping of eigenvalues; a Cholesky factorisation tells cheaply whether there is anything to clip.
#include "covariance_floor.h"

namespace vem {

Tensor below_floor(const Tensor& covariance, double floor) {
  const Tensor shifted = covariance - floor * at::eye(covariance.size(-1), covariance.options());
  return std::get<1>(at::linalg_cholesky_ex(shifted)) > 0;
}

Tensor floored(const Tensor& covariance, double floor) {
  const Tensor rows = below_floor(covariance, floor).nonzero().squeeze(-1);
  if (floor == 0 || rows.numel() == 0) return covariance;
  const auto [values, vectors] = at::linalg_eigh(covariance.index_select(0, rows));
  const Tensor clipped = at::matmul(vectors * values.clamp_min(floor).unsqueeze(-2), vectors.transpose(-2, -1));
  return covariance.index_copy(0, rows, 0.5 * (clipped + clipped.transpose(-2, -1)));
}

}  // namespace vem
