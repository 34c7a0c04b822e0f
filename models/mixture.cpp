// A mixture of any observation family in closed form: EM for maximum likelihood and MAP, variational Bayes with the
// exact bound for a posterior (Bishop, PRML, sections 9.2 and 10.2). Rows are taken about a centre that is fixed in
// initialize(), and with `standardize` in units of each column's standard deviation; densities come back in the user's
// units. A run with `restarts` follows Biernacki, Celeux and Govaert 2003 ("em-EM": short runs, then the best goes on).
#include "vem/core/error.h"
#include "vem/infer/factored.h"
#include "vem/infer/kmeans.h"
#include "vem/infer/model.h"

namespace vem {
namespace {

// k-means sees a random subset of this size at most; the rows beyond it join their nearest centre.
constexpr int64_t kKMeansRows = 50000;

enum class Start { kmeans, random, labels };

struct MixtureOptions final : ModelOptions {
  int64_t num_components = 2;
  Estimate estimate = Estimate::posterior;
  Precision precision = Precision::float64;
  Choice observation{"observation", "normal", nullptr}, allocation{"allocation", "mixture-weights", nullptr};
  bool standardize = true;
  Start start = Start::kmeans;
  int64_t restarts = 1, restart_passes = 10;

  bool has_conjugate() const override { return true; }
  bool has_gradient() const override { return false; }

  void visit(OptionVisitor& v) override {
    v("num_components", num_components, {1, 4096}, "components of the mixture");
    v("estimate", estimate, {{"ml", Estimate::ml}, {"map", Estimate::map}, {"posterior", Estimate::posterior}},
      "maximum likelihood, maximum a posteriori, or a posterior over all parameters");
    visit_precision(v, precision);
    visit_part(v, "observation", observation, "family of a component");
    visit_part(v, "allocation", allocation, "which component a row belongs to");
    v("standardize", standardize, "divide columns by their standard deviations; densities stay in the data's units");
    v("start", start, {{"kmeans++", Start::kmeans}, {"random", Start::random}, {"labels", Start::labels}},
      "first assignment of rows: k-means, the nearest of random rows, or the label column");
    v.when(start != Start::labels, "start is kmeans++ or random", [&] {
      v("restarts", restarts, {1, 1000},
        "starts that compete; the best bound wins, without floored variances if it can");
      v.when(restarts > 1, "restarts is above 1", [&] {
        v("restart_passes", restart_passes, {1, 10000}, "passes of each start before bounds are compared");
      });
    });
  }

 private:
  void visit_part(OptionVisitor& v, const char* name, Choice& choice, const char* help) const {
    ConjugateOptions::tell(choice, estimate);
    v(name, choice, help);
    ConjugateOptions::tell(choice, estimate);  // to options that were made on the way
  }
};

class Mixture final : public Model {
 public:
  Mixture(const MixtureOptions& options, const Context& context)
      : options_(options),
        schema_(context.schema),
        scaling_(std::make_shared<ConstantBlock>("scaling")),
        part_("", options.num_components, options.estimate,
              context.registry.create<Allocation>(options.allocation, {"", options.num_components, options.estimate}),
              context.registry.create<Observation>(
                  options.observation,
                  {context.schema.num_features(), scalar_type(options.precision), options.estimate})) {
    const int64_t D = schema_.num_features();
    scaling_->add("scaling.center", at::zeros({D}, at::kDouble));
    scaling_->add("scaling.scale", at::ones({D}, at::kDouble));
    blocks_ = {scaling_};
    for (const auto& block : part_.blocks()) blocks_.push_back(block);
  }

  void initialize(const Dataset& train, const Rng& rng) override;
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override;
  std::vector<Method> methods() const override;
  /// Rows arrive in float64 whatever the precision: centring comes before rounding.
  at::ScalarType dtype() const override { return at::kDouble; }

 private:
  const Tensor& center() const { return scaling_->get("scaling.center"); }
  const Tensor& scale() const { return scaling_->get("scaling.scale"); }
  Tensor scaled(const Tensor& x) const { return (x.to(at::kDouble) - center()) / scale(); }
  bool posterior() const { return options_.estimate == Estimate::posterior; }

  const Tensor& rows_of(const Batch& batch) const;
  void require_finite(const Tensor& x) const;
  void set_scaling(const Moments& moments);
  Tensor start_labels(const Tensor& x, const Batch& batch, const Rng& rng) const;
  Tensor label_column(const Batch& batch) const;
  void search(const Tensor& x, const Batch& batch, const Rng& rng);
  /// Whether some component sits on the variance floor, and the bound: what starts are compared by.
  std::pair<bool, double> score(const Tensor& x, const Batch& batch) const;

