// What a closed-form model can do: its allocation's readouts of the log-likelihoods of rows, its parameters, and draws.
#include "model.h"
#include "vem/infer/torchscript_library.h"

namespace vem {

using Tensors = std::vector<Tensor>;

// Rows of a long sequence are taken in blocks of so many: their statistics are much larger than they are.
constexpr int64_t kMethodRows = 1 << 15;

Tensor FactoredModel::row_log_lik(const Tensor& rows, bool predictive) const {
  const Observation& observation = part_.observation();
  const Tensor log_p = predictive && posterior() ? observation.log_predictive(scaled(rows))
                                                 : observation.log_prob(scaled(rows), observation.point());
  return log_p + log_unit(rows).unsqueeze(-1);
}

Tensor FactoredModel::log_lik(const Tensor& x, const Tensor& offsets, bool predictive) const {
  const int64_t lags = part_.observation().lags(), N = x.size(0);
  if (lags == 0 && N <= kMethodRows) return row_log_lik(x, predictive);
  if (torchscript::recording()) return row_log_lik(with_history(x.to(at::kDouble), offsets, lags), predictive);
  const RowReader rows = [&](int64_t begin, int64_t end) { return x.slice(0, begin, end).to(at::kDouble); };
  Tensors blocks;
  for (int64_t begin = 0; begin == 0 || begin < N; begin += kMethodRows)
    blocks.push_back(
        row_log_lik(with_history(rows, offsets, begin, std::min(N, begin + kMethodRows), lags), predictive));
  return at::cat(blocks);
}

/// Independent rows need nothing but x; ragged items come with their offsets.
Method FactoredModel::method_of(const Allocation::Readout& readout) const {
  const bool rows = part_.allocation().independent_rows();
  Method method{readout.name, readout.help, {"x"}, readout.outputs, {}};
  if (!rows) method.inputs.push_back("offsets");
  if (readout.traceable) {
    method.example = {at::zeros({2, schema_.num_features()}, at::kDouble)};
    if (!rows) method.example.push_back(at::tensor({0, 2}, at::kLong));
  }
  method.call = [this, readout, rows](const Tensors& in, const Rng&) {
    Batch batch;
    if (!rows) batch.offsets = in[1];
    const int64_t items = rows ? in[0].size(0) : in[1].size(0) - 1;
    batch.index = at::arange(items, at::kLong);
    batch.weight = at::ones({items}, at::kDouble);
    return readout.call(log_lik(in[0], batch.offsets, readout.predictive), batch, part_.point());
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

Method FactoredModel::allocation_parameters() const {
  Method method{"allocation_parameters", "", {}, {}, [this](const Tensors&, const Rng&) {
                  Tensors values;
                  for (const auto& [name, value] : part_.allocation().describe()) values.push_back(value);
                  return values;
                }};
  for (const auto& [name, value] : part_.allocation().describe()) method.outputs.push_back(name);
  method.help = fmt::format("{} of the states", fmt::join(method.outputs, ", "));
  return method;
}

/// Latent variables that components have of their own: those of one component after those of another.
Method FactoredModel::encode() const {
  Method method{
      "encode",
      "posterior means of the latent variables of a row, those of each component side by side",
      {"x"},
      {"z"},
      [this](const Tensors& in, const Rng&) { return Tensors{part_.observation().latents(scaled(in[0])).flatten(1)}; }};
  method.example = {at::zeros({2, schema_.num_features()}, at::kDouble)};
  return method;
}

const char* FactoredModel::row_method(bool predictive) const {
  return predictive && posterior() ? "log_predictive" : "log_lik";
}

/// Densities of single rows, where rows depend on each other.
std::vector<Method> FactoredModel::row_methods() const {
  const int64_t lags = part_.observation().lags();
  std::vector<Method> all;
  const auto add = [&](const std::string& help, bool predictive) {
    Method method{row_method(predictive), help, {lags > 0 ? "rows" : "x"}, {row_method(predictive)}, {}};
    method.example = {at::zeros({2, (1 + lags) * schema_.num_features()}, at::kDouble)};
    method.call = [this, predictive](const Tensors& in, const Rng&) { return Tensors{row_log_lik(in[0], predictive)}; };
    all.push_back(method);
  };
  add("log density of each row in each state, as in the E-step", false);
  if (posterior()) add("log predictive density of each row in each state", true);
  return all;
}

/// Rows are independent, so what is missing depends on its own row only.
Method FactoredModel::impute() const {
  return {"impute",
          "rows with expected values in their missing cells (of symbols, the most probable), under the density that "
          "log_prob gives; cells stay missing where the row is impossible",
          {"x"},
          {"x"},
          [this](const Tensors& in, const Rng&) {
            const Tensor r = at::softmax(row_log_lik(in[0], true) + part_.allocation().log_weights(), -1);
            const Tensor made = part_.observation().completed(scaled(in[0]), r) * scale() + center();
            return Tensors{at::where(in[0].isnan(), made, in[0].to(at::kDouble))};  // what is there stays as it is
          }};
}

Method FactoredModel::sample() const {
  return Method::of_draws(
      "sample", "rows drawn from the density that log_prob gives, and their components", {"x", "label"},
      [this](const Tensor& index, const Rng& rng) {
        const auto [x, component] = part_.sample(index, rng);
        return Tensors{x * scale() + center(), component.div(part_.allocation().per_state(), "floor")};
      });
}

/// Rows to come, where rows depend on each other: states, moments and intervals of numbers, probabilities of symbols.
Method FactoredModel::forecast() const {
  Method method{
      "forecast",
      "probabilities of the states 1 .. horizon rows after the end of each sequence; of each column the mean, "
      "the variance and a central interval that holds it with probability `level`, or probabilities of its "
      "symbols; of the density that log_prob gives",
      {"x", "offsets", "horizon", "level"},
      {"states", "mean", "variance", "lower", "upper"},
      {}};
  const Tensor is_symbol = part_.observation().symbol_columns();
  std::vector<size_t> symbols;
  for (int64_t d = 0; d < is_symbol.numel(); ++d)
    if (is_symbol[d].item<bool>()) symbols.push_back(static_cast<size_t>(d));
  if (is_symbol.all().item<bool>()) method.outputs = {"states"};
  for (const size_t d : symbols) method.outputs.push_back("probability_" + feature_name(d));
  method.integers = {"horizon"};
  method.call = [this, symbols](const Tensors& in, const Rng&) {
    const int64_t items = in[1].size(0) - 1, horizon = in[2].item<int64_t>();
    Batch batch;
    batch.offsets = in[1];
    batch.index = at::arange(items, at::kLong);
    batch.weight = at::ones({items}, at::kDouble);
    const Allocation::Outlook outlook = part_.allocation().outlook(log_lik(in[0], in[1], true), batch);
    Tensors steps{outlook.next};
    while (static_cast<int64_t>(steps.size()) < horizon) steps.push_back(at::mm(steps.back(), outlook.transition));
    const Tensor p = at::stack(steps, 1);
    const ColumnForecast columns = column_forecast(p, outlook, in[0], in[1], in[3].item<double>());
    Tensors all{p.view({items, horizon, options_.num_components, -1}).sum(-1)};
    if (symbols.size() < columns.symbols.size())
      all.insert(all.end(), {columns.mean * scale() + center(), columns.variance * scale().square(),
                             columns.lower * scale() + center(), columns.upper * scale() + center()});
    for (const size_t d : symbols) all.push_back(columns.symbols[d].view({items, horizon, -1}));
    return all;
  };
  return method;
}

std::string FactoredModel::feature_name(size_t column) const {
  return column < schema_.feature_names.size() ? schema_.feature_names[column] : fmt::format("x{}", column);
}

ColumnForecast FactoredModel::column_forecast(const Tensor& p, const Allocation::Outlook& outlook, const Tensor& x,
                                              const Tensor& offsets, double level) const {
  const Observation& observation = part_.observation();
  const int64_t lags = observation.lags(), items = p.size(0), horizon = p.size(1);
  if (lags > 0) {
    Tensors past;
    for (int64_t lag = 1; lag <= lags; ++lag) {
      const Tensor row = offsets.slice(0, 1) - lag, there = row.ge(offsets.slice(0, 0, -1)).unsqueeze(-1);
      past.push_back(at::where(there, scaled(x).index_select(0, row.clamp_min(0)), at::zeros({}, at::kDouble)));
    }
    return observation.forecast(outlook.next, outlook.transition, at::cat(past, 1), horizon, level);
  }
  ColumnForecast all = mixture_forecast(observation.marginals(), p.flatten(0, 1), level);
  for (Tensor* values : {&all.mean, &all.variance, &all.lower, &all.upper})
    *values = values->view({items, horizon, schema_.num_features()});
  return all;
}

std::vector<Method> FactoredModel::methods() const {
  at::NoGradGuard no_grad;
  std::vector<Method> all;
  for (const Allocation::Readout& readout : part_.allocation().readouts()) all.push_back(method_of(readout));
  if (!part_.allocation().independent_rows())
    for (const Method& method : row_methods()) all.push_back(method);
  if (!part_.allocation().independent_rows()) all.push_back(forecast());
  all.push_back(component_parameters());
  if (!part_.allocation().describe().empty()) all.push_back(allocation_parameters());
  if (part_.observation().num_latents() > 0) all.push_back(encode());
  if (part_.allocation().independent_rows()) all.push_back(impute());
  all.push_back(sample());
  return all;
}

}  // namespace vem
