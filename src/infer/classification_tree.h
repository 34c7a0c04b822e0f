// Thresholds on single dimensions that tell classes apart: which dimensions that takes, and how often it is right.
// A tree is grown greedily by the fall of entropy and cut by the rule of one standard error (Breiman, Friedman, Olshen
// and Stone 1984, section 3.4.3), so nothing is left to choose. Legend: N items, L dimensions.
#pragma once

#include "vem/core/types.h"

namespace vem {

struct LabelledRows {
  Tensor x;      ///< [N, L] float64
  Tensor label;  ///< [N] int64, from 0
};

struct TreeFit {
  Tensor importance;  ///< [L] float64: the share of all splits' fall of entropy; sums to 1, or 0 where no split helps
  double accuracy;    ///< share of held-out items whose class is predicted
};

/// Of trees at most 16 deep, the smallest whose accuracy on `held_out` is within a standard error of the best. Where
/// two splits are equally good, the earlier dimension is taken.
TreeFit classification_tree(const LabelledRows& train, const LabelledRows& held_out);

}  // namespace vem
