// How far each factor that data were made of has a latent dimension of its own. Pure functions of codes z, the
// posterior means of items, and of the items' known factors, with the choices of Locatello et al. 2019 (ICML) unless
// said otherwise: estimates from thousands of items. All scores are in [0, 1], and neither the order of dimensions nor
// their sign and scale matter (but for ties and edges of bins). Legend: N items, L dimensions, F factors.
#pragma once

#include <string>
#include <vector>

#include "vem/core/rng.h"
#include "vem/core/types.h"

namespace vem {

/// What items were made of: each factor has one of few values for an item.
struct Factors {
  std::vector<std::string> names;
  Tensor values;   ///< [N, F] int64, from 0: which value
  Tensor numbers;  ///< [N, F] float64: the value as a number; NaN for a factor whose values are words
};

/// All of these take z [N, L] floating, and throw DataError for: shapes that differ, z that is not finite, fewer than
/// two factors, a factor with one value only, or with more values than half of the items.

/// MIG: the mean over factors of (I(z_a; v) - I(z_b; v)) / H(v) for the two dimensions with the most information (Chen
/// et al. 2018, equation 6). z is cut into 20 bins of equal width, so it is the information in the mean of q; in
/// samples of q, which Chen et al. take, there is less.
double mutual_information_gap(const Tensor& z, const Factors& factors);

/// SAP: the mean over factors of the difference between the best two dimensions' scores (Kumar, Sattigeri and
/// Balakrishnan 2018): the squared correlation for numbers; for words the balanced accuracy of the best class for each
/// of 20 bins of equal width, which is at best 1 - 1 / values above that of a constant dimension.
double attribute_predictability(const Tensor& z, const Factors& factors);

/// From trees that predict one factor each (Eastwood and Williams 2018, with a tree where they have forests), grown on
/// a random half of the items and judged on the other. Importance is a dimension's share of the fall of entropy.
struct DciScores {
  double disentanglement;  ///< 1 if each dimension serves one factor; weighted by importance
  double completeness;     ///< 1 if each factor needs one dimension; factors that can not be predicted count 0
  double informativeness;  ///< share of the other half's values that are predicted
};
DciScores dci_scores(const Tensor& z, const Factors& factors, const Rng& rng);

/// The FactorVAE score (Kim and Mnih 2018): how often the dimension that varies least, relative to its deviation over
/// all items, tells which factor was the same in a group of 64 items drawn with replacement. 10,000 groups say which
/// factor a dimension stands for, 5,000 more are guessed. 0 where no dimension varies.
double factor_vae_score(const Tensor& z, const Factors& factors, const Rng& rng);

}  // namespace vem
