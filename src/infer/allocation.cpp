// What autograd gives every allocation: marginals and sums as gradients of its local bound.
#include "vem/infer/allocation.h"

#include "vem/core/error.h"

namespace vem {

Allocation::Counts Allocation::expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
  at::AutoGradMode with_gradients(true);
  TensorMap at_leaves = globals;
  std::vector<Tensor> leaves{log_lik.detach().to(at::kDouble).requires_grad_()};
  for (const auto& block : blocks()) {
    leaves.push_back(globals.at(block->key()).detach().clone().requires_grad_());
    at_leaves[block->key()] = leaves.back();
  }
  const Tensor bound = (log_norm(leaves[0], batch, at_leaves) * batch.weight).sum();
  std::vector<Tensor> gradients(leaves.size());
  if (bound.requires_grad()) gradients = torch::autograd::grad({bound}, leaves, {}, false, false, true);
  for (size_t i = 0; i < leaves.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(leaves[i]);
  Counts counts{bound.detach(), gradients[0].to(log_lik.scalar_type()), {}, {}};
  for (size_t i = 1; i < leaves.size(); ++i) counts.sums[blocks()[i - 1]->key()] = gradients[i];
  return counts;
}

int64_t Allocation::num_free() const {
  int64_t sum = 0;
  for (const auto& block : blocks()) sum += block->num_free();
  return sum;
}

std::vector<Allocation::Readout> Allocation::readouts() const {
  using Tensors = std::vector<Tensor>;
  const auto log_responsibilities = [this](const Tensor& log_lik, const TensorMap& globals) {
    return at::log_softmax(log_joint(log_lik, globals), -1);
  };
  return {{"log_prob",
           "log density of each row; predictive, all parameters integrated out, where they have a posterior",
           {"log_prob"},
           true,
           [this](const Tensor& log_lik, const Batch&, const TensorMap&) {
             return Tensors{at::logsumexp(log_lik + log_weights(), -1)};
           },
           true},
          {"responsibilities",
           "posterior probability of each component for each row, as in the E-step; NaN where the row is impossible",
           {"responsibilities"},
           false,
           [=](const Tensor& log_lik, const Batch&, const TensorMap& globals) {
             return Tensors{log_responsibilities(log_lik, globals).exp()};
           },
           true},
          {"entropy",
           "entropy of the posterior over the component of each row, in nats",
           {"entropy"},
           false,
           [=](const Tensor& log_lik, const Batch&, const TensorMap& globals) {
             const Tensor r = log_responsibilities(log_lik, globals).exp();
             return Tensors{-at::xlogy(r, r).sum(-1)};
           },
           true},
          {"predict",
           "the most probable component of each row; -1 where the row is impossible",
           {"label"},
           false,
           [=](const Tensor& log_lik, const Batch&, const TensorMap& globals) {
             const Tensor log_r = log_responsibilities(log_lik, globals);
             return Tensors{log_r.argmax(-1).masked_fill(log_r.isnan().any(-1), -1)};
           },
           true}};
}

Allocation::Counts Allocation::draw(const Tensor&, const Batch&, const TensorMap&, const Rng&) const {
  fail<ConfigError>("allocation: this one can not be sampled; estimate = \"gibbs\" needs another");
}

Tensor Allocation::log_joint(const Tensor&, const TensorMap&) const {
  fail<Error>("allocation: the components of its rows depend on each other, so no row has a joint density of its own");
}

Tensor Allocation::log_weights() const {
  fail<Error>("allocation: the components of its rows depend on each other, so they have no weights");
}

Allocation::Outlook Allocation::outlook(const Tensor&, const Batch&) const {
  fail<Error>("allocation: its rows are independent, so nothing can be told of those to come");
}

}  // namespace vem
