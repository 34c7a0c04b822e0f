// What every optimiser does before and after its rule, written once.
#include "vem/infer/optimizer.h"

#include <set>

#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/core/target_clones.h"

namespace vem {
namespace {

constexpr int64_t kChunk = 65536;  // elements whose squares are added at once: the same order for any number of threads
constexpr double kSmallestNorm = 1e-7;  // added to a norm that gradients are divided by
constexpr double kNormDecay = 0.99;     // of the running mean of norms
constexpr int64_t kNormsBefore = 20;    // norms in that mean before a step can be an outlier

/// Partial sums side by side fill a vector; one running sum could not.
template <class T>
VEM_INLINE double add_squares(const T* x, int64_t n) {
  constexpr int64_t kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (const double lane : lanes) sum += lane;
  return sum;
}
VEM_CLONES double sum_of_squares(const float* x, int64_t n) { return add_squares(x, n); }
VEM_CLONES double sum_of_squares(const double* x, int64_t n) { return add_squares(x, n); }

double sum_of_squares(const Tensor& contiguous) {
  const int64_t size = contiguous.numel();
  std::vector<double> chunks(static_cast<size_t>((size + kChunk - 1) / kChunk));
  AT_DISPATCH_FLOATING_TYPES(contiguous.scalar_type(), "sum_of_squares", [&] {
    const scalar_t* x = contiguous.data_ptr<scalar_t>();
    at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c)
        chunks[static_cast<size_t>(c)] = sum_of_squares(x + c * kChunk, std::min(kChunk, size - c * kChunk));
    });
  });
  double sum = 0;
  for (const double chunk : chunks) sum += chunk;
  return sum;
}

/// The gradient sums of a parameter as a pass over memory wants them: that of a weight can come transposed.
Tensor contiguous_sums(const Parameter& p, const Tensor& sums) {
  if (sums.sizes() != p.value.sizes() || sums.scalar_type() != p.value.scalar_type())
    fail<NumericError>("m_step: the sums for {} have shape [{}] of {}, [{}] of {} is expected", p.name,
                       fmt::join(sums.sizes(), ", "), toString(sums.scalar_type()), fmt::join(p.value.sizes(), ", "),
                       toString(p.value.scalar_type()));
  return sums.contiguous();
}

/// Whether a parameter belongs to the group called after the beginning of its name: "encoder", "encoder.hidden".
bool begins_with(const std::string& name, const std::string& group) {
  return name.compare(0, group.size(), group) == 0 && (name.size() == group.size() || name[group.size()] == '.');
}

}  // namespace

void ParameterGroup::visit(OptionVisitor& v) {
  v("learning_rate", learning_rate, at_least(0), "what the learning rate is multiplied by here; 0: nothing moves");
  v("weight_decay", weight_decay, at_least(0), "what the weight decay is multiplied by here; 0: none");
  v("every", every,
    "move at every so many updates only, a number or a schedule; between them parameters and moments stay as they are");
}

void OptimizerOptions::visit(OptionVisitor& v) {
  v("learning_rate", learning_rate, "step size: a number or a schedule");
  v("weight_decay", weight_decay, at_least(0), "pull of every parameter towards zero; 0: none");
  v.when(weight_decay > 0, "weight_decay is positive", [&] {
    v("decoupled", decoupled,
      "shrink parameters by learning_rate * weight_decay a step (Loshchilov and Hutter 2019) instead of adding "
      "weight_decay * parameter to the gradient of the loss");
    v("decay_biases", decay_biases, "decay parameters of one dimension too: biases and scales");
  });
  v("normalize", normalize, "divide the gradient of each parameter, per item, by its norm + 1e-7");
  v.when(!normalize, "normalize is false", [&] {
    v("clip_norm", clip_norm, at_least(0),
      "largest norm of the gradient per item, over all parameters; 0: no clipping");
  });
  v("clip_value", clip_value, at_least(0),
    "largest size of an element of the gradient per item, after its norm; 0: no clipping");
  v("skip_above", skip_above, at_least(0),
    "leave out steps whose gradient's norm is above this multiple of its running mean, or not finite, and count them; "
    "0: never");
  v("average", average, {0, 0.9999999},
    "decay of the average of parameters over steps that validation, evaluation and export use; 0: the last ones");
  v("groups", groups, "there is such a table: NAME is how the names of its parameters begin (\"encoder\")");
}

Optimizer::Optimizer(const OptimizerOptions& options, const Context& context) : options_(options) {
  schedules_["learning_rate"] = context.registry.create<Schedule>(options.learning_rate, {context.registry});
  for (const auto& [name, group] : options.groups.entries)
    schedules_[name + ".every"] =
        context.registry.create<Schedule>(dynamic_cast<const ParameterGroup&>(*group).every, {context.registry});
}

