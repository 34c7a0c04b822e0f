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

std::vector<Method> FactoredModel::methods() const {
  at::NoGradGuard no_grad;
  std::vector<Method> all;
  for (const Allocation::Readout& readout : part_.allocation().readouts()) all.push_back(method_of(readout));
  all.push_back(component_parameters());
  if (part_.allocation().independent_rows()) all.push_back(impute());
  all.push_back(sample());
  return all;
}

}  // namespace vem
