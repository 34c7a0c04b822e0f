// Exported files against the program, for every plug-in that draws: what a file computes from its own draws, and how
// its draws are distributed. The program's draws stand for the
// right distribution; observations_test, factored_test, priors_test and hmm_test hold them to their densities.
// Legend: N draws, C columns of a draw, D features, K components.
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <set>
#include <tuple>

#include "support/amortised.h"
#include "support/models.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/infer/allocation.h"
#include "vem/infer/observation.h"
#include "vem/infer/posterior.h"
#include "vem/infer/prior.h"
#include "vem/train/exporter.h"

namespace vem {
namespace export_draws_test {

// Few rows a component, so that a predictive density has tails that no point has: normal draws in the place of those of
// a Student-t, or mean rates in the place of drawn ones, are then 7 to 18 standard deviations off.
constexpr int64_t kItems = 12;
constexpr int64_t kDraws = 6000;      // single rows
constexpr int64_t kSequences = 400;   // a call each
constexpr int64_t kSteps = 4;         // of a sequence
constexpr double kDeviations = 5.5;   // a false alarm in 1e7 comparisons; the table makes some 1e4
constexpr double kKolmogorov = 2.69;  // of largest distances between distribution functions: a false alarm in 1e6

/// A plug-in that draws, and the model around it.
struct Row {
  std::string kind, plugin, name, toml;
  Sample sample;
};

std::vector<Row> observation_rows() {
  const std::vector<std::tuple<std::string, std::string, Sample>> families{
      {"normal", "covariance = \"full\"", Sample::blobs},
      {"normal", "covariance = \"diagonal\"", Sample::blobs},
      {"normal", "covariance = \"tied\"", Sample::blobs},
      {"normal", "covariance = \"spherical\"", Sample::blobs},
      {"normal", "covariance = \"factor\"", Sample::blobs},
      {"normal", "covariance = \"ppca\"", Sample::blobs},
      {"autoregressive", "order = 2", Sample::sequences},
      {"bernoulli", "", Sample::bits},
      {"categorical", "num_symbols = 3", Sample::symbols},
      {"multinomial", "num_trials = 20", Sample::counts},
      {"poisson", "", Sample::counts},
      {"exponential", "", Sample::durations},
      {"product",
       "normal_columns = \"x2,x0\"\npoisson_columns = \"x1\"\ncategorical_columns = \"x3\"\n"
       "[model.observation.normal]\nkind = \"normal\"\ncovariance = \"diagonal\"\n"
       "[model.observation.categorical]\nkind = \"categorical\"\nnum_symbols = 3",
       Sample::mixed}};
  std::vector<Row> rows;
  for (const auto& [name, options, sample] : families)
    for (const std::string estimate : {"map", "posterior", "gibbs"}) {
      const bool low_rank = options.find("factor") != std::string::npos || options.find("ppca") != std::string::npos;
      if (low_rank && estimate != "map") continue;                 // refused: there is no conjugate posterior
      if (name == "multinomial" && estimate == "gibbs") continue;  // refused: the counts have gaps
      rows.push_back(
          {"observation", name, fmt::format("{} {} {}", name, options.substr(0, options.find('\n')), estimate),
           fmt::format("kind = \"{}\"\nnum_components = {}\nestimate = \"{}\"\n[model.observation]\nkind = "
                       "\"{}\"\n{}\n",
                       sample == Sample::sequences ? "hmm" : "mixture", low_rank ? 2 : 3, estimate, name, options),
           sample});
    }
  return rows;
}

std::vector<Row> allocation_rows() {
  const std::vector<std::tuple<std::string, std::string, std::vector<std::string>>> allocations{
      {"mixture-weights", "", {"map", "posterior"}},
      {"stick-breaking", "", {"map", "posterior"}},
      {"markov-chain", "", {"map", "posterior"}},
      {"markov-chain", ", topology = \"left-right\", max_step = 1, start = \"first\"", {"ml", "posterior"}},
      {"markov-chain", ", topology = \"left-right\", start = \"uniform\"", {"ml"}},
      {"markov-chain", ", state_components = 2", {"map", "posterior"}}};
  std::vector<Row> rows;
  for (const auto& [name, options, estimates] : allocations)
    for (const std::string& estimate : estimates)
      rows.push_back({"allocation", name, name + options + " " + estimate,
                      fmt::format("kind = \"mixture\"\nnum_components = 3\nestimate = \"{}\"\nallocation = {{kind = "
                                  "\"{}\"{}}}\n[model.observation]\nkind = \"normal\"\ncovariance = \"diagonal\"\n",
                                  estimate, name, options),
                      name == "markov-chain" ? Sample::sequences : Sample::blobs});
  return rows;
}

/// Linear decoders into three columns, of which the two latents can be told.
Row vae_row(const std::string& kind, const std::string& plugin, const std::string& top, const std::string& name = "",
            Sample sample = Sample::blobs) {
  const std::string networks =
      sample == Sample::sequences
          ? "encoder = {kind = \"gru\", hidden = 4}\ndecoder = {kind = \"gru\", hidden = 4}\n"
          : "encoder = {kind = \"mlp\", widths = [4]}\ndecoder = {kind = \"mlp\", widths = []}\n";
  const std::string size = top.find("latent_dim") == std::string::npos ? "latent_dim = 2\n" : "";
  return {kind, plugin, "vae " + (name.empty() ? plugin : name),
          "kind = \"vae\"\nlikelihood = \"normal\"\nstandardize = true\n" + size + networks + top, sample};
}

std::vector<Row> vae_rows() {
  std::vector<Row> rows;
  const auto prior = [&](const std::string& plugin, const std::string& options, const std::string& name = "") {
    rows.push_back(vae_row("prior", plugin, fmt::format("prior = {{kind = \"{}\"{}}}\n", plugin, options), name));
  };
  prior("standard", "");
  prior("normal", "");
  prior("normal-mixture", ", num_components = 3");
  prior("maf", ", num_flows = 2, widths = [6]");
  prior("real-nvp", ", num_flows = 2, widths = [6]");
  for (const std::string covariance : {"full", "diagonal"})
    prior("mixture",
          ", num_components = 3, estimate = \"map\", observation = {kind = \"normal\", covariance = \"" + covariance +
              "\"}",
          "mixture " + covariance);
  for (const std::string posterior : {"diagonal", "full", "low-rank"})
    rows.push_back(vae_row("posterior", posterior,
                           "posterior = \"" + posterior + "\"\nprior = {kind = \"vamp\", num_components = 3}\n"));
  prior("vamp", ", num_components = 3, learned = false");
  rows.push_back(vae_row("prior", "categorical",
                         "latent_dim = 6\nprior = {kind = \"categorical\", learned = true}\n"
                         "posterior = {kind = \"categorical\", num_classes = 3}\n"));
  rows.push_back({"prior", "conditional", "vae of two levels",
                  "kind = \"vae\"\nlikelihood = \"normal\"\nstandardize = true\ndecoder = {widths = []}\n"
                  "[model.latent.z2]\ndim = 2\nencoder = {widths = [4]}\n[model.latent.z1]\ndim = 2\ngiven = \"x, "
                  "z2\"\nparents = \"z2\"\nencoder = {widths = [4]}\nprior = {kind = \"conditional\", network = "
                  "{widths = [4]}}\n",
                  Sample::blobs});
  rows.push_back(vae_row("model", "vae", "precision = \"float64\"\nprior = \"normal\"\n", "in float64"));
  rows.push_back(
      vae_row("model", "vae", "latents = \"sequences\"\nprior = \"normal\"\n", "of sequences", Sample::sequences));
  return rows;
}

std::vector<Row> every_row() {
  std::vector<Row> all = observation_rows();
  for (const Row& row : allocation_rows()) all.push_back(row);
  for (const Row& row : vae_rows()) all.push_back(row);
  return all;
}

/// Fitted to a few items (of sequences, rows); what an optimiser moves is moved on, away from where it starts.
std::shared_ptr<Model> fitted(const Row& row) {
  const Dataset data = sample_data(row.sample).first(row.sample == Sample::sequences ? kItems / 6 : kItems);
  const auto model = make_model("[model]\n" + row.toml, data);
  FitOptions options;
  options.epochs = 3;
  fit(*model, data, options, {plugins()});
  for (const auto& block : model->blocks())
    if (!block->conjugate())
      for (const auto& [name, tensor] : block->globals())
        tensor.detach().add_(
            Rng(4).normal(items(tensor.numel()), {}, name).view(tensor.sizes()).to(tensor.scalar_type()), 0.5);
  return model;
}

// ---- the two sides ----

using Tensors = std::vector<Tensor>;

/// A model and the file that it was exported to.
class Pair {
 public:
  explicit Pair(std::shared_ptr<const Model> model) : model_(std::move(model)), methods_(model_->methods()) {
    const TemporaryFolder folder;
    export_torchscript(*model_, "", folder.file("model.pt"));
    file_ = torch::jit::load(folder.file("model.pt"));
  }
  const std::vector<Method>& methods() const { return methods_; }
  const Method* find(const std::string& name) const { return Model::find(methods_, name); }
  /// The type in which the program takes rows x; the file takes any.
  at::ScalarType dtype(const Tensor& x) const {
    return model_->dtype() == at::ScalarType::Undefined ? x.scalar_type() : model_->dtype();
  }
  bool has(const Method& method) const { return file_.find_method(method.name).has_value(); }

