// A mixture inside each state: K states of another allocation, each of which explains a row by M components of its own,
//   log p(row | state k) = log sum_m c_km p(row | component k M + m),
// so that any observation family serves as the emission (Rabiner 1989, section IV.A; a hidden Markov model with mixture
// densities). Components are independent given the states, so responsibilities multiply and the bound stays exact.
// Legend: N rows, K states, M components of a state.
#pragma once

#include "vem/infer/allocation.h"

namespace vem {

class StateMixtures final : public Allocation {
 public:
  /// `states` for context.num_components states of dependent rows; the Dirichlet prior of c_k is symmetric.
  StateMixtures(std::shared_ptr<Allocation> states, int64_t per_state, double concentration, const Context& context);

  std::vector<std::shared_ptr<ConjugateBlock>> blocks() const override;
  void set_priors() override;
  Tensor log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override;
  Counts expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override;
  Counts draw(const Tensor& log_lik, const Batch& batch, const TensorMap& globals, const Rng& rng) const override;
  bool independent_rows() const override { return states_->independent_rows(); }
  int64_t num_free() const override { return states_->num_free() + mixing_->num_free(); }
  Labelings labelings() const override;
  bool ordered() const override { return states_->ordered(); }
  int64_t per_state() const override { return M_; }
  std::vector<Readout> readouts() const override;
  Tensor log_weights() const override;
  Outlook outlook(const Tensor& log_lik, const Batch& batch) const override;
  std::vector<std::pair<std::string, Tensor>> describe() const override;
  Tensor sample(const Tensor& index, const Rng& rng) const override;

 private:
  /// log c_km + log p(row | k, m) [N, K, M].
  Tensor joint(const Tensor& log_lik, const Tensor& log_weights) const;
  /// E_q[c] or the point [K, M]: what densities of new rows are made of.
  Tensor mean_weights() const;

  std::shared_ptr<Allocation> states_;
  int64_t K_, M_;
  double concentration_;
  std::shared_ptr<ConjugateBlock> mixing_;
};

}  // namespace vem