  Tensor log_prob(const Tensor& x) const;
  Tensor log_responsibilities(const Tensor& x) const;
  std::vector<Tensor> components() const;
  std::vector<Tensor> sample(int64_t n, const Rng& rng) const;
  std::string sample_script() const;

  MixtureOptions options_;
  Schema schema_;
  std::shared_ptr<ConstantBlock> scaling_;
  Factored part_;
};

// ---- data ----

const Tensor& Mixture::rows_of(const Batch& batch) const {
  const Tensor& x = batch.at("x");
  if (x.dim() != 2 || x.size(1) != schema_.num_features())
    fail<DataError>("mixture: x has shape [{}] but [rows, {}] is expected", fmt::join(x.sizes(), ", "),
                    schema_.num_features());
  return x;
}

void Mixture::require_finite(const Tensor& x) const {
  const Tensor bad = at::isfinite(x).logical_not().nonzero();
  if (bad.size(0) == 0) return;
  const int64_t row = bad[0][0].item<int64_t>(), column = bad[0][1].item<int64_t>();
  const auto place = static_cast<size_t>(column);
  const std::string name =
      place < schema_.feature_names.size() ? "\"" + schema_.feature_names[place] + "\"" : fmt::format("{}", column);
  fail<DataError>("mixture: x is {} in row {}, column {}; rows must be complete and finite",
                  x[row][column].item<double>(), row, name);
}

void Mixture::set_scaling(const Moments& moments) {
  const Tensor deviation = moments.covariance.diagonal().sqrt();
  scaling_->set("scaling.center", moments.mean);
  scaling_->set("scaling.scale", options_.standardize ? at::where(deviation > 0, deviation, at::ones_like(deviation))
                                                      : at::ones_like(deviation));
}

// ---- starts ----

void Mixture::initialize(const Dataset& train, const Rng& rng) {
  at::NoGradGuard no_grad;
  const Batch batch = train.batch(at::arange(train.size, at::kLong), 0, dtype());
  require_finite(rows_of(batch));
  if (!(batch.weight.sum().item<double>() > 0))
    fail<DataError>("mixture: the training data have no rows of any weight");
  const Moments moments = vem::moments(batch.at("x"), batch.weight);
  set_scaling(moments);
  const Tensor x = scaled(batch.at("x"));
  part_.set_priors({at::zeros_like(moments.mean), moments.covariance / at::outer(scale(), scale())});
  if (options_.start == Start::labels)
    part_.start(x, batch, label_column(batch));
  else
    search(x, batch, rng);
}

Tensor Mixture::label_column(const Batch& batch) const {
  const Tensor& labels = batch.at("label");
  const Tensor bad = (labels.lt(0) + labels.ge(options_.num_components)).nonzero();
  if (bad.size(0) > 0)
    fail<DataError>("mixture: start = \"labels\" needs labels in [0, {}], got {} in row {}",
                    options_.num_components - 1, labels[bad[0][0]].item<int64_t>(), bad[0][0].item<int64_t>());
  return labels;
}

Tensor Mixture::start_labels(const Tensor& x, const Batch& batch, const Rng& rng) const {
  const int64_t K = options_.num_components, N = x.size(0);
  if (N < K) fail<DataError>("mixture: {} rows are too few for {} components", N, K);
  const Tensor order = rng.permutation(N);
  if (options_.start == Start::random) return nearest_center(x, x.index_select(0, order.slice(0, 0, K)));
  if (N <= kKMeansRows) return kmeans(x, batch.weight, K, rng).labels;
  const Tensor some = order.slice(0, 0, std::max(kKMeansRows, 10 * K));
  return nearest_center(x, kmeans(x.index_select(0, some), batch.weight.index_select(0, some), K, rng).centers);
}

std::pair<bool, double> Mixture::score(const Tensor& x, const Batch& batch) const {
  bool floored = false;
  for (const auto& block : blocks_)
    for (const auto& [name, value] : block->diagnostics())
      floored = floored || (value > 0 && name.find(".floored") != std::string::npos);
  return {floored, (part_.expect(x, batch, globals()).bound - kl_global()).item<double>()};
}

void Mixture::search(const Tensor& x, const Batch& batch, const Rng& rng) {
  TensorMap before, best;
  for (const auto& [key, value] : state()) before[key] = value.detach().clone();
  std::pair<bool, double> best_score;
  for (int64_t r = 0; r < options_.restarts; ++r) {
    load(before);
    part_.start(x, batch, start_labels(x, batch, rng.fold(static_cast<uint64_t>(r))));
    if (options_.restarts == 1) return;
    for (int64_t pass = 0; pass < options_.restart_passes; ++pass)
      m_step(part_.expect(x, batch, globals()), Step(), rng);
    const std::pair<bool, double> ours = score(x, batch);
    const bool better = ours.first != best_score.first ? !ours.first : ours.second > best_score.second;
    if (!best.empty() && !better) continue;
    best_score = ours;
    for (const auto& [key, value] : state()) best[key] = value.detach().clone();
  }
  load(best);
}

// ---- E-step ----

Expectation Mixture::e_step(const Batch& batch, const Step&, const Rng&) const {
  at::NoGradGuard no_grad;
  const Tensor& x = rows_of(batch);
  Expectation e =
      part_.expect([&](int64_t begin, int64_t end) { return scaled(x.slice(0, begin, end)); }, batch, globals());
  e.bound = e.bound - e.count * scale().log().sum();
  if (!std::isfinite(e.bound.item<double>())) require_finite(x);  // not before: it costs a pass over the data
  return e;
}

// ---- methods ----

Tensor Mixture::log_prob(const Tensor& x) const {
  const Tensor log_lik = posterior() ? part_.observation().log_predictive(scaled(x), part_.components()->eta())
                                     : part_.observation().log_prob(scaled(x), part_.components()->t().detach());
  return at::logsumexp(log_lik + part_.allocation().log_weights(), -1) - scale().log().sum();
}

Tensor Mixture::log_responsibilities(const Tensor& x) const {
  TensorMap globals;
  for (const auto& block : part_.blocks()) globals[block->key()] = block->t().detach();
  const Tensor log_lik = part_.observation().log_prob(scaled(x), globals.at(part_.components()->key()));
  return at::log_softmax(part_.allocation().log_joint(log_lik, globals), -1);
}

std::vector<Tensor> Mixture::components() const {
  const TensorMap parts = part_.observation().describe(part_.components()->t().detach());
  std::vector<Tensor> all{part_.allocation().log_weights().exp().squeeze(0), parts.at("means") * scale() + center()};
  if (parts.count("covariances")) all.push_back(parts.at("covariances") * at::outer(scale(), scale()));
  if (parts.count("variances")) all.push_back(parts.at("variances") * scale() * scale());
  return all;
}

std::vector<Tensor> Mixture::sample(int64_t n, const Rng& rng) const {
  const auto [x, component] = part_.sample(n, rng);
  return {x * scale() + center(), component};
}

std::string Mixture::sample_script() const {
  return "def sample(self, n: int):\n    label = " + part_.allocation().sample_script() + "\n" +
         part_.observation().sample_script("components", options_.estimate) +
         "    return x * self.scaling.scale + self.scaling.center, label\n";
}

std::vector<Method> Mixture::methods() const {
  at::NoGradGuard no_grad;
  const std::vector<Tensor> example{at::zeros({2, schema_.num_features()}, at::kDouble)};
  // Which tensors describe() gives, asked at the prior: a model that was not initialised has no components yet.
  const int64_t D = schema_.num_features();
  const Tensor prior = part_.observation().prior(1, {at::zeros({D}, at::kDouble), at::eye(D, at::kDouble)});
  const TensorMap parts = part_.observation().describe(part_.observation().family()->mean(prior));
  const std::string spread = parts.count("covariances") ? "covariances" : "variances";
  using Tensors = std::vector<Tensor>;
  Method log_prob{"log_prob",
                  posterior() ? "log predictive density of each row, all parameters integrated out"
                              : "log density of each row at the estimate",
                  {"x"},
                  {"log_prob"},
                  [this](const Tensors& in, const Rng&) { return Tensors{this->log_prob(in[0])}; },
                  example};
  Method responsibilities{"responsibilities",
                          "posterior probability of each component for each row, as in the E-step",
                          {"x"},
                          {"responsibilities"},
                          [this](const Tensors& in, const Rng&) { return Tensors{log_responsibilities(in[0]).exp()}; },
                          example};
  Method predict{"predict",
                 "the most probable component of each row",
                 {"x"},
                 {"label"},
                 [this](const Tensors& in, const Rng&) { return Tensors{log_responsibilities(in[0]).argmax(-1)}; },
                 example};
  Method components{"component_parameters",
                    "weights, means and " + spread + " of the components, in the units of the data",
                    {},
                    {"weights", "means", spread},
                    [this](const Tensors&, const Rng&) { return this->components(); }};
  Method sample{"sample",
                "rows drawn from the density that log_prob gives, and their components",
                {"n"},
                {"x", "label"},
                [this](const Tensors& in, const Rng& rng) { return this->sample(in[0].item<int64_t>(), rng); },
                {},
                sample_script(),
                {"n"}};
  return {log_prob, responsibilities, predict, components, sample};
}

std::shared_ptr<Model> create(const MixtureOptions& options, const Model::Context& context) {
  return std::make_shared<Mixture>(options, context);
}

}  // namespace

void register_mixture(Registry& registry) {
  registry.add<Model, MixtureOptions>("mixture", "a mixture of any observation family, fitted in closed form", create,
                                      "train.epochs = 200");
}

}  // namespace vem
