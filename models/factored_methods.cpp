// What a closed-form model can do: its allocation's readouts of the log-likelihoods of rows, its parameters, and draws.
#include "factored_model.h"

namespace vem {

using Tensors = std::vector<Tensor>;

Tensor FactoredModel::log_lik(const Tensor& x, bool predictive) const {
  const ConjugateBlock& components = *part_.components();
  const Tensor log_p = predictive && posterior() ? part_.observation().log_predictive(scaled(x), components.eta())
                                                 : part_.observation().log_prob(scaled(x), components.t().detach());
  return log_p - scale().log().sum();
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
    TensorMap globals;
    for (const auto& block : part_.blocks()) globals[block->key()] = block->t().detach();
    return readout.call(log_lik(in[0], readout.predictive), batch, globals);
  };
  return method;
}

std::vector<Tensor> FactoredModel::components() const {
  const TensorMap parts = part_.observation().describe(part_.components()->t().detach());
  std::vector<Tensor> all{part_.allocation().log_weights().exp().squeeze(0), parts.at("means") * scale() + center()};
  if (parts.count("covariances")) all.push_back(parts.at("covariances") * at::outer(scale(), scale()));
  if (parts.count("variances")) all.push_back(parts.at("variances") * scale() * scale());
  return all;
}

Method FactoredModel::component_parameters() const {
  // Which tensors describe() gives, asked at the prior: a model that was not initialised has no components yet.
  const int64_t D = schema_.num_features();
  const Tensor prior = part_.observation().prior(1, {at::zeros({D}, at::kDouble), at::eye(D, at::kDouble)});
  const TensorMap parts = part_.observation().describe(part_.observation().family()->mean(prior));
  const std::string spread = parts.count("covariances") ? "covariances" : "variances";
  return {"component_parameters",
          "weights, means and " + spread + " of the components, in the units of the data",
          {},
          {"weights", "means", spread},
          [this](const Tensors&, const Rng&) { return this->components(); }};
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
                  part_.observation().sample_script("components", options_.estimate) +
                  "    return x * self.scaling.scale + self.scaling.center, label\n";
  return method;
}

std::vector<Method> FactoredModel::methods() const {
  at::NoGradGuard no_grad;
  std::vector<Method> all;
  for (const Allocation::Readout& readout : part_.allocation().readouts()) all.push_back(method_of(readout));
  all.push_back(component_parameters());
  all.push_back(sample());
  return all;
}

}  // namespace vem
