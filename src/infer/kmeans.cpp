// k-means++ seeding (Arthur and Vassilvitskii 2007, section 2.2) and Lloyd's iterations, by fixed chunks of rows. Where
// cells are missing, a distance is D times the mean of the squares over the cells that are there, and a centre is the
// mean of them.
#include "vem/infer/kmeans.h"

#include "row_groups.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/core/missing.h"

namespace vem {
namespace {

Tensor there(const Tensor& x) { return x.isnan().logical_not().to(at::kDouble); }
Tensor without_gaps(const Tensor& x) { return at::where(x.isnan(), at::zeros_like(x), x); }

/// [n, K]: |c|^2 - 2 x.c, the squared distance less |x|^2, which is the same for every centre. With gaps: over the
/// cells of a row that are there, and not yet in proportion to their number, which is the same for every centre too.
Tensor shifted_distances(const Tensor& x, const Tensor& centers) {
  if (has_missing(x)) return at::mm(there(x), centers.square().t()) - 2 * at::mm(without_gaps(x), centers.t());
  return at::addmm((centers * centers).sum(-1), x, centers.t(), 1, -2);
}

/// Sums of squared differences [N], scaled up for the cells that are missing.
Tensor square_sums(const Tensor& difference) {
  if (!has_missing(difference)) return difference.square().sum(-1);
  const auto D = static_cast<double>(difference.size(-1));
  return without_gaps(difference).square().sum(-1) * (D / there(difference).sum(-1).clamp_min(1));
}

/// Squared distances [N] of every row to its own centre.
Tensor distances(const Tensor& x, const Tensor& centers, const Tensor& labels) {
  return square_sums(x - centers.index_select(0, labels));
}

/// Weighted means of the columns [D] over the cells that are there.
Tensor column_means(const Tensor& x, const Tensor& weight) {
  return on_one_thread([&] { return at::mv(without_gaps(x).t(), weight) / at::mv(there(x).t(), weight); });
}

/// A row drawn with probability in proportion to mass [N], by the inverse of the cumulative sum; -1 if all is zero.
int64_t draw_row(const Tensor& mass, double uniform) {
  const double* m = mass.data_ptr<double>();
  double total = 0, sum = 0;
  for (int64_t i = 0; i < mass.numel(); ++i) total += m[i];
  int64_t last = -1;
  for (int64_t i = 0; i < mass.numel(); ++i) {
    if (m[i] <= 0) continue;
    last = i;
    sum += m[i];
    if (sum > uniform * total) break;
  }
  return last;
}

Tensor seeds(const Tensor& x, const Tensor& weight, int64_t K, const Rng& rng) {
  const Tensor uniform = rng.uniform(at::arange(K, at::kLong), {}, "k-means++");
  Tensor nearest = at::full({x.size(0)}, kInfinity, at::kDouble), mass = weight.contiguous();
  const bool gaps = has_missing(x);
  const Tensor fallback = gaps ? column_means(x, weight) : Tensor();  // of the cells that a seed lacks
  std::vector<Tensor> centers;
  for (int64_t k = 0; k < K; ++k) {
    const int64_t row = draw_row(mass, uniform[k].item<double>());
    if (row < 0) fail<DataError>("k-means: {} distinct rows are too few for {} clusters", k, K);
    centers.push_back(gaps ? at::where(x[row].isnan(), fallback, x[row]) : x[row]);
    nearest = at::minimum(nearest, square_sums(x - centers.back()));
    mass = weight * nearest;
  }
  return at::stack(centers);
}

/// Weighted sums of the cells [K, D], weights of the cells that are there [K, D], and weights of the rows [K, 1] of
/// each cluster, side by side.
Tensor cluster_sums(const Tensor& x, const Tensor& weight, const Tensor& labels, int64_t K) {
  const Tensor zero = at::zeros({K, 2 * x.size(1) + 1}, at::kDouble);
  return sum_chunks(x.size(0), zero, [&](int64_t begin, int64_t end) {
    const Tensor rows = x.slice(0, begin, end), w = weight.slice(0, begin, end).unsqueeze(-1);
    const Tensor weighted = at::cat({without_gaps(rows) * w, there(rows) * w, w}, 1);
    return zero.index_add(0, labels.slice(0, begin, end), weighted);
  });
}

/// Means of the clusters; one that has lost its rows moves to the row that lies farthest from its own centre.
Tensor updated(const Tensor& x, const Tensor& weight, const Tensor& centers, const Tensor& labels) {
  const int64_t D = x.size(1);
  const Tensor sums = cluster_sums(x, weight, labels, centers.size(0)), cells = sums.narrow(1, D, D);
  const Tensor empty = (sums.select(1, 2 * D) <= 0).nonzero().squeeze(1);
  const Tensor means = at::where(cells > 0, sums.narrow(1, 0, D) / cells, centers);
  if (empty.numel() == 0) return means;
  const Tensor far = at::where(weight > 0, distances(x, centers, labels), at::zeros_like(weight));
  const Tensor moved = x.index_select(0, std::get<1>(far.topk(empty.numel())));
  return means.index_copy(0, empty, at::where(moved.isnan(), centers.index_select(0, empty), moved));
}

}  // namespace

Tensor nearest_center(const RowReader& rows, int64_t num_rows, const Tensor& centers) {
  at::NoGradGuard no_grad;
  const int64_t N = num_rows, chunks = (N + kRowsPerChunk - 1) / kRowsPerChunk;
  const Tensor labels = at::empty({N}, at::kLong);
  map_groups(chunks, num_groups(chunks, 1), [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      const int64_t begin = c * kRowsPerChunk, end = std::min(N, begin + kRowsPerChunk);
      labels.slice(0, begin, end).copy_(shifted_distances(rows(begin, end), centers).argmin(1));
    }
    return 0;
  });
  return labels;
}

KMeans kmeans(const Tensor& x, const Tensor& weight, int64_t num_clusters, const Rng& rng, int64_t max_iterations) {
  at::NoGradGuard no_grad;
  Tensor centers = seeds(x, weight, num_clusters, rng), labels = nearest_center(x, x.size(0), centers);
  for (int64_t i = 0; i < max_iterations; ++i) {
    centers = updated(x, weight, centers, labels);
    const Tensor next = nearest_center(x, x.size(0), centers);
    const bool settled = at::equal(next, labels);
    labels = next;
    if (settled) break;
  }
  const Tensor inertia = sum_chunks(x.size(0), at::zeros({}, at::kDouble), [&](int64_t begin, int64_t end) {
    return (distances(x.slice(0, begin, end), centers, labels.slice(0, begin, end)) * weight.slice(0, begin, end))
        .sum();
  });
  return {centers, labels, inertia.item<double>()};
}

}  // namespace vem
