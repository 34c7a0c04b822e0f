// Allocation x observation: every closed-form model, and every conjugate prior of a deep one.
#pragma once

#include "vem/infer/allocation.h"
#include "vem/infer/observation.h"
#include "vem/infer/row_reader.h"

namespace vem {

/// Rows begin .. end beside the `lags` rows before each in its own item, the nearest first: [end - begin, D (1 +
/// lags)]. NaN stands where an item has no such row. The rows themselves where lags is 0.
Tensor with_history(const RowReader& rows, const Tensor& offsets, int64_t begin, int64_t end, int64_t lags);
/// The same of all rows x [rows, D], traceable: the number of rows stays open.
Tensor with_history(const Tensor& x, const Tensor& offsets, int64_t lags);

class Factored {
 public:
  /// The observation has allocation.per_state() components for each state of the allocation.
  Factored(std::shared_ptr<Allocation> allocation, std::shared_ptr<Observation> observation)
      : allocation_(std::move(allocation)), observation_(std::move(observation)) {}

  int64_t num_components() const { return observation_->context().num_components; }
  const Allocation& allocation() const { return *allocation_; }
  const Observation& observation() const { return *observation_; }
  /// The allocation's blocks, then the observation's.
  std::vector<std::shared_ptr<ConjugateBlock>> blocks() const;
  /// What every block hands out, without gradients.
  TensorMap point() const;

  /// Sets every prior from the data's moments.
  void set_priors(const Moments& moments);
  /// [items] float64, differentiable in the statistics s [rows, P] and in every t of `globals`.
  Tensor log_norm(const Tensor& s, const Batch& batch, const TensorMap& globals) const;
  /// The closed-form E-step over the rows of a batch in fixed chunks, the same bits for any number of threads.
  /// With `draw`, components and missing cells are drawn from their posterior instead of summed out (Gibbs sampling).
  Expectation expect(const RowReader& rows, const Batch& batch, const TensorMap& globals,
                     const Rng* draw = nullptr) const;
  /// Sums of given responsibilities [rows, K], or component indices [rows] int64, as expect() would return them. Where
  /// rows depend on each other, needs the allocation at its (symmetric) prior. The bound is 0: a start has none.
  Expectation assign(const RowReader& rows, const Batch& batch, const RowReader& responsibilities) const;
  /// One M-step of every block from what assign() returned.
  void start(const RowReader& rows, const Batch& batch, const RowReader& responsibilities, const Rng& rng = Rng(0));
  /// Draws a row and its component for each entry of `index`, which is 0 .. n - 1 [n] int64; from the predictive
  /// density for a posterior. Traceable with Rng::recorded().
  std::pair<Tensor, Tensor> sample(const Tensor& index, const Rng& rng) const;

 private:
  /// `log_r` instead of the log-likelihoods of rows first_row .. last_row: what a start is made from.
  using LogR = RowReader;
  Expectation sum_rows(const RowReader& rows, const Batch& batch, const TensorMap& globals, const LogR& log_r,
                       const Rng* draw) const;

  std::shared_ptr<Allocation> allocation_;
  std::shared_ptr<Observation> observation_;
};

}  // namespace vem
