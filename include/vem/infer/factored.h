// Allocation x observation: every closed-form model, and every conjugate prior of a deep one.
#pragma once

#include <functional>

#include "vem/infer/allocation.h"
#include "vem/infer/observation.h"

namespace vem {

/// Rows begin .. end of a batch as [end - begin, D]; called from several threads.
using RowReader = std::function<Tensor(int64_t begin, int64_t end)>;

class Factored {
 public:
  /// Components live in the block "<prefix>components"; the allocation names its own.
  Factored(const std::string& prefix, int64_t num_components, Estimate estimate, std::shared_ptr<Allocation> allocation,
           std::shared_ptr<Observation> observation);

  int64_t num_components() const { return components_->t().size(0); }
  const Allocation& allocation() const { return *allocation_; }
  const Observation& observation() const { return *observation_; }
  const std::shared_ptr<ConjugateBlock>& components() const { return components_; }
  std::vector<std::shared_ptr<ConjugateBlock>> blocks() const;

  /// Sets every prior from the data's moments.
  void set_priors(const Moments& moments);
  /// [items] float64, differentiable in the statistics s [rows, P] and in every t of `globals`.
  Tensor log_norm(const Tensor& s, const Batch& batch, const TensorMap& globals) const;
  /// The closed-form E-step over rows x [rows, D] in fixed chunks, the same bits for any number of threads.
  Expectation expect(const Tensor& x, const Batch& batch, const TensorMap& globals) const;
  Expectation expect(const RowReader& rows, const Batch& batch, const TensorMap& globals) const;
  /// Sums of given responsibilities [rows, K], or component indices [rows] int64, as expect() would return them. Needs
  /// the allocation at its (symmetric) prior. The bound is 0: a start has none.
  Expectation assign(const Tensor& x, const Batch& batch, const Tensor& responsibilities) const;
  /// One M-step of every block from what assign() returned.
  void start(const Tensor& x, const Batch& batch, const Tensor& responsibilities);
  /// Draws n rows and their components; from the predictive density for a posterior.
  std::pair<Tensor, Tensor> sample(int64_t n, const Rng& rng) const;

 private:
  using LogLik = std::function<Tensor(const Tensor& features, int64_t first_row, int64_t last_row)>;
  Expectation sum_rows(const RowReader& rows, const Batch& batch, const TensorMap& globals, const RowKernel& kernel,
                       const LogLik& log_lik) const;

  std::shared_ptr<Allocation> allocation_;
  std::shared_ptr<Observation> observation_;
  std::shared_ptr<ConjugateBlock> components_;
};

}  // namespace vem
