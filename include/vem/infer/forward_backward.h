// Exact inference in a Markov chain as pure functions on tensors: forward-backward, the best path, draws of paths.
// Rabiner 1989, "A tutorial on hidden Markov models", sections III and V; the backward pass runs on filtered marginals
// (Rauch, Tung and Striebel's form for discrete states), so likelihoods enter once. Frames are scaled by their maximum;
// a sequence of which nothing is left at a frame (an outlier that only forbidden states explain) is redone in
// logarithms. Legend: N items (sequences), T steps of one, K states, R rows of all items together.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// log p(x, z) = log_start[z_1] + sum_t log_transition[z_t-1, z_t] + log_lik[t, z_t] of every item. Rows of log_start
/// and log_transition need not sum to one, -inf forbids. Sequences may be of any length, zero included.
struct Chain {
  Tensor log_lik;         ///< [R, K] float64 or float32
  Tensor log_start;       ///< [K] or [1, K] float64
  Tensor log_transition;  ///< [K, K] float64: from, to
  Tensor offsets;         ///< [N + 1] int64: first row of each item; undefined: every row is an item of length one
};

/// Sums are weighted by item; a weight may be any number, since it may be the gradient of something.
struct ChainCounts {
  Tensor log_norm;     ///< [N] log sum over paths of p(x, z): the log-likelihood; 0 for an empty sequence
  Tensor marginals;    ///< [R, K] weight * p(z_t = k | x)
  Tensor start;        ///< [K] sum over items of weight * p(z_1 = k | x)
  Tensor transitions;  ///< [K, K] sum over items and steps of weight * p(z_t-1 = i, z_t = j | x)
};
/// Time O(R K^2), memory for the marginals and for blocks of rows. The same bits for any number of threads, and safe to
/// call from several. float64. Until a sequence is redone, states whose filtered probability is below 1e-90 may count
/// as excluded. An item that is
/// impossible has log_norm -inf and marginals of zero. Throws Error for shapes that do not fit.
ChainCounts forward_backward(const Chain& chain, const Tensor& weight);

/// log_norm [N] as a differentiable function of log_lik, log_start and log_transition. Its backward is
/// forward_backward() with the incoming gradient as weights; it has no second derivative (Error).
Tensor chain_log_norm(const Chain& chain);

/// p(z_t = k | x_1 .. x_t) [R, K], zeros from the first step on that is impossible, and log_norm [N].
struct ChainFilter {
  Tensor marginals, log_norm;
};
ChainFilter chain_filter(const Chain& chain);

/// The path of largest log p(x, z): states [R] int64 and that value [N] (Viterbi 1967). Ties go to the lower state.
struct ChainPaths {
  Tensor states, log_joint;  ///< -1 from the first impossible step on, after the best path to there; then -infinity
};
ChainPaths viterbi(const Chain& chain);

/// A draw from p(z | x) of every item, states [R] int64, from numbers on (0, 1) [R]: filter forward, sample backward
/// (Chib 1996).
Tensor sample_paths(const Chain& chain, const Tensor& uniform);

}  // namespace vem
