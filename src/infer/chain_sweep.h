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
  double* filtered(int64_t t) { return filtered_.data_ptr<double>() + group_.first[static_cast<size_t>(t)] * P_; }
  double* ratio(int64_t t) { return ratio_.data_ptr<double>() + group_.first[static_cast<size_t>(t)] * P_; }
  int64_t row(int64_t t, int64_t s) const { return group_.begin[static_cast<size_t>(s)] + t; }
  void fill_scaled_likelihoods();
  void start_frame();
  void filter_frame(int64_t t);
  void lose(int64_t t, int64_t s);

  const Potentials& p_;
  const Transitions& transitions_;
  const SideBySide& group_;
  const int64_t K_, P_;
  Tensor filtered_;  // [rows, P]: exp(log_lik - frame maximum), then filtered marginals
  Tensor ratio_;     // [rows, P]: 1 / predicted probabilities of the next frame, then smoothed over predicted
  std::vector<bool> lost_;
  std::vector<double> log_norm_, sums_;
};

}  // namespace vem
