#include "vem/infer/likelihood.h"

#include "vem/core/missing.h"

namespace vem {

Tensor IndependentLikelihood::log_prob(const Tensor& outputs, const Tensor& x) const {
  if (!has_missing(x)) return log_prob_rows(outputs, x);
  const Tensor missing = x.isnan();
  return log_prob_cells(outputs, x.masked_fill(missing, 0)).masked_fill(missing, 0).sum(-1);  // 0 is in every support
}

Tensor IndependentLikelihood::parameter(const Tensor& outputs, int64_t i, int64_t count) {
  return count == 1 ? outputs : outputs.chunk(count, -1)[static_cast<size_t>(i)];
}

}  // namespace vem
