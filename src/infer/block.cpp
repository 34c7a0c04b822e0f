// The M-steps of the three kinds of block. Those in closed form are on one thread, so that factorisations and sums have
// the same bits for any number of them.
#include "vem/infer/block.h"

#include "vem/core/error.h"
#include "vem/infer/one_thread.h"

namespace vem {
namespace {

Tensor zero() { return at::zeros({}, at::kDouble); }

/// <a, t> [], where t may be -infinity, the log of a probability of 0: what is not positive (0, or 0 with its rounding
/// after sums were replaced by others) times that is 0.
Tensor linear_part(const Tensor& a, const Tensor& t) {
  return on_one_thread([&] {
    const Tensor products = a * t, sum = products.sum();
    return std::isfinite(sum.item<double>()) ? sum : products.masked_fill(a.le(0).logical_and(t.isinf()), 0).sum();
  });
}

/// The sum of A(eta) over the rows: [].
Tensor log_partition_of(const ExponentialFamily& family, const Tensor& eta) {
  return on_one_thread([&] { return family.log_partition(eta).sum(); });
}

const Tensor& entry(const TensorMap& state, const std::string& key, const Tensor& like) {
  const auto it = state.find(key);
  if (it == state.end()) fail<DataError>("state: {} is missing; is this a checkpoint of another model?", key);
  if (it->second.sizes() != like.sizes() || it->second.scalar_type() != like.scalar_type())
    fail<DataError>("state: {} has shape [{}] of {}, [{}] of {} is expected; is this a checkpoint of another model?",
                    key, fmt::join(it->second.sizes(), ", "), toString(it->second.scalar_type()),
                    fmt::join(like.sizes(), ", "), toString(like.scalar_type()));
  return it->second;
}

const Tensor& sums_of(const Expectation& total, const std::string& key) {
  const auto it = total.sums.find(key);
  if (it == total.sums.end()) fail<NumericError>("m_step: the expectation has no sums for {}", key);
  return it->second;
}

/// Copies every saved tensor into its live one, after all were found and have the right shape.
void load_all(const TensorMap& live, const TensorMap& state) {
  at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : live) entry(state, key, tensor);
  for (const auto& [key, tensor] : live) tensor.detach().copy_(state.at(key));
}

}  // namespace

Tensor Block::kl_global() const { return zero(); }
Tensor Block::linear(const Expectation&) const { return zero(); }
Tensor Block::gain() const { return zero(); }

// ---- conjugate ----

ConjugateBlock::ConjugateBlock(std::string name, std::shared_ptr<const ExponentialFamily> family, int64_t rows,
                               Estimate estimate)
    : Block(std::move(name)), family_(std::move(family)), estimate_(estimate) {
  const auto blank = [&] { return at::zeros({rows, family_->size()}, at::kDouble); };
  eta_prior_ = blank();
  eta_ = blank();
  t_ = blank().requires_grad_();
}

void ConjugateBlock::set_prior(const Tensor& eta_prior) {
  at::NoGradGuard no_grad;
  eta_.copy_(eta_prior);
  if (estimate_ != Estimate::ml) eta_prior_.copy_(eta_prior);
  t_.detach().copy_(on_one_thread([&] { return family_->mean(eta_); }));
}

void ConjugateBlock::replace_prior(const Tensor& eta_prior) {
  at::NoGradGuard no_grad;
  eta_prior_.copy_(eta_prior);
}

TensorMap ConjugateBlock::globals() const { return {{key(), t_}}; }

void ConjugateBlock::m_step(const Expectation& total, const Step& step, const Rng& rng) {
  at::NoGradGuard no_grad;
  Tensor target = sums_of(total, key()).to(at::kDouble);
  if (step.scale.defined()) target = target * step.scale;
  target = target + eta_prior_;
  if (!std::isfinite(target.sum().item<double>()))
    fail<NumericError>(
        "m_step: the sums for {} are not finite at iteration {}; are there very large numbers in the data?", key(),
        step.iteration);
  const double rho = step.weight("rho");
  eta_.copy_(rho == 1 ? target : (1 - rho) * eta_ + rho * target);
  set_t(rng);
}

void ConjugateBlock::set_t(const Rng& rng) {
  const auto functional = [&] {
    switch (estimate_) {
      case Estimate::posterior:
        return family_->mean(eta_);
      case Estimate::gibbs:
        return family_->sample(eta_, rng.fold(name()));
      default:
        return family_->improved(eta_, t_.detach());
    }
  };
  t_.detach().copy_(on_one_thread(functional));
}

Tensor ConjugateBlock::coordinates() const {
  at::NoGradGuard no_grad;
  return on_one_thread([&] { return family_->unconstrained(eta_); });
}

void ConjugateBlock::set_coordinates(const Tensor& coordinates) {
  at::NoGradGuard no_grad;
  const Tensor eta = on_one_thread([&] { return family_->constrained(coordinates); });
  eta_.copy_(at::where(at::isfinite(eta).all(1, true), eta, eta_));
  set_t(Rng(0));
}

Tensor ConjugateBlock::kl_global() const {
  if (estimate_ == Estimate::ml || estimate_ == Estimate::gibbs) return zero();
  const Tensor t = t_.detach(), prior = log_partition_of(*family_, eta_prior_);
  if (estimate_ == Estimate::map) return prior - linear_part(eta_prior_, t);
  return linear_part(eta_ - eta_prior_, t) - log_partition_of(*family_, eta_) + prior;
}

Tensor ConjugateBlock::linear(const Expectation& total) const {
  return linear_part(sums_of(total, key()).to(at::kDouble), t_.detach());
}

