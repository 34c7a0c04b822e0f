// Loops of exported files. An export traces C++ code, and a trace would repeat a loop over time or until convergence as
// often as its example took it. So code that is exported calls such a loop here by name: the functions are TorchScript,
// and while an export records, a call of one becomes a call in the file. Outside of an export they just run, but the
// program has faster loops of its own; torchscript_library_test and lda_test hold both to the same numbers. None draws
// random numbers: those are arguments.
// Legend: N items, R rows of all items together, K states or components, D features, V words.
#pragma once

#include "vem/core/types.h"

namespace vem::torchscript {

/// Whether an export records what this thread computes.
bool recording();

/// States [R] int64 of a Markov chain with start [K] and transition [K, K], a row from each state; weights in
/// proportion to the probabilities will do. uniform [R] float64 on (0, 1): a state is where its number falls among the
/// weights laid end to end.
Tensor chain_states(const Tensor& start, const Tensor& transition, const Tensor& uniform);

/// log of the sum over all paths of p(x, z) for each item [N] float64, 0 for an item without rows. Arguments as those
/// of Chain: log_lik [R, K], log_start [K], log_transition [K, K], offsets [N + 1] int64.
Tensor chain_log_norm(const Tensor& log_lik, const Tensor& log_start, const Tensor& log_transition,
                      const Tensor& offsets);

/// The most probable path of each item, states [R] int64 (Viterbi 1967); -1 from the first row on that nothing can
/// explain, after the best path to there. Arguments as above.
Tensor chain_best_paths(const Tensor& log_lik, const Tensor& log_start, const Tensor& log_transition,
                        const Tensor& offsets);

/// Rows [R, D] mean_k + noise root_k, a row of noise [R, D] each, with k the row's component [R] int64; mean [K, D],
/// root [K, D, D].
Tensor normal_rows(const Tensor& component, const Tensor& noise, const Tensor& mean, const Tensor& root);

/// Rows [R, D] of one item, x_t = A_k u_t + sqrt(1 + u_t' growth_k u_t) root_k noise_t with k the component of the row
/// and u_t = (1, x_t-1, x_t-2 ...), as many rows before as there are columns for in coefficients; those at the start
/// are 0, and are taken as 0 in the rows after them. component [R] int64, noise [R, D], coefficients A [K, D, 1 + order
/// D], root [K, D, D], growth [K, 1 + order D, 1 + order D].
Tensor regression_rows(const Tensor& component, const Tensor& noise, const Tensor& coefficients, const Tensor& root,
                       const Tensor& growth);

/// Expected topic weights of documents [N, K] float64 by coordinate ascent from a fresh start: a document has one more
/// sweep after the one in which its pseudo-counts gamma changed by less than `tolerance` on average, and no more than
/// `max_iterations`. word and count [R], offsets [N + 1]; log_topics [K, V] float64, alpha [K] float64. `variational`:
/// weights are exp E[log theta], else gamma over its sum.
Tensor topic_proportions(const Tensor& word, const Tensor& count, const Tensor& offsets, const Tensor& log_topics,
                         const Tensor& alpha, bool variational, int64_t max_iterations, double tolerance);

}  // namespace vem::torchscript
