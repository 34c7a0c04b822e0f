#include "refinement.h"

#include "vem/infer/gradients.h"

namespace vem {
namespace {

constexpr int64_t kConvergenceCheck = 5;    // inner steps between two tests for convergence
constexpr int64_t kCheckSamples = 4;        // draws of z that such a test takes at least
constexpr double kSmallestStep = 1.0 / 16;  // share of the inner learning rate at which an item rests

/// Directions of Adam (Kingma and Ba 2015) for the parameters of q; the second moment forgets faster than a network's.
class InnerAdam {
 public:
  explicit InnerAdam(const Tensor& like) : first_(at::zeros_like(like)), second_(at::zeros_like(like)) {}
  Tensor direction(const Tensor& gradient) {
    ++steps_;
    first_ = 0.9 * first_ + 0.1 * gradient;
    second_ = 0.99 * second_ + 0.01 * gradient * gradient;
    const double t = static_cast<double>(steps_);
    return (first_ / (1 - std::pow(0.9, t))) / ((second_ / (1 - std::pow(0.99, t))).sqrt() + 1e-8);
  }

 private:
  Tensor first_, second_;
  int64_t steps_ = 0;
};

/// The step size of each item [B, 1]: halved where its bound set no new mark twice running, and 0 once it is small.
class StepSizes {
 public:
  StepSizes(double largest, double tolerance, const Tensor& like)
      : largest_(largest), tolerance_(tolerance), rate_(at::full_like(like, largest)), stalls_(at::zeros_like(like)) {}
  const Tensor& rate() const { return rate_; }
  bool all_rest() const { return !rate_.any().item<bool>(); }
  void look(const Tensor& bound) {
    if (!best_.defined()) {
      best_ = bound;
      return;
    }
    const Tensor rose = bound - best_ > tolerance_;
    best_ = at::where(rose, bound, best_);
    stalls_ = at::where(rose, at::zeros_like(stalls_), stalls_ + 1);
    const Tensor halve = stalls_ == 2;
    stalls_ = at::where(halve, at::zeros_like(stalls_), stalls_);
    rate_ = at::where(halve, 0.5 * rate_, rate_);
    rate_ = at::where(rate_ < kSmallestStep * largest_, at::zeros_like(rate_), rate_);
  }

 private:
  double largest_, tolerance_;
  Tensor rate_, stalls_, best_;
};

}  // namespace

Refinement::Refinement(const AmortizedOptions& options, const Inference& inference, const Objective& objective)
    : o_(options), inference_(inference), objective_(objective) {}

// Adam, with fresh noise each step. Every few steps the bound of each item is looked at on one fixed set of noise. The
// last q is taken, not that of the highest mark, which would be fitted to the fixed noise. What else is in the batch
// plays no part.
TensorMap Refinement::operator()(const World& columns, const Tensor& x, const TensorMap& start,
                                 const RefinementSettings& settings, const Step& step, const Rng& rng) const {
  if (start.empty()) return start;
  const int64_t check_samples = std::max(kCheckSamples, objective_.num_samples());
  const Rng check = rng.fold("inner check");
  const at::NoGradGuard off;
  TensorMap q;
  std::map<std::string, InnerAdam> adam;
  for (const auto& [name, value] : start) {
    q[name] = value.detach();
    adam.emplace(name, InnerAdam(value));
  }
  const Batch& batch = columns.batch(Level::rows);
  const Tensor weight = batch.weight.to(x.scalar_type()).clamp_min(1e-30).unsqueeze(-1);
  const auto spread = [&](const Tensor& of_items, const std::string& name) {
    const bool rows = batch.offsets.defined() && inference_.latents().find(name).level == Level::rows;
    return rows ? of_items.index_select(0, batch.row_item()) : of_items;
  };
  StepSizes sizes(o_.inner_learning_rate, o_.inner_tolerance, weight);
  const bool checks = !settings.settle && o_.inner_tolerance > 0 && settings.steps > kConvergenceCheck;
  if (checks) sizes.look(bounds(columns, x, q, check_samples, step, check));
  for (int64_t i = 1; i <= settings.steps; ++i) {
    const double share = settings.settle ? 1 - static_cast<double>(i - 1) / static_cast<double>(settings.steps) : 1;
    for (const auto& [name, gradient] : gradients(columns, x, q, step, rng.fold(static_cast<uint64_t>(i))))
      q[name] = q[name] + share * spread(sizes.rate(), name) *
                              adam.at(name).direction(gradient / spread(weight, name));  // whatever the weight
    if (!checks || i % kConvergenceCheck != 0) continue;
    sizes.look(bounds(columns, x, q, check_samples, step, check));
    if (sizes.all_rest()) break;
  }
  return q;
}

TensorMap Refinement::gradients(const World& columns, const Tensor& x, const TensorMap& own, const Step& step,
                                const Rng& rng) const {
  const at::AutoGradMode on(true);
  TensorMap leaves;
  std::vector<Tensor> inputs;
  for (const auto& [name, value] : own) {
    leaves[name] = value.detach().requires_grad_();
    inputs.push_back(leaves[name]);
  }
  const auto sampling = columns.with_columns();
  const auto draws = inference_.draw(*sampling, leaves, {objective_.num_samples()}, step, rng);
  const Pass pass = inference_.pass(draws, *sampling, x, step, Inference::Sums::none);
  const auto values = gradients_of(pass.outputs, inputs, pass.gradients);
  TensorMap result;
  size_t i = 0;
  for (const auto& entry : own) result[entry.first] = values[i++];
  return result;
}

Tensor Refinement::bounds(const World& columns, const Tensor& x, const TensorMap& own, int64_t samples,
                          const Step& step, const Rng& rng) const {
  const auto sampling = columns.with_columns();
  const auto draws = inference_.draw(*sampling, own, {samples}, step, rng);
  return inference_.pass(draws, *sampling, x, step, Inference::Sums::none).value.bound.unsqueeze(-1);
}

}  // namespace vem
