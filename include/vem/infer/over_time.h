// Loops over the rows of items, for values that depend on the row before. Only draws need such a loop: densities of all
// rows are evaluated at once when all draws are there.
#pragma once

#include <functional>

#include "vem/infer/graph.h"

namespace vem {

/// What a value reads at one step of the loop.
struct TimeStep {
  std::vector<Tensor> inputs;  ///< of each list of names, side by side [S, n, C]; n items have such a row
  Tensor row;                  ///< [n] int64: where these rows stand in the batch
};

/// Values [S, R, L] of `latent` for each row of a batch, where a step makes [S, n, L] of what it reads. All items that
/// have a t-th row take it at once. The names in `lists` are at their values in `world`, but NAME.previous of this
/// latent is what the step before gave; before the first row stands `first` [L].
Tensor over_time(const World& world, const std::string& latent, const Tensor& first, int64_t samples,
                 const std::vector<Names>& lists, const std::function<Tensor(const TimeStep&)>& step);

}  // namespace vem
