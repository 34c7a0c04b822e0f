// What the two halves of chain inference share: checked, contiguous float64 potentials, and sequences side by side.
#pragma once

#include <vector>

#include "vem/infer/forward_backward.h"

namespace vem {

/// Contiguous float64 copies (or views) of a chain's tensors, with the shapes checked.
struct Potentials {
  explicit Potentials(const Chain& chain);
  const double* row(int64_t r) const { return log_lik.data_ptr<double>() + r * K; }
  int64_t length(int64_t item) const { return offset(item + 1) - offset(item); }
  int64_t offset(int64_t item) const { return offsets.data_ptr<int64_t>()[item]; }

  Tensor log_lik, log_start, log_transition, offsets;
  int64_t K = 0, rows = 0, items = 0;
};

/// Sequences side by side, the longest first: frame t of those that still run is in rows first[t] .. first[t + 1].
struct SequenceGroup {
  SequenceGroup(const Potentials& p, std::vector<int64_t> items);
  int64_t steps() const { return static_cast<int64_t>(first.size()) - 1; }
  int64_t width(int64_t t) const { return t < steps() ? first[t + 1] - first[t] : 0; }

  std::vector<int64_t> items;
  std::vector<int64_t> first;
  std::vector<int64_t> begin;  ///< of each item: its first row in the chain
};

/// All items with rows, sorted by length and cut into groups; groups depend on the lengths only.
std::vector<SequenceGroup> sequence_groups(const Potentials& p);

/// chain_filter(), with the logarithms of the marginals where asked for.
ChainFilter filter(const Potentials& p, bool in_logs);

}  // namespace vem
