// States see the log-sum-exp over their components; what they return is shared out by the components' posterior.
#include "state_mixtures.h"

#include "vem/core/infinity.h"
#include "vem/dist/dirichlet.h"

namespace vem {
namespace {

/// p(m | k, row) [N, K, M]; zeros where a state can not explain the row.
Tensor shares(const Tensor& joint, const Tensor& total) {
  const Tensor impossible = total.eq(-kInfinity).unsqueeze(-1);
  return (joint - total.unsqueeze(-1)).exp().masked_fill(impossible, 0);
}

/// For each row of weights [n, M], the index that u [n] on (0, 1) falls on when they are laid end to end.
Tensor chosen(const Tensor& weights, const Tensor& u) {
  const Tensor edges = weights.cumsum(-1);
  return (u.unsqueeze(-1) * edges.slice(-1, edges.size(-1) - 1)).ge(edges).sum(-1).clamp_max(edges.size(-1) - 1);
}

}  // namespace

StateMixtures::StateMixtures(std::shared_ptr<Allocation> states, int64_t per_state, double concentration,
                             const Context& context)
    : states_(std::move(states)),
      K_(context.num_components),
      M_(per_state),
      concentration_(concentration),
      mixing_(std::make_shared<ConjugateBlock>(context.prefix + "mixing", std::make_shared<DirichletFamily>(M_), K_,
                                               context.estimate)) {}

std::vector<std::shared_ptr<ConjugateBlock>> StateMixtures::blocks() const {
  auto all = states_->blocks();
  all.push_back(mixing_);
  return all;
}

/// Those of the states, times the orders of the components of each.
Labelings StateMixtures::labelings() const {
  const Labelings states = states_->labelings();
  const double orders = static_cast<double>(K_) * std::lgamma(static_cast<double>(M_) + 1);
  return {states.log_count + orders, states.formula.empty() ? "K ln M!" : states.formula + " + K ln M!"};
}

void StateMixtures::set_priors() {
  states_->set_priors();
  mixing_->set_prior(at::full({K_, M_}, concentration_ - 1, at::kDouble));
}

Tensor StateMixtures::joint(const Tensor& log_lik, const Tensor& log_weights) const {
  return log_lik.to(at::kDouble).reshape({-1, K_, M_}) + log_weights;
}

Tensor StateMixtures::log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
  return states_->log_norm(at::logsumexp(joint(log_lik, globals.at(mixing_->key())), -1), batch, globals);
}

Allocation::Counts StateMixtures::expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
  Tensor parts = joint(log_lik, globals.at(mixing_->key()));
  const Tensor total = at::logsumexp(parts, -1);
  parts = shares(parts, total);
  Counts counts = states_->expect(total, batch, globals);
  parts.mul_(counts.marginals.unsqueeze(-1));
  counts.sums[mixing_->key()] = parts.sum(0);
  counts.marginals = parts.flatten(1).to(log_lik.scalar_type());
  return counts;
}

Allocation::Counts StateMixtures::draw(const Tensor& log_lik, const Batch& batch, const TensorMap& globals,
                                       const Rng& rng) const {
  const Tensor parts = joint(log_lik, globals.at(mixing_->key())), total = at::logsumexp(parts, -1);
  Counts counts = states_->draw(total, batch, globals, rng);
  const Tensor state = counts.marginals.argmax(-1), row = at::arange(state.size(0), at::kLong);
  const Tensor own = shares(parts, total).flatten(0, 1).index_select(0, row * K_ + state);
  const Tensor component = state * M_ + chosen(own, batch.uniform(rng, {}, "component of a state"));
  const Tensor weight = batch.row_weight();
  counts.sums[mixing_->key()] = at::zeros({K_ * M_}, at::kDouble).index_add(0, component, weight).view({K_, M_});
  counts.marginals = (at::one_hot(component, K_ * M_).to(at::kDouble) * weight.unsqueeze(-1)).to(log_lik.scalar_type());
  return counts;
}

std::vector<Allocation::Readout> StateMixtures::readouts() const {
  std::vector<Readout> all = states_->readouts();
  for (Readout& readout : all) {
    readout.call = [this, call = readout.call, predictive = readout.predictive](
                       const Tensor& log_lik, const Batch& batch, const TensorMap& globals) {
      const Tensor log_c = predictive ? mean_weights().log() : globals.at(mixing_->key());
      return call(at::logsumexp(joint(log_lik, log_c), -1), batch, globals);
    };
  }
  return all;
}

Tensor StateMixtures::mean_weights() const {
  if (mixing_->estimate() != Estimate::posterior) return mixing_->t().detach().exp();
  const Tensor alpha = mixing_->eta() + 1;
  return alpha / alpha.sum(-1, true);
}

Tensor StateMixtures::log_weights() const {
  return (states_->log_weights().view({K_, 1}) + mean_weights().log()).view({1, K_ * M_});
}

Allocation::Outlook StateMixtures::outlook(const Tensor& log_lik, const Batch& batch) const {
  const Tensor c = mean_weights();
  const Outlook states = states_->outlook(at::logsumexp(joint(log_lik, c.log()), -1), batch);
  const auto split = [&](const Tensor& p) { return (p.unsqueeze(-1) * c).flatten(1); };  // [rows, K] -> [rows, K M]
  return {split(states.next), split(states.transition).repeat_interleave(M_, 0)};
}

std::vector<std::pair<std::string, Tensor>> StateMixtures::describe() const {
  auto all = states_->describe();
  all.emplace_back("mixing", mean_weights());
  return all;
}

Tensor StateMixtures::sample(const Tensor& index, const Rng& rng) const {
  const Tensor state = states_->sample(index, rng), u = rng.uniform(index, {}, "component of a state");
  return state * M_ + chosen(mean_weights().index_select(0, state), u);
}

}  // namespace vem
