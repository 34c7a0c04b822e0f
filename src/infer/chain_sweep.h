// One sweep forward and one backward over sequences side by side. Private to chain inference.
// Legend: K states, P = K rounded up to whole vectors (padding holds zeros), frame t holds the rows first[t] ..
// first[t + 1] of arrays [rows, P]; sequences are sorted by length, so those of frame t + 1 come first in frame t.
#pragma once

#include "chain_layout.h"

namespace vem {

/// exp of the transitions, scaled by the largest, padded.
struct Transitions {
  explicit Transitions(const Potentials& p);
  int64_t K, P;
  double log_scale;          ///< taken off every log_transition
  Tensor matrix, transpose;  ///< [P, P]
};

/// The arrays of a sweep, for its loops.
struct Frames {
  const int64_t *first, *begin;  ///< of frames in the arrays, of sequences in the chain
  int64_t steps, K, P;
  double* filtered;  ///< [rows, P]: exp(log_lik - frame maximum), then filtered marginals
  double* ratio;     ///< [rows, P]: 1 / predicted probabilities of the next frame, then smoothed over predicted
  double* scratch;   ///< [rows of the first frame, P]
};

class Sweep {
 public:
  Sweep(const Potentials& p, const Transitions& transitions, const SideBySide& group);

  /// Filtered marginals of every frame, and log_norm of every item of the group.
  void forward();
  /// Smoothed marginals times `weight` (by item of the chain) into `marginals` [R, K]; after forward().
  void backward(const double* weight, double* marginals);
  /// Copies the filtered marginals into [R, K].
  void write_filtered(double* marginals) const;
  /// After backward(): sums of pairwise marginals [K, K].
  Tensor transition_sums() const;
  double log_norm(size_t s) const { return log_norm_[s]; }
  /// Whether the sequence went out of the range of numbers. Its marginals are zeros, and its log_norm means nothing.
  bool lost(size_t s) const { return lost_[s]; }

 private:
  void add_up(const double* sums, const double* logs, double shift);

  const Potentials& p_;
  const Transitions& transitions_;
  const SideBySide& group_;
  Tensor filtered_, ratio_;
  std::vector<double> scratch_;
  std::vector<bool> lost_;
  std::vector<double> log_norm_;
  Frames frames_;
};

}  // namespace vem
