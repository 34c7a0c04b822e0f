// k-means++ seeding (Arthur and Vassilvitskii 2007, section 2.2) and Lloyd's iterations, by fixed chunks of rows.
#include "vem/infer/kmeans.h"

#include <limits>

#include "row_groups.h"
#include "vem/core/error.h"

namespace vem {
namespace {

/// [n, K]: |c|^2 - 2 x.c, the squared distance less |x|^2, which is the same for every centre.
Tensor shifted_distances(const Tensor& x, const Tensor& centers) {
  return at::addmm((centers * centers).sum(-1), x, centers.t(), 1, -2);
}

/// Squared distances [N] of every row to its own centre.
Tensor distances(const Tensor& x, const Tensor& centers, const Tensor& labels) {
  return (x - centers.index_select(0, labels)).square().sum(-1);
}

/// A row drawn with probability in proportion to mass [N], by the inverse of the cumulative sum; -1 if all is zero.
int64_t draw(const Tensor& mass, double uniform) {
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
  Tensor nearest = at::full({x.size(0)}, std::numeric_limits<double>::infinity(), at::kDouble),
         mass = weight.contiguous();
  std::vector<Tensor> centers;
  for (int64_t k = 0; k < K; ++k) {
    const int64_t row = draw(mass, uniform[k].item<double>());
    if (row < 0) fail<DataError>("k-means: {} distinct rows are too few for {} clusters", k, K);
    centers.push_back(x[row]);
    nearest = at::minimum(nearest, (x - centers.back()).square().sum(-1));
    mass = weight * nearest;
  }
  return at::stack(centers);
}

/// Weighted sums of the rows [K, D] and weights [K, 1] of each cluster, side by side.
Tensor cluster_sums(const Tensor& x, const Tensor& weight, const Tensor& labels, int64_t K) {
  return sum_chunks(x.size(0), at::zeros({K, x.size(1) + 1}, at::kDouble), [&](int64_t begin, int64_t end) {
    const Tensor w = weight.slice(0, begin, end).unsqueeze(-1), rows = at::cat({x.slice(0, begin, end) * w, w}, 1);
    return at::zeros({K, x.size(1) + 1}, at::kDouble).index_add(0, labels.slice(0, begin, end), rows);
  });
}

/// Means of the clusters; one that has lost its rows moves to the row that lies farthest from its own centre.
Tensor updated(const Tensor& x, const Tensor& weight, const Tensor& centers, const Tensor& labels) {
  const Tensor sums = cluster_sums(x, weight, labels, centers.size(0)), mass = sums.narrow(1, x.size(1), 1);
  const Tensor empty = (mass.squeeze(1) <= 0).nonzero().squeeze(1), means = sums.narrow(1, 0, x.size(1)) / mass;
  if (empty.numel() == 0) return means;
  const Tensor far = at::where(weight > 0, distances(x, centers, labels), at::zeros_like(weight));
  return means.index_copy(0, empty, x.index_select(0, std::get<1>(far.topk(empty.numel()))));
}

}  // namespace

Tensor nearest_center(const Tensor& x, const Tensor& centers) {
  at::NoGradGuard no_grad;
  const int64_t N = x.size(0), chunks = (N + kRowsPerChunk - 1) / kRowsPerChunk;
  const Tensor labels = at::empty({N}, at::kLong);
  map_groups(chunks, num_groups(chunks, 1), [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      const int64_t begin = c * kRowsPerChunk, end = std::min(N, begin + kRowsPerChunk);
      labels.slice(0, begin, end).copy_(shifted_distances(x.slice(0, begin, end), centers).argmin(1));
    }
    return 0;
  });
  return labels;
}

KMeans kmeans(const Tensor& x, const Tensor& weight, int64_t num_clusters, const Rng& rng, int64_t max_iterations) {
  at::NoGradGuard no_grad;
  Tensor centers = seeds(x, weight, num_clusters, rng), labels = nearest_center(x, centers);
  for (int64_t i = 0; i < max_iterations; ++i) {
    centers = updated(x, weight, centers, labels);
    const Tensor next = nearest_center(x, centers);
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