// With sums = eta - eta_prior: A(eta) - A(eta_prior) for a posterior, <eta, t> less the prior's normaliser at a mode.
Tensor ConjugateBlock::gain() const {
  if (estimate_ == Estimate::posterior)
    return log_partition_of(*family_, eta_) - log_partition_of(*family_, eta_prior_);
  const Tensor linear = linear_part(eta_, t_.detach());
  return estimate_ == Estimate::map ? linear - log_partition_of(*family_, eta_prior_) : linear;
}

std::map<std::string, double> ConjugateBlock::diagnostics() const {
  if (estimate_ == Estimate::posterior || estimate_ == Estimate::gibbs) return {};
  const int64_t floored = on_one_thread([&] { return family_->num_floored(eta_); });
  if (floored == 0) return {};
  return {{name() + ".floored", static_cast<double>(floored)}};
}

TensorMap ConjugateBlock::state() const {
  const std::string prefix = "model/" + name();
  return {{prefix + ".eta_prior", eta_prior_}, {prefix + ".eta", eta_}, {prefix + ".t", t_}};
}

void ConjugateBlock::load(const TensorMap& state) { load_all(this->state(), state); }

// ---- gradient ----

GradientBlock::GradientBlock(std::string name, std::shared_ptr<const Optimizer> optimizer)
    : Block(std::move(name)), optimizer_(std::move(optimizer)) {}

Tensor GradientBlock::add(const std::string& name, const Shape& shape, at::ScalarType dtype) {
  if (const auto it = stopped_.find(name); it != stopped_.end()) return it->second;
  Parameter parameter{name, at::zeros(shape, dtype).requires_grad_(), {}};
  for (const std::string& slot : optimizer_->slots()) parameter.slots[slot] = at::zeros(shape, dtype);
  parameters_.push_back(parameter);
  return parameter.value;
}

std::shared_ptr<GradientBlock> GradientBlock::stopped() const {
  auto block = std::make_shared<GradientBlock>(name(), optimizer_);
  for (const Parameter& p : parameters_) block->stopped_[p.name] = p.value.detach();
  return block;
}

int64_t GradientBlock::num_free() const {
  int64_t sum = 0;
  for (const Parameter& p : parameters_) sum += p.value.numel();
  return sum;
}

TensorMap GradientBlock::globals() const {
  TensorMap globals;
  for (const Parameter& p : parameters_) globals[p.name] = p.value;
  return globals;
}

void GradientBlock::m_step(const Expectation& total, const Step& step, const Rng&) {
  if (parameters_.empty()) return;
  at::NoGradGuard no_grad;
  std::vector<Tensor> gradients;
  gradients.reserve(parameters_.size());
  for (const Parameter& p : parameters_) gradients.push_back(sums_of(total, p.name));
  optimizer_->update(parameters_, gradients, total.count, step, optimizer_state_);
}

bool GradientBlock::swap_averages() {
  if (!optimizer_->averages() || optimizer_state_.steps == 0) return false;
  at::NoGradGuard no_grad;
  for (Parameter& p : parameters_) {
    const Tensor last = p.value.detach().clone();
    p.value.detach().copy_(p.slots.at("average"));
    p.slots.at("average").copy_(last);
  }
  return true;
}

std::map<std::string, double> GradientBlock::diagnostics() const {
  if (!optimizer_->skips()) return {};
  return {{name() + ".skipped_steps", static_cast<double>(optimizer_state_.skipped)}};
}

TensorMap GradientBlock::state() const {
  const OptimizerState& s = optimizer_state_;
  const std::string prefix = "optimizer/" + name();
  TensorMap state{{prefix + ".steps", at::scalar_tensor(s.steps, at::kLong)}};
  if (optimizer_->has_groups()) {
    std::vector<int64_t> updates;
    for (const Parameter& p : parameters_) updates.push_back(p.updates);
    state[prefix + ".updates"] = at::tensor(updates, at::kLong);
  }
  if (optimizer_->skips()) {
    state[prefix + ".skipped"] = at::tensor({s.skipped, s.seen}, at::kLong);
    state[prefix + ".norm"] = at::scalar_tensor(s.norm, at::kDouble);
  }
  for (const Parameter& p : parameters_) {
    state["model/" + p.name] = p.value;
    for (const auto& [slot, value] : p.slots) state["optimizer/" + slot + "/" + p.name] = value;
  }
  return state;
}

void GradientBlock::load(const TensorMap& state) {
  load_all(this->state(), state);
  OptimizerState& s = optimizer_state_;
  const std::string prefix = "optimizer/" + name();
  s.steps = state.at(prefix + ".steps").item<int64_t>();
  for (size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i].updates =
        optimizer_->has_groups() ? state.at(prefix + ".updates")[static_cast<int64_t>(i)].item<int64_t>() : s.steps;
  if (!optimizer_->skips()) return;
  s.skipped = state.at(prefix + ".skipped")[0].item<int64_t>();
  s.seen = state.at(prefix + ".skipped")[1].item<int64_t>();
  s.norm = state.at(prefix + ".norm").item<double>();
}

// ---- constant ----

void ConstantBlock::add(const std::string& name, const Tensor& start) { values_[name] = start.clone(); }

void ConstantBlock::set(const std::string& name, const Tensor& value) {
  at::NoGradGuard no_grad;
  values_.at(name).copy_(value);
}

const Tensor& ConstantBlock::get(const std::string& name) const { return values_.at(name); }

TensorMap ConstantBlock::state() const {
  TensorMap state;
  for (const auto& [name, value] : values_) state["model/" + name] = value;
  return state;
}

void ConstantBlock::load(const TensorMap& state) { load_all(this->state(), state); }

}  // namespace vem