  Tensors program(const Method& method, const Tensors& inputs, uint64_t seed = 0) const {
    return method.call(inputs, Rng(seed));
  }
  Tensors file(const Method& method, const Tensors& inputs) const {
    torch::jit::Stack stack;
    for (size_t i = 0; i < inputs.size(); ++i)
      stack.push_back(is_integer(method, i) ? c10::IValue(inputs[i].item<int64_t>()) : c10::IValue(inputs[i]));
    const c10::IValue out = file_.get_method(method.name)(stack);
    if (out.isTensor()) return {out.toTensor()};
    Tensors outputs;
    for (const c10::IValue& each : out.toTupleRef().elements()) outputs.push_back(each.toTensor());
    return outputs;
  }

 private:
  static bool is_integer(const Method& method, size_t i) {
    const auto& names = method.integers;
    return std::find(names.begin(), names.end(), method.inputs[i]) != names.end();
  }

  std::shared_ptr<const Model> model_;
  std::vector<Method> methods_;
  torch::jit::Module file_;
};

/// What sample() gives: rows of single items, or of kSequences sequences one after the other.
struct Draws {
  Tensor x, label, offsets;
};

/// A chain gives one sequence a call.
template <class Call>
Draws draws_of(int64_t n, bool chain, const Call& sample) {
  Tensors x, label;
  for (int64_t i = 0; i < (chain ? n : 1); ++i) {
    const Tensors out = sample(at::scalar_tensor(chain ? kSteps : n, at::kLong), static_cast<uint64_t>(i));
    x.push_back(out[0].to(at::kDouble));
    if (out.size() > 1) label.push_back(out[1]);
  }
  return {at::cat(x), label.empty() ? Tensor() : at::cat(label),
          chain ? at::arange(n + 1, at::kLong) * kSteps : Tensor()};
}

/// A row a draw [N, C] float64: its cells and components and, where the model gives one, its log density.
Tensor table(const Pair& pair, const Draws& draws, int64_t num_items) {
  Tensors columns{draws.x.reshape({num_items, -1})};
  if (draws.label.defined()) columns.push_back(draws.label.to(at::kDouble).view({num_items, -1}));
  if (const Method* density = pair.find("log_prob"))
    columns.push_back(
        pair.program(*density, draws.offsets.defined() ? Tensors{draws.x, draws.offsets} : Tensors{draws.x})[0].view(
            {num_items, 1}));
  return at::cat(columns, 1);
}

// ---- comparisons ----

/// Bounded or slowly growing functions of the columns, which have all moments however heavy the tails are: of each
/// column one for its place and one for its spread and tails, of each pair one for their dependence.
Tensor features(const Tensor& u) {
  const Tensor inside = at::tanh(u), pair = at::triu_indices(u.size(1), u.size(1), 1, at::kLong);
  return at::cat({inside, at::log1p(u * u), inside.index_select(1, pair[0]) * inside.index_select(1, pair[1])}, 1);
}

/// The largest difference of the means of features, in standard deviations.
double deviations(const Tensor& a, const Tensor& b) {
  const Tensor all = at::cat({a, b}), center = std::get<0>(all.median(0)),
               scale = (all - center).abs().mean(0).clamp_min(1e-9);
  const Tensor f = features((a - center) / scale), g = features((b - center) / scale);
  const Tensor error = (f.var(0) / f.size(0) + g.var(0) / g.size(0)).sqrt();
  return ((f.mean(0) - g.mean(0)).abs() / error.clamp_min(1e-12)).max().item<double>();
}

/// The largest distance of two empirical distribution functions, times the root of n m / (n + m).
double kolmogorov(const Tensor& a, const Tensor& b) {
  const Tensor x = std::get<0>(a.contiguous().sort()), y = std::get<0>(b.contiguous().sort()), all = at::cat({x, y});
  const auto n = static_cast<double>(x.numel()), m = static_cast<double>(y.numel());
  const Tensor below_x = at::searchsorted(x, all, false, true).to(at::kDouble) / n,
               below_y = at::searchsorted(y, all, false, true).to(at::kDouble) / m;
  return (below_x - below_y).abs().max().item<double>() * std::sqrt(n * m / (n + m));
}

/// The largest deviation of the shares of labels from their probabilities p [K], in standard deviations.
double deviations_of(const Tensor& label, const Tensor& p) {
  if (label.numel() == 0) return 0;
  const auto n = static_cast<double>(label.numel());
  const Tensor share = at::bincount(label, {}, p.numel()).to(at::kDouble) / n;
  return ((share - p).abs() / (p * (1 - p) / n).sqrt().clamp_min(1e-12)).max().item<double>();
}

/// Paths of a chain against its own probabilities.
void expect_paths(const Pair& pair, const Tensor& label) {
  const Method& parameters = *pair.find("allocation_parameters");
  const Tensors values = pair.program(parameters, {});
  const Tensor start = values[0], transition = values[1], path = label.view({kSequences, kSteps});
  EXPECT_LT(deviations_of(path.select(1, 0), start), kDeviations);
  const Tensor from = path.slice(1, 0, -1).flatten(), to = path.slice(1, 1).flatten();
  for (int64_t k = 0; k < start.numel(); ++k)
    EXPECT_LT(deviations_of(to.index({from.eq(k)}), transition[k]), kDeviations) << "from state " << k;
}

/// Every exported method that takes rows, or items of them.
void expect_same_numbers(const Pair& pair, const Tensor& x, const Tensor& offsets) {
  TensorMap inputs{{"x", x}};
  if (offsets.defined()) inputs["offsets"] = offsets;
  for (const Method& method : pair.methods()) {
    if (!pair.has(method)) continue;
    Tensors in;
    for (const std::string& name : method.inputs)
      if (inputs.count(name)) in.push_back(inputs.at(name));
    if (in.empty() || in.size() != method.inputs.size()) continue;
    const Tensors theirs = pair.file(method, in);
    in[0] = in[0].to(pair.dtype(x));
    const Tensors ours = pair.program(method, in);
    ASSERT_EQ(ours.size(), theirs.size()) << method.name;
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].scalar_type(), theirs[i].scalar_type()) << method.name;
      const double tolerance = ours[i].scalar_type() == at::kFloat ? 1e-4 : 1e-9;  // rounding of products
      EXPECT_TRUE(ours[i].sizes() == theirs[i].sizes() && at::allclose(ours[i], theirs[i], tolerance, tolerance, true))
          << method.name << " differs by " << difference(ours[i], theirs[i]);
    }
  }
}

