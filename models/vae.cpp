// The amortised model: prior x posterior x likelihood x objective x networks (Kingma and Welling 2014; Rezende et al.
// 2014), with three E-steps: an encoder, per-datum parameters optimised until the bound stops rising (textbook
// variational EM), or an encoder refined by a few such steps (Kim et al. 2018). Legend: B items of a batch, S samples,
// L latent dimensions, P numbers of q a row, D features.
#include "vem/core/error.h"
#include "vem/infer/likelihood.h"
#include "vem/infer/network.h"
#include "vem/infer/objective.h"

namespace vem {
namespace {

enum class EStep { amortized, local, semi_amortized };

constexpr int64_t kChunk = 2000;            // rows a look at the training data
constexpr int64_t kConvergenceCheck = 5;    // inner steps between two tests for convergence
constexpr int64_t kCheckSamples = 4;        // draws of z that such a test takes at least
constexpr double kSmallestStep = 1.0 / 16;  // share of the inner learning rate at which an item rests
constexpr int64_t kFromScratch = 10;  // an evaluation without an encoder starts anew: so many times the inner steps

struct VaeOptions final : ModelOptions {
  int64_t latent_dim = 20;
  Precision precision = Precision::float32;
  EStep e_step = EStep::amortized;
  int64_t inner_steps = 20;
  double inner_learning_rate = 0.05, inner_tolerance = 1e-4;
  bool standardize = false;
  Choice encoder{"network", "mlp", nullptr}, decoder{"network", "mlp", nullptr}, prior{"prior", "standard", nullptr},
      posterior{"posterior", "diagonal", nullptr}, likelihood{"likelihood", "bernoulli", nullptr},
      objective{"objective", "elbo", nullptr}, optimizer = default_optimizer();

