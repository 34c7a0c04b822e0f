#include "vem/infer/clustering.h"

#include "vem/core/error.h"
#include "vem/infer/assignment.h"

namespace vem {
namespace {

/// Items in each cluster and class, [n, n] float64: n is the larger number of groups.
Tensor contingency(const Tensor& clusters, const Tensor& classes) {
  const int64_t n = at::maximum(clusters.max(), classes.max()).item<int64_t>() + 1;
  return (clusters * n + classes).bincount({}, n * n).view({n, n}).to(at::kDouble);
}

double entropy(const Tensor& shares) { return -at::xlogy(shares, shares).sum().item<double>(); }

double pairs(const Tensor& counts) { return (counts * (counts - 1) / 2).sum().item<double>(); }

}  // namespace

ClusteringScores clustering_scores(const Tensor& clusters, const Tensor& classes) {
  if (clusters.sizes() != classes.sizes() || clusters.dim() != 1)
    fail<DataError>("clustering: clusters and classes must be two vectors of one length, got {} and {} numbers",
                    clusters.numel(), classes.numel());
  const Tensor known = (classes >= 0).nonzero().view({-1});
  if (known.numel() == 0) fail<DataError>("clustering: no item has a class");
  const Tensor table = contingency(clusters.index_select(0, known), classes.index_select(0, known));
  const double n = static_cast<double>(known.numel());

  const std::vector<int64_t> class_of = assignment(-table);
  double right = 0;
  for (size_t i = 0; i < class_of.size(); ++i) right += table[static_cast<int64_t>(i)][class_of[i]].item<double>();

  const double of_clusters = entropy(table.sum(1) / n), of_classes = entropy(table.sum(0) / n);
  const double shared = of_clusters + of_classes - entropy(table / n);
  const double normalizer = (of_clusters + of_classes) / 2;

  const double together = pairs(table), in_clusters = pairs(table.sum(1)), in_classes = pairs(table.sum(0));
  const double expected = n > 1 ? in_clusters * in_classes / (n * (n - 1) / 2) : 0;
  const double most = (in_clusters + in_classes) / 2;
  return {right / n, normalizer > 0 ? std::max(0.0, shared) / normalizer : 1,
          most > expected ? (together - expected) / (most - expected) : 1};
}

}  // namespace vem