TEST(ExportedDraws, FollowTheProgramsDistribution) {
  const at::NoGradGuard off;
  at::manual_seed(1);
  for (const Row& row : every_row()) {
    SCOPED_TRACE(row.name);
    const Pair pair(fitted(row));
    const Method& sample = *pair.find("sample");
    ASSERT_TRUE(pair.has(sample));
    const bool chain = pair.find("allocation_parameters") != nullptr;
    const int64_t n = row.sample == Sample::sequences ? kSequences : kDraws;
    const Draws ours =
        draws_of(n, chain, [&](const Tensor& count, uint64_t seed) { return pair.program(sample, {count}, seed); });
    const Draws theirs = draws_of(n, chain, [&](const Tensor& count, uint64_t) { return pair.file(sample, {count}); });
    const Tensor a = table(pair, ours, n), b = table(pair, theirs, n);
    ASSERT_EQ(a.sizes(), b.sizes());
    EXPECT_LT(deviations(a, b), kDeviations);
    for (int64_t c = 0; c < a.size(1); ++c) EXPECT_LT(kolmogorov(a.select(1, c), b.select(1, c)), kKolmogorov) << c;
    if (chain) expect_paths(pair, theirs.label);
    expect_same_numbers(pair, ours.x, chain ? at::cat({ours.offsets.slice(0, 0, 1), ours.offsets}) : Tensor());
    const Dataset all = sample_data(row.sample);  // of families of independent cells, with missing ones
    expect_same_numbers(pair, all.columns.at("x"), all.offsets);
  }
}

TEST(ExportedDraws, EveryPluginThatDrawsHasARow) {
  std::set<std::pair<std::string, std::string>> covered;
  for (const Row& row : every_row()) {
    covered.insert({row.kind, row.plugin});
    EXPECT_NE(row.toml.find("\"" + row.plugin + "\""), std::string::npos) << row.name;
  }
  for (const char* kind : {Observation::kKind, Allocation::kKind, Prior::kKind, Posterior::kKind})
    for (const Plugin* plugin : plugins().list(kind)) {
      const std::string name = plugins().resolve(kind, plugin->name).name;
      if (kind == std::string(Posterior::kKind)) {  // a prior is made of those whose z is a draw of at()
        const auto block = parameter_block();
        const auto posterior = plugins().create<Posterior>({kind, name, nullptr}, {10, at::kFloat, block, &plugins()});
        if (posterior->discrete() || posterior->flows()) continue;
      }
      EXPECT_TRUE(covered.count({kind, name})) << kind << " " << name << " needs a row in this file";
    }
}

}  // namespace export_draws_test
}  // namespace vem