  void visit(OptionVisitor& v) override {
    v("latent_dim", latent_dim, {1, 65536}, "dimensions of z");
    visit_precision(v, precision);
    v("e_step", e_step,
      {{"amortized", EStep::amortized}, {"local", EStep::local}, {"semi-amortized", EStep::semi_amortized}},
      "how q(z | x) is found: by an encoder, by optimising it for each datum, or by both");
    v.when(e_step != EStep::amortized, "e_step is local or semi-amortized", [&] {
      v("inner_steps", inner_steps, at_least(1),
        "steps of the inner optimisation of q at most; ten times as many where local evaluates, which starts anew");
      v("inner_learning_rate", inner_learning_rate, positive(), "its step size (Adam on the parameters of q)");
      v("inner_tolerance", inner_tolerance, at_least(0),
        "shorten the steps of an item whose bound rises less, in nats, and then stop them; 0: never");
    });
    v.when(e_step != EStep::local, "e_step has an encoder", [&] { v("encoder", encoder, "network from x to q"); });
    v("decoder", decoder, "network from z to the likelihood");
    v("prior", prior, "p(z)");
    v("posterior", posterior, "family of q(z | x)");
    v("likelihood", likelihood, "p(x | z)");
    v.when(likelihood.name == "normal", "likelihood is \"normal\"", [&] {
      v("standardize", standardize, "model (x - mean) / std of the training data; densities stay in x's units");
    });
    v("objective", objective, "what is maximised");
    v("optimizer", optimizer, "how parameters are updated");
  }
  bool has_conjugate() const override {
    const auto* chosen = dynamic_cast<const PriorOptions*>(prior.options.get());
    return chosen && chosen->conjugate();
  }
  bool has_gradient() const override { return true; }
};

/// torch.autograd.grad that gives zeros where nothing depends on a leaf.
std::vector<Tensor> gradients_of(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                                 const std::vector<Tensor>& output_gradients = {}) {
  auto gradients = torch::autograd::grad(outputs, leaves, output_gradients, c10::nullopt, false, true);
  for (size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(leaves[i]);
  return gradients;
}

/// Sums over rows of weight * x^power, [rows, C] -> [C] float64. A plain loop: for a few thousand numbers the calls of
/// tensor operations would cost more than the arithmetic.
Tensor weighted_sums(const Tensor& x, const Tensor& weight, int power = 1) {
  const Tensor rows = x.contiguous();
  Tensor sums = at::zeros({x.size(1)}, at::kDouble);
  const double* w = weight.data_ptr<double>();
  double* out = sums.data_ptr<double>();
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "weighted_sums", [&] {
    const scalar_t* row = rows.data_ptr<scalar_t>();
    const int64_t columns = x.size(1);
    for (int64_t i = 0; i < x.size(0); ++i, row += columns)
      for (int64_t c = 0; c < columns; ++c)
        out[c] += w[i] * (power == 2 ? static_cast<double>(row[c]) * row[c] : row[c]);
  });
  return sums;
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

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

class Vae final : public Model {
 public:
  Vae(const VaeOptions& options, const Context& context)
      : o_(options),
        schema_(context.schema),
        dtype_(scalar_type(options.precision)),
        features_(schema_.num_features()) {
    const Registry& registry = context.registry;
    const auto optimizer = registry.create<Optimizer>(o_.optimizer, {registry});
    learning_rate_ = optimizer->learning_rate();
    networks_ = std::make_shared<GradientBlock>("networks", optimizer);
    scaling_ = std::make_shared<ConstantBlock>("scaling");
    scaling_->add("scaling.center", at::zeros({features_}, dtype_));
    scaling_->add("scaling.scale", at::ones({features_}, dtype_));
    posterior_ = registry.create<Posterior>(o_.posterior, {o_.latent_dim});
    likelihood_ = registry.create<Likelihood>(o_.likelihood, {features_, dtype_, networks_});
    prior_ = registry.create<Prior>(o_.prior, {o_.latent_dim, dtype_, networks_, registry});
    objective_ = registry.create<Objective>(o_.objective, {registry});
    if (o_.e_step != EStep::local)
      encoder_ = registry.create<Network>(
          o_.encoder, {*networks_, "encoder", schema_.item_shape, {posterior_->num_parameters()}, dtype_});
    Shape output = schema_.item_shape;
    output[0] *= likelihood_->parameters_per_feature();
    decoder_ = registry.create<Network>(o_.decoder, {*networks_, "decoder", {o_.latent_dim}, output, dtype_});
    blocks_ = {networks_, scaling_};
    for (const auto& block : prior_->blocks()) blocks_.push_back(block);
  }

  at::ScalarType dtype() const override { return dtype_; }

  std::map<std::string, std::shared_ptr<const Schedule>> schedules() const override {
    auto all = objective_->schedules();
    all["learning_rate"] = learning_rate_;
    return all;
  }

  void initialize(const Dataset& train, const Rng& rng) override {
    const auto [mean, variance] = moments(train);
    if (o_.standardize) {
      scaling_->set("scaling.center", mean);
      scaling_->set("scaling.scale", at::where(variance > 0, variance.sqrt(), at::ones_like(variance)));
    }
    if (encoder_) encoder_->initialize(rng);
    decoder_->initialize(rng);
    const Tensor bias = o_.standardize ? likelihood_->output_bias(at::zeros_like(mean), at::ones_like(mean))
                                       : likelihood_->output_bias(mean, variance);
    decoder_->output_bias().detach().copy_(bias);
    prior_->initialize(rng.fold("prior"));
  }

  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override {
    const at::AutoGradMode grad_mode(step.training);
    const TensorMap globals = this->globals();
    const Tensor x = scaled(batch.at("x"));
    const Tensor noise = this->noise(batch, rng, objective_->num_samples());
    Expectation e;
    const Tensor own = encoder_ ? encoder_->forward(x) : start_of(batch);
    const Tensor parameters = o_.e_step == EStep::amortized ? own : refine(x, own, batch, step, rng, globals);
    if (o_.e_step == EStep::local) e.local["q"] = parameters.detach();
    Pull pulled = pull(x, parameters, noise, batch, step, globals, step.training);
    e.count = batch.weight.sum();
    e.bound = at::dot(pulled.value.bound.to(at::kDouble), batch.weight);
    if (o_.standardize) e.bound = e.bound + log_jacobian() * e.count;
    measure(e, pulled, batch);
    if (!step.training) return e;
    e.sums = std::move(pulled.sums);
    if (!encoder_) return e;
    if (o_.e_step == EStep::semi_amortized) pulled = pull(x, own, noise, batch, step, globals, false);
    add_encoder_sums(e.sums, pulled, globals);
    return e;
  }

  std::map<std::string, std::vector<double>> report(const Expectation& total) const override {
    auto values = Model::report(total);
    const auto mean = values.at("mean"), square = values.at("mean_sq");
    double active = 0;
    for (size_t i = 0; i < mean.size(); ++i) active += square[i] - mean[i] * mean[i] > 0.01;
    values.erase("mean");
    values.erase("mean_sq");
    values["active_units"] = {active};
    return values;
  }

  std::vector<Method> methods() const override;

 private:
  /// The objective at q, and what it sends to the sampling graph: one pass over the density graph.
  struct Pull {
    ObjectiveValue value;
    Tensor log_px, kl, mean;                 // for the metrics: [S, items], [items, L or 1], E_q[z] [rows, L]
    std::vector<Tensor> outputs, gradients;  // z and the parameters of q, and the surrogate's gradients there
    TensorMap sums;                          // of everything but the encoder
  };

  Tensor scaled(const Tensor& x) const {
    return o_.standardize ? (x - scaling_->get("scaling.center")) / scaling_->get("scaling.scale") : x;
  }
  Tensor unscaled(const Tensor& x) const {
    return o_.standardize ? x * scaling_->get("scaling.scale") + scaling_->get("scaling.center") : x;
  }
  /// log |d scaled / d x|: densities are in the user's units.
  Tensor log_jacobian() const {
    return o_.standardize ? -scaling_->get("scaling.scale").to(at::kDouble).log().sum() : at::zeros({}, at::kDouble);
  }

  Tensor noise(const Batch& batch, const Rng& rng, int64_t samples) const {
    const Tensor draws = batch.normal(rng, {samples, o_.latent_dim}, "posterior", dtype_);
    return draws.transpose(0, 1).contiguous();
  }

  Tensor start_of(const Batch& batch) const {
    const Tensor zero = at::zeros({batch.size(), posterior_->num_parameters()}, dtype_);
    const auto it = batch.local.find("q");
    return it == batch.local.end() ? zero : at::where(it->second.isnan(), zero, it->second);
  }

  /// The decoder on samples [S, rows, L] -> [S, rows, outputs].
  Tensor decode(const Tensor& z) const {
    const Tensor outputs = decoder_->forward(z.reshape({-1, o_.latent_dim}));
    return outputs.view({z.size(0), z.size(1), outputs.size(-1)});
  }

  Pull pull(const Tensor& x, const Tensor& parameters, const Tensor& noise, const Batch& batch, const Step& step,
            const TensorMap& globals, bool generative) const;
  void add_encoder_sums(TensorMap& sums, const Pull& pulled, const TensorMap& globals) const;
  Tensor refine(const Tensor& x, const Tensor& start, const Batch& batch, const Step& step, const Rng& rng,
                const TensorMap& globals) const;
  void measure(Expectation& e, const Pull& pulled, const Batch& batch) const;
  Batch rows(const Tensor& x) const;
  Tensor importance(const Tensor& x, const Tensor& parameters, int64_t samples, const Rng& rng) const;
  std::pair<Tensor, Tensor> moments(const Dataset& train) const;

  VaeOptions o_;
  Schema schema_;
  at::ScalarType dtype_;
  int64_t features_;
  std::shared_ptr<GradientBlock> networks_;
  std::shared_ptr<ConstantBlock> scaling_;
  std::shared_ptr<Posterior> posterior_;
  std::shared_ptr<Likelihood> likelihood_;
  std::shared_ptr<Prior> prior_;
  std::shared_ptr<Objective> objective_;
  std::shared_ptr<Network> encoder_, decoder_;
  std::shared_ptr<const Schedule> learning_rate_;
};

// One backward pass a network: z and the parameters of q are cut out as leaves, the objective sees only the copies.
// What it sends to them goes on into the encoder afterwards, or into the inner optimisation of q.
Vae::Pull Vae::pull(const Tensor& x, const Tensor& parameters, const Tensor& noise, const Batch& batch,
                    const Step& step, const TensorMap& globals, bool generative) const {
  const bool differentiate = at::GradMode::is_enabled();
  Pull p;
  const Tensor z = posterior_->at(parameters)->rsample(noise);
  const Tensor z_leaf = z.detach().requires_grad_(differentiate),
               leaf = parameters.detach().requires_grad_(differentiate);
  const Trace trace{{Latent(*posterior_, leaf, z_leaf, *prior_, batch, globals)},
                    batch.per_item(likelihood_->log_prob(decode(z_leaf), x))};
  p.value = (*objective_)(trace, step);
  p.log_px = trace.log_px.detach();
  p.mean = trace.latents[0].q().mean().detach();
  {
    const at::NoGradGuard for_the_log;  // an objective that needs the KL has computed it already, with its graph
    if (const Tensor& kl = trace.latents[0].kl(); kl.defined()) p.kl = kl.detach();
  }
  if (!differentiate) return p;

  std::vector<Tensor> leaves{z_leaf, leaf};
  std::vector<std::string> keys;
  if (generative)
    for (const auto& [key, value] : globals)
      if (!starts_with(key, "encoder.")) {
        keys.push_back(key);
        leaves.push_back(value);
      }
  const Tensor target = at::dot(p.value.surrogate, batch.weight.to(dtype_));
  std::vector<Tensor> gradients = gradients_of({target}, leaves);
  if (p.value.path_scale.defined()) gradients[0] = gradients[0] * p.value.path_scale.unsqueeze(-1);
  p.outputs = {z, parameters};
  p.gradients = {gradients[0], gradients[1]};
  for (size_t i = 0; i < keys.size(); ++i) p.sums[keys[i]] = gradients[i + 2];
  return p;
}

void Vae::add_encoder_sums(TensorMap& sums, const Pull& pulled, const TensorMap& globals) const {
  std::vector<Tensor> leaves;
  std::vector<std::string> keys;
  for (const auto& [key, value] : globals)
    if (starts_with(key, "encoder.")) {
      keys.push_back(key);
      leaves.push_back(value);
    }
  const auto gradients = gradients_of(pulled.outputs, leaves, pulled.gradients);
  for (size_t i = 0; i < keys.size(); ++i) sums[keys[i]] = gradients[i];
}

// Adam on the parameters of q, fresh noise each step. Every few steps the bound of each item is looked at on one fixed
// set of noise: where it set no new mark twice running, the item's steps are halved, and it rests once they are small.
// The last q is taken, not that of the highest mark, which would be fitted to the fixed noise. What else is in the
// batch plays no part.
Tensor Vae::refine(const Tensor& x, const Tensor& start, const Batch& batch, const Step& step, const Rng& rng,
                   const TensorMap& globals) const {
  const int64_t steps = encoder_ || step.training ? o_.inner_steps : kFromScratch * o_.inner_steps;
  const Tensor check_noise = noise(batch, rng.fold("inner check"), std::max(kCheckSamples, objective_->num_samples()));
  const auto gradient_at = [&](const Tensor& q, int64_t i) {
    const at::AutoGradMode on(true);
    const Tensor leaf = q.detach().requires_grad_(),
                 draws = noise(batch, rng.fold(static_cast<uint64_t>(i)), objective_->num_samples());
    const Pull p = pull(x, leaf, draws, batch, step, globals, false);
    return gradients_of(p.outputs, {leaf}, p.gradients)[0];
  };
  const at::NoGradGuard off;
  const auto bound_at = [&](const Tensor& q) {
    return pull(x, q, check_noise, batch, step, globals, false).value.bound.unsqueeze(-1);
  };
  const Tensor weight = batch.weight.to(dtype_).clamp_min(1e-30).unsqueeze(-1);
  InnerAdam adam(start);
  Tensor q = start.detach(), rate = at::full_like(weight, o_.inner_learning_rate), stalls = at::zeros_like(rate), best;
  const bool checks = o_.inner_tolerance > 0 && steps > kConvergenceCheck;
  if (checks) best = bound_at(q);
  for (int64_t i = 1; i <= steps; ++i) {
    q = q + rate * adam.direction(gradient_at(q, i) / weight);  // per item, whatever its weight
    if (!checks || i % kConvergenceCheck != 0) continue;
    const Tensor bound = bound_at(q), rose = bound - best > o_.inner_tolerance;
    best = at::where(rose, bound, best);
    stalls = at::where(rose, at::zeros_like(stalls), stalls + 1);
    const Tensor halve = stalls == 2;
    stalls = at::where(halve, at::zeros_like(stalls), stalls);
    rate = at::where(halve, 0.5 * rate, rate);
    rate = at::where(rate < kSmallestStep * o_.inner_learning_rate, at::zeros_like(rate), rate);
    if (!rate.any().item<bool>()) break;
  }
  return q;
}

// Sums for the log: log p(x | z), KL by dimension, first and second moments of E_q[z].
void Vae::measure(Expectation& e, const Pull& pulled, const Batch& batch) const {
  const at::NoGradGuard no_grad;
  const Tensor log_px = pulled.log_px.mean(0), mean = batch.per_item(pulled.mean, 0);
  const Tensor kl = pulled.kl.defined() ? pulled.kl : (log_px - pulled.value.bound).unsqueeze(-1);
  e.metrics["log_px"] = at::dot(log_px.to(at::kDouble), batch.weight);
  if (o_.standardize) e.metrics["log_px"] = e.metrics["log_px"] + log_jacobian() * e.count;
  const Tensor kl_sums = weighted_sums(kl, batch.weight);
  e.metrics["kl"] = kl_sums.sum();
  if (kl.size(1) == mean.size(1)) e.metrics["kl_dim"] = kl_sums;
  e.metrics["mean"] = weighted_sums(mean, batch.weight);
  e.metrics["mean_sq"] = weighted_sums(mean, batch.weight, 2);
}

/// Mean and variance [D] of the weighted training data, which must be finite and within the likelihood's support.
/// Moments are taken about the first row: far from zero, squares would lose the variance.
std::pair<Tensor, Tensor> Vae::moments(const Dataset& train) const {
  const Range support = likelihood_->support();
  const auto rows_from = [&](int64_t begin, int64_t end) {
    return train.batch(at::arange(begin, end, at::kLong), 0, dtype_);
  };
  Tensor sum = at::zeros({features_}, at::kDouble), square = sum.clone();
  const Tensor center = rows_from(0, 1).at("x")[0].clone();
  for (int64_t begin = 0; begin < train.size; begin += kChunk) {
    const Batch batch = rows_from(begin, std::min(train.size, begin + kChunk));
    const Tensor& x = batch.at("x");
    const auto [low, high] = at::aminmax(x);  // NaN passes on
    const double smallest = low.item<double>(), largest = high.item<double>();
    if (!(smallest >= support.min && largest <= support.max && std::isfinite(smallest) && std::isfinite(largest))) {
      const Tensor bad = at::logical_not(x.ge(support.min).logical_and(x.le(support.max))).logical_or(x.isinf());
      const Tensor where = bad.nonzero()[0];
      const int64_t row = where[0].item<int64_t>(), column = where[1].item<int64_t>();
      const std::string name = schema_.feature_names.empty() ? fmt::format("feature {}", column)
                                                             : schema_.feature_names[static_cast<size_t>(column)];
      fail<DataError>(
          "vae: {} is {} in row {}, but likelihood {} needs {}", name, x[row][column].item<double>(),
          batch.index[row].item<int64_t>() + 1, o_.likelihood.name,
          std::isinf(support.min) ? "finite numbers" : fmt::format("numbers in [{}, {}]", support.min, support.max));
    }
    const Tensor difference = x - center, weight = batch.weight.to(dtype_);
    sum = sum + at::mv(difference.t(), weight).to(at::kDouble);
    square = square + at::mv((difference * difference).t(), weight).to(at::kDouble);
  }
  const Tensor shift = sum / train.total_weight();
  const Tensor variance = (square / train.total_weight() - shift * shift).clamp_min(0);
  return {(center.to(at::kDouble) + shift).to(dtype_), variance.to(dtype_)};
}

std::vector<Method> Vae::methods() const {
  const auto encoded = [this](const Tensor& x, const Rng& rng) {  // the parameters of q, by the E-step's own way
    const at::NoGradGuard no_grad;
    const Tensor y = scaled(x);
    if (o_.e_step == EStep::amortized) return encoder_->forward(y);
    const Batch batch = rows(x);
    Step step;
    step.training = false;
    return refine(y, encoder_ ? encoder_->forward(y) : start_of(batch), batch, step, rng, globals());
  };
  const auto decoded = [this](const Tensor& z) {
    const at::NoGradGuard no_grad;
    return unscaled(likelihood_->mean(decoder_->forward(z)));
  };
  // What needs an inner optimisation can not be traced.
  const bool traceable = o_.e_step == EStep::amortized;
  const Tensor x = at::zeros({2, features_}, dtype_), z = at::zeros({2, o_.latent_dim}, dtype_);
  const auto example = [&](const Tensor& input) {
    return traceable ? std::vector<Tensor>{input} : std::vector<Tensor>{};
  };

  std::vector<std::string> names;
  for (const auto& entry : posterior_->named(at::zeros({1, posterior_->num_parameters()}, dtype_)))
    names.push_back(entry.first);
  std::vector<Method> methods;
  methods.push_back({"encode",
                     "parameters of q(z | x)",
                     {"x"},
                     names,
                     [this, encoded](const std::vector<Tensor>& in, const Rng& rng) {
                       std::vector<Tensor> out;
                       for (const auto& entry : posterior_->named(encoded(in[0], rng))) out.push_back(entry.second);
                       return out;
                     },
                     example(x)});
  methods.push_back(
      {"decode",
       "mean of p(x | z)",
       {"z"},
       {"x"},
       [decoded](const std::vector<Tensor>& in, const Rng&) { return std::vector<Tensor>{decoded(in[0])}; },
       {z}});
  methods.push_back({"reconstruct",
                     "mean of p(x | z) at the mean of q(z | x)",
                     {"x"},
                     {"x"},
                     [this, encoded, decoded](const std::vector<Tensor>& in, const Rng& rng) {
                       return std::vector<Tensor>{decoded(posterior_->at(encoded(in[0], rng))->mean())};
                     },
                     example(x)});
  methods.push_back({"sample",
                     "mean of p(x | z) for n draws of z from the prior",
                     {"n"},
                     {"x"},
                     [this, decoded](const std::vector<Tensor>& in, const Rng& rng) {
                       return std::vector<Tensor>{decoded(prior_->sample(in[0].item<int64_t>(), rng))};
                     },
                     {},
                     "def sample(self, n: int):\n" + prior_->sample_script() + "    return self.decode(z)\n",
                     {"n"}});
  methods.push_back({"importance",
                     "log importance weights [samples, rows] of draws from q",
                     {"x", "samples"},
                     {"log_weights"},
                     [this, encoded](const std::vector<Tensor>& in, const Rng& rng) {
                       return std::vector<Tensor>{importance(in[0], encoded(in[0], rng), in[1].item<int64_t>(), rng)};
                     },
                     {},
                     "",
                     {"samples"}});
  for (Method& method : prior_->methods()) methods.push_back(std::move(method));
  if (prior_->clusters()) {
    const auto responsibilities = [this, encoded](const Tensor& input, const Rng& rng) {
      return prior_->responsibilities(*posterior_->at(encoded(input, rng)), globals());
    };
    methods.push_back({"responsibilities",
                       "probability of each component of the prior",
                       {"x"},
                       {"responsibilities"},
                       [responsibilities](const std::vector<Tensor>& in, const Rng& rng) {
                         return std::vector<Tensor>{responsibilities(in[0], rng)};
                       },
                       example(x)});
    methods.push_back({"predict",
                       "the most probable component of the prior",
                       {"x"},
                       {"component"},
                       [responsibilities](const std::vector<Tensor>& in, const Rng& rng) {
                         return std::vector<Tensor>{responsibilities(in[0], rng).argmax(-1)};
                       },
                       example(x)});
  }
  return methods;
}

Batch Vae::rows(const Tensor& x) const {
  Batch batch;
  batch.columns["x"] = x;
  batch.index = at::arange(x.size(0), at::kLong);
  batch.weight = at::ones({x.size(0)}, at::kDouble);
  return batch;
}

Tensor Vae::importance(const Tensor& x, const Tensor& parameters, int64_t samples, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const Batch batch = rows(x);
  const Tensor draws = batch.normal(rng, {samples, o_.latent_dim}, "importance", dtype_).transpose(0, 1);
  const auto q = posterior_->at(parameters);
  const Tensor z = q->rsample(draws);
  const Tensor log_px = likelihood_->log_prob(decode(z), scaled(x));
  const Tensor log_p = prior_->log_prob(z, batch, globals());
  return log_px.to(at::kDouble) + log_p.to(at::kDouble) - q->log_prob(z).to(at::kDouble) + log_jacobian();
}

}  // namespace

void register_vae(Registry& registry) {
  registry.add<Model, VaeOptions>(
      "vae", "variational autoencoder: any prior x posterior x likelihood x objective x networks",
      [](const VaeOptions& options, const Model::Context& context) { return std::make_shared<Vae>(options, context); },
      "train.batch_size = 128\ntrain.epochs = 50\ndata.validation = 0.1\n");
}

}  // namespace vem
