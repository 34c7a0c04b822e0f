// What allocations of independent rows share: log weights [1, K] that are linear in the block's t. The posterior over
// components has the closed form r_nk = softmax_k(log_lik_nk + log weight_k) (Bishop, PRML, 10.49), one pass over the
// rows.
#pragma once

#include "vem/infer/allocation.h"
#include "vem/infer/observation.h"

namespace vem {

class IndependentRows : public Allocation {
 public:
  IndependentRows(const Context& context, const std::string& block, std::shared_ptr<const ExponentialFamily> family)
      : context_(context),
        block_(std::make_shared<ConjugateBlock>(context.prefix + block, std::move(family), 1, context.estimate)) {}

  std::vector<std::shared_ptr<ConjugateBlock>> blocks() const override { return {block_}; }
  Tensor log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override;
  Tensor log_joint(const Tensor& log_lik, const TensorMap& globals) const override;
  Tensor log_weights() const override;
  Counts expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override;
  Counts draw(const Tensor& log_lik, const Batch& batch, const TensorMap& globals, const Rng& rng) const override;
  Tensor sample(const Tensor& index, const Rng& rng) const override;
  Tensor occupancy() const override { return counts_of(block_->eta() - block_->eta_prior()); }

 protected:
  /// t of the block [1, P] to log weights [1, K], linear; and its adjoint for counts [1, K].
  virtual Tensor expand(const Tensor& t) const { return t; }
  virtual Tensor collapse(const Tensor& counts) const { return counts; }
  /// The counts [K] that collapse() has made sums [1, P] of.
  virtual Tensor counts_of(const Tensor& sums) const { return sums[0]; }
  /// log of the expected weights [1, K] under q at eta [1, P].
  virtual Tensor log_expected(const Tensor& eta) const = 0;
  bool posterior() const { return context_.estimate == Estimate::posterior; }
  int64_t K() const { return context_.num_components; }

  Context context_;
  std::shared_ptr<ConjugateBlock> block_;
};

}  // namespace vem