std::vector<std::string> Optimizer::slots() const {
  std::vector<std::string> names = moments();
  if (averages()) names.push_back("average");
  return names;
}

void Optimizer::update(std::vector<Parameter>& parameters, const std::vector<Tensor>& sums, const Tensor& count,
                       const Step& step, OptimizerState& state) const {
  if (count.item<double>() == 0) return;  // a mean over nothing
  const double per_item = 1 / count.item<double>();
  const bool whole = options_.clip_norm > 0 && !options_.normalize;
  std::vector<Tensor> gradients;
  std::vector<double> squares;
  for (size_t i = 0; i < parameters.size(); ++i) gradients.push_back(contiguous_sums(parameters[i], sums.at(i)));
  double square = 0;
  if (whole || options_.normalize || skips())
    for (const Tensor& gradient : gradients) square += squares.emplace_back(sum_of_squares(gradient));
  const double norm = std::sqrt(square) * per_item;
  if (skips() && is_outlier(norm, state)) {
    ++state.skipped;
    return;
  }
  ++state.steps;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!is_due(parameters[i], step, state.steps)) continue;
    Update u = update_of(parameters[i], step.weight("learning_rate"));
    u.steps = ++parameters[i].updates;
    u.scale = per_item;
    if (whole && norm > options_.clip_norm) u.scale *= options_.clip_norm / norm;
    if (options_.normalize) u.scale /= std::sqrt(squares[i]) * per_item + kSmallestNorm;
    // A mean of the values so far that forgets: the weights of t values, 1 - d at first glance, add up to 1 - d^t.
    if (averages())
      u.average_weight = (1 - options_.average) / (1 - std::pow(options_.average, static_cast<double>(u.steps)));
    apply(parameters[i], gradients[i], u);
  }
}

/// An outlier enters the running mean as the largest norm that is none, so a lasting rise is followed in the end.
bool Optimizer::is_outlier(double norm, OptimizerState& state) const {
  if (!std::isfinite(norm)) return true;
  double limit = kInfinity;
  if (state.seen >= kNormsBefore)
    limit = options_.skip_above * state.norm / (1 - std::pow(kNormDecay, static_cast<double>(state.seen)));
  state.norm = kNormDecay * state.norm + (1 - kNormDecay) * std::min(norm, limit);
  ++state.seen;
  return norm > limit;
}

void Optimizer::check_groups(const std::vector<Parameter>& parameters) const {
  std::set<std::string> beginnings;
  for (const Parameter& p : parameters)
    for (size_t dot = p.name.find('.'); dot != std::string::npos; dot = p.name.find('.', dot + 1))
      beginnings.insert(p.name.substr(0, dot));
  for (const auto& [group, options] : options_.groups.entries) {
    const auto member = [&, g = group](const Parameter& p) { return begins_with(p.name, g); };
    if (std::any_of(parameters.begin(), parameters.end(), member)) continue;
    const std::string near = nearest(group, {beginnings.begin(), beginnings.end()});
    fail<ConfigError>("optimizer.groups.{}: no parameter is called {}.*; {}names begin with {}", group, group,
                      near.empty() ? "" : "did you mean " + near + "? ", fmt::join(beginnings, ", "));
  }
}

std::pair<const std::string*, const ParameterGroup*> Optimizer::group_of(const std::string& name) const {
  std::pair<const std::string*, const ParameterGroup*> found{};  // names are in order, so longer ones come later
  for (const auto& [group, options] : options_.groups.entries)
    if (begins_with(name, group)) found = {&group, dynamic_cast<const ParameterGroup*>(options.get())};
  return found;
}

bool Optimizer::is_due(const Parameter& parameter, const Step& step, int64_t steps) const {
  const std::string* group = group_of(parameter.name).first;
  return !group || steps % std::max<int64_t>(1, std::llround(step.weight(*group + ".every"))) == 0;
}

Update Optimizer::update_of(const Parameter& parameter, double learning_rate) const {
  const ParameterGroup* group = group_of(parameter.name).second;
  Update u;
  u.learning_rate = learning_rate * (group ? group->learning_rate : 1);
  const bool decays = options_.decay_biases || parameter.value.dim() > 1;
  const double decay = decays ? options_.weight_decay * (group ? group->weight_decay : 1) : 0;
  if (options_.decoupled)
    u.keep = 1 - u.learning_rate * decay;
  else
    u.coupled = decay;
  if (options_.clip_value > 0) u.clip = options_.clip_value;
  return u;
}

}  // namespace vem
