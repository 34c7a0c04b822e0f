// What a closed-form model can do: its allocation's readouts of the log-likelihoods of rows, its parameters, and draws.
#include "factored_model.h"

namespace vem {

using Tensors = std::vector<Tensor>;

Tensor FactoredModel::log_lik(const Tensor& x, bool predictive) const {
  const Observation& observation = part_.observation();
  const Tensor log_p = predictive && posterior() ? observation.log_predictive(scaled(x))
                                                 : observation.log_prob(scaled(x), observation.point());
  return log_p + log_unit(x).unsqueeze(-1);
}

/// Independent rows need nothing but x; ragged items come with their offsets.
Method FactoredModel::method_of(const Allocation::Readout& readout) const {
  const bool rows = part_.allocation().independent_rows();
  Method method{readout.name, readout.help, {"x"}, readout.outputs, {}};
  if (!rows) method.inputs.push_back("offsets");
  if (rows) method.example = {at::zeros({2, schema_.num_features()}, at::kDouble)};
  method.call = [this, readout, rows](const Tensors& in, const Rng&) {
    Batch batch;
    if (!rows) batch.offsets = in[1];
    const int64_t items = rows ? in[0].size(0) : in[1].size(0) - 1;
    batch.index = at::arange(items, at::kLong);
    batch.weight = at::ones({items}, at::kDouble);
    return readout.call(log_lik(in[0], readout.predictive), batch, part_.point());
  };
  if (!readout.script.empty())
    method.script = fmt::format("def {}(self, x, offsets):\n    log_lik = self.{}(x)\n{}", readout.name,
                                row_method(readout.predictive), readout.script);
  return method;
}

Method FactoredModel::component_parameters() const {
  const Observation& observation = part_.observation();
  const std::vector<std::string> names = observation.parameters();
  Method method{"component_parameters",
                fmt::format("weights, {} of the components, in the units of the data", fmt::join(names, ", ")),
                {},
                {"weights"},
                [this, &observation, names](const Tensors&, const Rng&) {
                  const TensorMap parts =
                      observation.rescaled(observation.describe(observation.point()), scale(), center());
                  Tensors all{part_.allocation().log_weights().exp().squeeze(0)};
                  for (const std::string& name : names) all.push_back(parts.at(name));
                  return all;
                }};
  method.outputs.insert(method.outputs.end(), names.begin(), names.end());
  return method;
}

const char* FactoredModel::row_method(bool predictive) const {
  return predictive && posterior() ? "log_predictive" : "log_lik";
}

/// What scripts of dependent rows call.
std::vector<Method> FactoredModel::row_methods() const {
  std::vector<Method> all;
  const auto add = [&](const std::string& help, bool predictive) {
    Method method{row_method(predictive), help, {"x"}, {row_method(predictive)}, {}};
    method.example = {at::zeros({2, schema_.num_features()}, at::kDouble)};
    method.call = [this, predictive](const Tensors& in, const Rng&) { return Tensors{log_lik(in[0], predictive)}; };
    all.push_back(method);
  };
  add("log density of each row in each state, as in the E-step", false);
  if (posterior()) add("log predictive density of each row in each state", true);
  return all;
}

/// Rows are independent, so what is missing depends on its own row only.
Method FactoredModel::impute() const {
  return {"impute",
          "rows with expected values in their missing cells (of symbols, the most probable)",
          {"x"},
          {"x"},
          [this](const Tensors& in, const Rng&) {
            const Observation& observation = part_.observation();
            const Tensor x = scaled(in[0]), t = observation.point();
            const Tensor log_joint = part_.allocation().log_joint(observation.log_prob(x, t), part_.point());
            return Tensors{observation.completed(x, t, at::softmax(log_joint, -1)) * scale() + center()};
          }};
}

Method FactoredModel::sample() const {
  Method method{"sample",
                "rows drawn from the density that log_prob gives, and their components",
                {"n"},
                {"x", "label"},
                [this](const Tensors& in, const Rng& rng) {
                  const auto [x, component] = part_.sample(in[0].item<int64_t>(), rng);
                  return Tensors{x * scale() + center(), component};
                }};
  method.integers = {"n"};
  method.script = "def sample(self, n: int):\n    label = " + part_.allocation().sample_script() + "\n" +
                  part_.observation().sample_script() +
                  "    return x * self.scaling.scale + self.scaling.center, label\n";
  return method;
}

/// Rows to come, where rows depend on each other: moments of the mixture that the state probabilities make.
Method FactoredModel::forecast() const {
  const Method parameters = component_parameters();
  const auto place = [&](const char* name) {
    return std::find(parameters.outputs.begin(), parameters.outputs.end(), name) - parameters.outputs.begin();
  };
  const auto none = static_cast<int64_t>(parameters.outputs.size());
  const int64_t means = place("means"), variances = place("variances"), covariances = place("covariances");
  const bool moments = means < none && std::min(variances, covariances) < none;
  Method method{"forecast",
                "probabilities of the states 1 .. horizon rows after the end of each sequence, and moments of the rows",
                {"x", "offsets", "horizon"},
                {"states"},
                {}};
  if (moments) method.outputs = {"states", "mean", "variance"};
  method.integers = {"horizon"};
  method.call = [=](const Tensors& in, const Rng& rng) {
    const int64_t items = in[1].size(0) - 1, horizon = in[2].item<int64_t>();
    Batch batch;
    batch.offsets = in[1];
    batch.index = at::arange(items, at::kLong);
    batch.weight = at::ones({items}, at::kDouble);
    const Tensor p = part_.allocation().forecast(log_lik(in[0], true), batch, horizon);
    if (!moments) return Tensors{p};
    const Tensors values = parameters.call({}, rng);
    const auto at = [&](int64_t i) { return values[static_cast<size_t>(i)]; };
    const Tensor spread = variances < none ? at(variances) : at(covariances).diagonal(0, 1, 2);
    const Tensor mean = at::matmul(p, at(means));
    return Tensors{p, mean, at::matmul(p, spread + at(means).square()) - mean.square()};
  };
  return method;
}

std::vector<Method> FactoredModel::methods() const {
  at::NoGradGuard no_grad;
  std::vector<Method> all;
  for (const Allocation::Readout& readout : part_.allocation().readouts()) all.push_back(method_of(readout));
  if (!part_.allocation().independent_rows())
    for (const Method& method : row_methods()) all.push_back(method);
  if (!part_.allocation().independent_rows()) all.push_back(forecast());
  all.push_back(component_parameters());
  if (part_.allocation().independent_rows()) all.push_back(impute());
  all.push_back(sample());
  return all;
}

}  // namespace vem
