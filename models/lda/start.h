// Where topics begin: clusters of documents. From there variational inference ends in better optima than from topics
// that are all nearly equal, where the first sweeps decide by chance which topics merge.
#pragma once

#include "vem/data/dataset.h"

namespace vem {

/// Word weights [K, V] float64, rows sum to one, of a clustering of documents by a mixture of unigrams (Nigam et al.
/// 2000), each half and half with the weights of the whole corpus. It begins at K documents that are far apart in
/// Hellinger distance, drawn as in k-means++, the best of some draws at a time (Arthur and Vassilvitskii 2007, section
/// 7), and goes on by hard EM. The likeliest of `restarts` clusterings of 4,000 documents is taken, and refined by
/// 20,000 at most, fewer if they are long. Clusters that are one too many for the documents equal the corpus or another
/// cluster.
Tensor cluster_documents(const Dataset& documents, int64_t num_clusters, int64_t restarts, const Rng& rng);

}  // namespace vem
