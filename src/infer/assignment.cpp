// Shortest augmenting paths, one row after the other; u and v are the potentials.
#include "vem/infer/assignment.h"

#include "vem/core/error.h"
#include "vem/core/infinity.h"

namespace vem {

std::vector<int64_t> assignment(const Tensor& costs) {
  const auto n = static_cast<size_t>(costs.size(0));
  const Tensor contiguous = costs.to(at::kDouble).contiguous();
  if (!contiguous.isfinite().all().item<bool>()) fail<Error>("assignment: a cost is not finite");
  const double* c = contiguous.data_ptr<double>();
  std::vector<double> u(n + 1), v(n + 1);
  std::vector<size_t> row(n + 1), way(n + 1);  // of column j: its row, the column before it; 0 is a root
  for (size_t i = 1; i <= n; ++i) {
    row[0] = i;
    size_t j0 = 0;
    std::vector<double> least(n + 1, kInfinity);
    std::vector<bool> used(n + 1, false);
    do {
      used[j0] = true;
      size_t next = 0;
      double delta = kInfinity;
      for (size_t j = 1; j <= n; ++j) {
        if (used[j]) continue;
        const double reduced = c[(row[j0] - 1) * n + j - 1] - u[row[j0]] - v[j];
        if (reduced < least[j]) least[j] = reduced, way[j] = j0;
        if (least[j] < delta) delta = least[j], next = j;
      }
      for (size_t j = 0; j <= n; ++j)
        if (used[j])
          u[row[j]] += delta, v[j] -= delta;
        else
          least[j] -= delta;
      j0 = next;
    } while (row[j0] != 0);
    for (; j0 != 0; j0 = way[j0]) row[j0] = row[way[j0]];
  }
  std::vector<int64_t> column(n);
  for (size_t j = 1; j <= n; ++j) column[row[j] - 1] = static_cast<int64_t>(j) - 1;
  return column;
}

}  // namespace vem
