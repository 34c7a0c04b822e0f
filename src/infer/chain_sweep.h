// One sweep forward and one backward over sequences side by side. Private to chain inference.
// Legend: K states, P = K rounded up to whole vectors (padding holds zeros), frame t holds the rows first[t] ..
// first[t + 1] of the group; sequences are sorted by length, so those of frame t + 1 come first in frame t.
#pragma once

#include <memory>

#include "chain_layout.h"

namespace vem {

/// exp of the transitions, scaled by the largest, padded.
struct Transitions {
  explicit Transitions(const Potentials& p);
  int64_t K, P;
  double log_scale;          ///< taken off every log_transition
  Tensor matrix, transpose;  ///< [P, P]
};

/// Of a sequence after its last frame: the sum of g and one over it (0 if the sequence is lost), and the factors of g
/// in the next frame and in the one after.
struct FrameScale {
  double sum = 1, inverse = 1, next = 1, after = 1;
};

/// A block of frames begin .. end and its arrays, for the loops over it. Arrays begin with the rows of the frame before
/// the block, where there is one.
struct Frames {
  const int64_t *first, *start;  ///< of frames in the group, of sequences in the chain
  int64_t begin, end, K, P;
  double* filtered;    ///< [rows, P]: filtered marginals
  double* gain;        ///< [rows, P]: likelihood over p, in the place of the row before
  double *p, *top;     ///< [rows]: likelihood given the rows before, and the maximum of log-likelihoods that it lacks
  double *state, *to;  ///< [sequences, P]: g of the frame before and of the next one, in turn
  double* back;        ///< [sequences, P]: v
  FrameScale* scale;   ///< [sequences]
  int64_t row(int64_t t) const { return first[t] - first[begin > 0 ? begin - 1 : 0]; }
  int64_t width(int64_t t) const { return first[t + 1] - first[t]; }
};

/// Short sequences are one block of frames. A long one is several, each of which is filtered again on the way back:
/// that costs less than arrays of all frames, which no cache holds.
class Sweep {
 public:
  Sweep(const Potentials& p, const Transitions& transitions, const SequenceGroup& group);

  /// log_norm of every item of the group, and its filtered marginals into `filtered` [R, K] unless that is null.
  void forward(double* filtered);
  /// After forward(): smoothed marginals times `weight` (by item of the chain) into `marginals` [R, K].
  void backward(const double* weight, double* marginals);
  /// After backward(): sums of pairwise marginals [K, K].
  Tensor transition_sums() const;
  double log_norm(size_t s) const { return log_norm_[s]; }
  /// Whether the sequence went out of the range of numbers. Its marginals are zeros, and its log_norm means nothing.
  bool lost(size_t s) const { return lost_[s]; }

 private:
  struct State {
    std::vector<double> rows;  // g [sequences, P]
    std::vector<FrameScale> scale;
  };
  Frames frames(size_t block);
  void filter(size_t block);
  void add_up(const Frames& f);
  void write_filtered(const Frames& f, double* marginals) const;

  const Potentials& p_;
  const Transitions& transitions_;
  const SequenceGroup& group_;
  std::vector<int64_t> bounds_;                // of blocks, in frames
  std::vector<State> states_;                  // that each block begins with
  size_t filtered_block_ = 0;                  // whose rows the arrays hold
  std::unique_ptr<double[]> filtered_, gain_;  // written before they are read
  std::vector<double> start_, p_of_rows_, top_, state_, to_, back_, pairs_;
  std::vector<FrameScale> scale_;
  std::vector<bool> lost_;
  std::vector<double> log_norm_, product_;  // logarithms so far, and what is to be added to them
};

}  // namespace vem
