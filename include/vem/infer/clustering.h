// How well clusters agree with classes, whatever their names.
#pragma once

#include "vem/core/types.h"

namespace vem {

struct ClusteringScores {
  double accuracy;  ///< share of items in the class that their cluster goes with, one to one (Hungarian method)
  double mutual_information;  ///< normalised by the mean of both entropies, in [0, 1]; 1 where both are one group
  double rand_index;  ///< adjusted for chance: 0 on average for clusters at random, 1 if equal (Hubert and Arabie 1985)
};

/// clusters, classes [items] int64, from 0; items of class -1 are left out. Throws DataError where none is left or
/// shapes differ.
ClusteringScores clustering_scores(const Tensor& clusters, const Tensor& classes);

}  // namespace vem
