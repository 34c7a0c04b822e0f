#include "vem/core/missing.h"

#include "vem/core/target_clones.h"

namespace vem {
namespace {

template <class T>
VEM_INLINE int64_t count(const T* x, int64_t numbers) {
  int64_t found = 0;
#pragma omp simd reduction(+ : found)
  for (int64_t i = 0; i < numbers; ++i) found += x[i] != x[i] ? 1 : 0;
  return found;
}
VEM_CLONES int64_t count_nan(const float* x, int64_t numbers) { return count(x, numbers); }
VEM_CLONES int64_t count_nan(const double* x, int64_t numbers) { return count(x, numbers); }

}  // namespace

bool has_missing(const Tensor& x) {
  if (!x.is_floating_point()) return false;
  const Tensor rows = x.detach().contiguous();
  if (rows.scalar_type() == at::kFloat) return count_nan(rows.data_ptr<float>(), rows.numel()) > 0;
  const Tensor wide = rows.to(at::kDouble);
  return count_nan(wide.data_ptr<double>(), wide.numel()) > 0;
}

}  // namespace vem
