// k-means++ seeding (Arthur and Vassilvitskii 2007) and Lloyd's iterations: starts for mixtures. Pure functions.
#pragma once

#include "vem/core/rng.h"
#include "vem/infer/row_reader.h"

namespace vem {

struct KMeans {
  Tensor centers;      ///< [K, D] float64
  Tensor labels;       ///< [N] int64
  double inertia = 0;  ///< weighted sum of squared distances to the nearest centre
};

/// Clusters rows x [N, D] float64 with weights [N]; NaN marks missing cells, of which no column may lack all. An
/// emptied cluster is moved to the row farthest from its centre. Throws DataError if there are fewer distinct rows than
/// clusters. The same bits for any number of threads.
KMeans kmeans(const Tensor& x, const Tensor& weight, int64_t num_clusters, const Rng& rng,
              int64_t max_iterations = 100);
/// The index of the nearest centre [K, D] for each of so many rows: [N] int64, the first of equals.
Tensor nearest_center(const RowReader& rows, int64_t num_rows, const Tensor& centers);

}  // namespace vem
