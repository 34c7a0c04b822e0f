// What every model does with its blocks.
#include "vem/infer/model.h"

#include <algorithm>

#include "vem/infer/gradients.h"

namespace vem {
namespace {

template <class F>
Tensor sum_over(const std::vector<std::shared_ptr<Block>>& blocks, F f) {
  Tensor sum = at::zeros({}, at::kDouble);
  for (const auto& block : blocks) sum = sum + f(*block);
  return sum;
}

}  // namespace

Method Method::of_rows(const std::string& name, const std::string& help, const std::string& input,
                       const std::string& output, const std::function<Tensor(const Tensor&, const Rng&)>& function,
                       const Tensor& example) {
  Method method{name, help, {input}, {output}, [function](const std::vector<Tensor>& inputs, const Rng& rng) {
                  return std::vector<Tensor>{function(inputs[0], rng)};
                }};
  if (example.defined()) method.example = {example};
  return method;
}

Method Method::of_draws(const std::string& name, const std::string& help, const std::vector<std::string>& outputs,
                        const std::function<std::vector<Tensor>(const Tensor&, const Rng&)>& draws) {
  Method method{name, help, {"n"}, outputs, [draws](const std::vector<Tensor>& inputs, const Rng& rng) {
                  return draws(at::arange(inputs[0].item<int64_t>(), at::kLong), rng);
                }};
  method.integers = {"n"};
  method.draws = draws;
  return method;
}

Schedules Model::schedules() const {
  Schedules all;
  for (const auto& block : blocks_) all.merge(block->schedules());
  return all;
}

void Model::check() const {
  for (const auto& block : blocks_) block->check();
}

Expectation Model::differentiate(const std::function<Tensor()>& bound, const Batch& batch, const Step& step) const {
  const at::AutoGradMode grad_mode(step.training);
  const Tensor sum = (bound().to(at::kDouble) * batch.weight).sum();
  Expectation e;
  e.count = batch.weight.sum();
  e.bound = sum.detach();
  if (!step.training) return e;
  std::vector<std::string> keys;
  std::vector<Tensor> leaves;
  for (const auto& [key, leaf] : globals()) {
    keys.push_back(key);
    leaves.push_back(leaf);
  }
  const auto gradients = gradients_of({sum}, leaves);
  for (size_t i = 0; i < keys.size(); ++i) e.sums[keys[i]] = gradients[i];
  return e;
}

std::map<std::string, std::vector<double>> Model::report(const Expectation& total) const {
  std::map<std::string, std::vector<double>> values;
  const double count = total.count.item<double>();
  for (const auto& [name, sum] : total.metrics) {
    const Tensor mean = (sum.to(at::kDouble) / count).reshape({-1}).contiguous();
    values[name] = {mean.data_ptr<double>(), mean.data_ptr<double>() + mean.numel()};
  }
  return values;
}

void Model::m_step(const Expectation& total, const Step& step, const Rng& rng) {
  // A batch whose bound is no number may spoil the statistics of a conjugate block, which forgets nothing.
  const bool usable = !skips_outliers() || std::isfinite(total.bound.item<double>());
  for (const auto& block : blocks_)
    if (usable || block->skips_outliers()) block->m_step(total, step, rng);
}

Tensor Model::kl_global() const {
  return sum_over(blocks_, [](const Block& b) { return b.kl_global(); });
}
Tensor Model::linear(const Expectation& total) const {
  return sum_over(blocks_, [&](const Block& b) { return b.linear(total); });
}
Tensor Model::gain() const {
  return sum_over(blocks_, [](const Block& b) { return b.gain(); });
}

bool Model::closed_form() const {
  bool conjugate = false;
  for (const auto& block : blocks_) {
    if (!block->conjugate() && !block->globals().empty()) return false;
    conjugate = conjugate || block->conjugate();
  }
  return conjugate;
}

bool Model::skips_outliers() const {
  return std::any_of(blocks_.begin(), blocks_.end(), [](const auto& block) { return block->skips_outliers(); });
}

bool Model::swap_averages() {
  bool any = false;
  for (const auto& block : blocks_) any = block->swap_averages() || any;
  return any;
}

bool Model::sampled() const {
  return std::any_of(blocks_.begin(), blocks_.end(), [](const auto& block) { return block->sampled(); });
}

std::map<std::string, double> Model::diagnostics() const {
  std::map<std::string, double> all;
  for (const auto& block : blocks_) all.merge(block->diagnostics());
  return all;
}

bool Model::floored() const {
  for (const auto& [name, value] : diagnostics())
    if (value > 0 && name.find(".floored") != std::string::npos) return true;
  return false;
}

TensorMap Model::globals() const {
  TensorMap all;
  for (const auto& block : blocks_) all.merge(block->globals());
  return all;
}

TensorMap Model::state() const {
  TensorMap all;
  for (const auto& block : blocks_) all.merge(block->state());
  return all;
}

void Model::load(const TensorMap& state) {
  TensorMap before = this->state();
  for (auto& entry : before) entry.second = entry.second.detach().clone();
  try {
    for (const auto& block : blocks_) block->load(state);
  } catch (...) {
    for (const auto& block : blocks_) block->load(before);
    throw;
  }
}

const Method* Model::find(const std::vector<Method>& methods, const std::string& name) {
  for (const Method& method : methods)
    if (method.name == name) return &method;
  return nullptr;
}

}  // namespace vem
