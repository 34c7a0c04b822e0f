// Every factor of a VAE that is listed, as it comes: built from its defaults in a model that is otherwise the default
// one, trained on one batch and noise, stopped and resumed, split, spread over ranks; and which pairs are refused. A
// new plug-in is in here without a line of its own.
#include <gtest/gtest.h>

#include <mutex>
#include <numeric>
#include <set>

#include "support/amortised.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/infer/objective.h"

namespace vem {
namespace factors_test {

const std::vector<std::string> kKinds{"prior", "posterior", "flow", "likelihood", "objective", "network", "optimizer"};

struct Factor {
  std::string kind, name;
};

std::vector<Factor> factors() {
  std::vector<Factor> all;
  for (const std::string& kind : kKinds)
    for (const Plugin* plugin : plugins().list(kind)) all.push_back({kind, plugin->name});
  return all;
}

/// The [model] section in which the factor stands, and what it can not be without.
std::string toml_of(const Factor& factor, const std::string& precision) {
  std::string text = "[model]\nkind = \"vae\"\nprecision = \"" + precision + "\"\n";
  const auto set = [&](const std::string& key, const std::string& value) {
    text += fmt::format("{} = \"{}\"\n", key, value);
  };
  if (factor.name == "categorical" && factor.kind != "likelihood") {
    set("prior", factor.name);
    set("posterior", factor.name);
  } else if (factor.name == "conditional" || factor.name == "gated-transition") {  // of a group that has parents
    const std::string prior =
        factor.kind == "prior" ? fmt::format("\"{}\"", factor.name) : fmt::format("{{network = \"{}\"}}", factor.name);
    text += "[model.latent.z2]\ndim = 4\n[model.latent.z1]\ndim = 4\ngiven = \"x, z2\"\nparents = \"z2\"\nprior = " +
            prior + "\n";
  } else if (factor.kind == "network") {
    set("encoder", factor.name);
    set("decoder", factor.name);
  } else if (factor.kind == "flow") {
    text += fmt::format("posterior = {{kind = \"flow\", flow = \"{}\"}}\n", factor.name);
  } else {
    set(factor.kind, factor.name);
  }
  return text;
}

/// Images of zeros and ones, which every likelihood takes.
const Dataset& data() {
  static const Dataset images = sample_data(Sample::images);
  return images;
}

Step step_of(const Model& model, int64_t iteration) {
  Step step;
  step.iteration = iteration;
  step.total_weight = static_cast<double>(data().size);
  for (const auto& [name, schedule] : model.schedules()) step.weights[name] = schedule->at(step);
  return step;
}

/// Updates on the whole data with one set of noise; the bounds before each.
std::vector<double> train(Model& model, int64_t from, int64_t to) {
  const Batch batch = data().batch(items(data().size), 0, model.dtype());
  std::vector<double> bounds;
  for (int64_t i = from; i < to; ++i) {
    const Step step = step_of(model, i);
    const Expectation e = model.e_step(batch, step, Rng(1));
    bounds.push_back(e.bound.item<double>());
    model.m_step(e, step, Rng(2));
  }
  return bounds;
}

class EveryFactor : public testing::TestWithParam<Factor> {
 protected:
  std::shared_ptr<Model> make(const std::string& precision = "float32") const {
    const auto model = make_model(toml_of(GetParam(), precision), data());
    model->initialize(data(), Rng(3));
    return model;
  }
};

TEST_P(EveryFactor, TrainsOnAFixedBatchFromItsDefaultsAndResumesBitwise) {
  const auto model = make(), resumed = make_model(toml_of(GetParam(), "float32"), data());
  std::vector<double> bounds = train(*model, 0, 10);
  resumed->load(copy(model->state()));
  const std::vector<double> rest = train(*model, 10, 20), again = train(*resumed, 10, 20);
  EXPECT_EQ(rest, again);
  EXPECT_EQ(difference(model->state(), resumed->state()), 0);
  bounds.insert(bounds.end(), rest.begin(), rest.end());
  const auto mean = [&](size_t from) { return std::accumulate(&bounds[from], &bounds[from] + 5, 0.0) / 5; };
  EXPECT_GT(mean(15), mean(0));
}

// Rounding of sums over 60 items in float64.
/// Whether what is maximised is a sum over items.
bool additive(const Factor& factor) {
  return factor.kind != "objective" ||
         plugins().create<Objective>(chosen("objective", "kind = \"" + factor.name + "\"\n"), {plugins()})->additive();
}

TEST_P(EveryFactor, SplitsAndOrdersChangeNothing) {
  if (!additive(GetParam())) GTEST_SKIP() << "it looks at a batch as a whole";
  const auto model = make("float64");
  const auto expect = [&](const Tensor& positions) {
    return model->e_step(data().batch(positions, 0, at::kDouble), step_of(*model, 0), Rng(1));
  };
  const Expectation whole = expect(items(60)), order = expect(Rng(4).permutation(60));
  Expectation parts;
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{0, 7}, {7, 7}, {7, 60}})
    parts += expect(at::arange(from, to, at::kLong));
  for (const Expectation* e : std::initializer_list<const Expectation*>{&order, &parts}) {
    EXPECT_NEAR(e->bound.item<double>(), whole.bound.item<double>(), 1e-9 * std::abs(whole.bound.item<double>()));
    for (const auto& [key, value] : whole.sums)
      EXPECT_LE(difference(value, e->sums.at(key)), 1e-9 * std::max(1.0, value.abs().max().item<double>())) << key;
  }
}

TEST_P(EveryFactor, RanksAgree) {
  if (!additive(GetParam())) GTEST_SKIP() << "it looks at a batch as a whole";
  FitOptions o;
  o.epochs = 2;
  o.batch_size = 16;
  o.tolerance = 0;
  const auto alone = fit(*make_model(toml_of(GetParam(), "float64"), data()), data(), o, {plugins()});
  std::mutex mutex;
  run_ranks(2, [&](Communicator& communicator) {
    const auto model = make_model(toml_of(GetParam(), "float64"), data());
    const FitResult ours = fit(*model, data(), o, {plugins(), nullptr, &communicator});
    const std::lock_guard<std::mutex> lock(mutex);
    for (size_t i = 0; i < alone.bounds.size(); ++i)
      EXPECT_NEAR(ours.bounds.at(i), alone.bounds[i], 1e-7 * std::abs(alone.bounds[i]));
  });
}

INSTANTIATE_TEST_SUITE_P(Table, EveryFactor, testing::ValuesIn(factors()), [](const auto& info) {
  std::string name = info.param.kind + "_" + info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// The table of variants checks each one's gradients by central differences and its export, and much else.
TEST(Factors, EveryOneIsInAVariant) {
  std::string all;
  for (const Variant& variant : variants("float64")) all += variant.toml;
  const std::set<std::string> defaults{"standard", "diagonal", "elbo", "bernoulli", "adam"};
  for (const Factor& factor : factors()) {
    if (factor.kind == "optimizer") continue;  // optimizers_fit_test.cpp
    EXPECT_TRUE(defaults.count(factor.name) || all.find("\"" + factor.name + "\"") != std::string::npos)
        << factor.kind << " " << factor.name << " needs a row in tests/support/models.cpp";
  }
}

// ---- pairs ----

bool makes_sense(const std::string& prior, const std::string& posterior, const std::string& e_step) {
  if ((prior == "categorical") != (posterior == "categorical")) return false;
  if (prior == "conditional") return false;  // of groups that have parents
  return prior != "vamp" || (e_step != "local" && posterior != "flow");
}

std::string pair_toml(const std::string& factors, const std::string& e_step) {
  return "[model]\nkind = \"vae\"\nlatent_dim = 10\ne_step = \"" + e_step + "\"\n" +
         (e_step == "amortized" ? "" : "inner_steps = 2\n") + factors +
         (e_step == "local" ? "" : "encoder = {widths = [6]}\n") + "decoder = {widths = [6]}\n";
}

/// Why the model is refused; empty where it takes two steps with finite sums.
std::string refusal(const std::string& toml) {
  try {
    const auto model = make_model(toml, data());
    model->initialize(data(), Rng(3));
    for (const double bound : train(*model, 0, 2)) EXPECT_TRUE(std::isfinite(bound)) << toml;
    for (const auto& [key, value] : model->state())
      EXPECT_TRUE(value.isfinite().all().item<bool>()) << key << "\n" << toml;
    return "";
  } catch (const ConfigError& e) {
    return e.what();
  }
}

TEST(Factors, EveryPriorMeetsEveryPosteriorAndEStep) {
  for (const Plugin* prior : plugins().list("prior"))
    for (const Plugin* posterior : plugins().list("posterior"))
      for (const std::string e_step : {"amortized", "local", "semi-amortized"}) {
        const std::string why = refusal(
            pair_toml(fmt::format("prior = \"{}\"\nposterior = \"{}\"\n", prior->name, posterior->name), e_step));
        EXPECT_EQ(why.empty(), makes_sense(prior->name, posterior->name, e_step))
            << prior->name << ", " << posterior->name << ", " << e_step << ": " << why;
        EXPECT_TRUE(why.empty() || why.find(prior->name) != std::string::npos) << why;
      }
}

TEST(Factors, EveryLikelihoodMeetsEveryObjectiveAndNetwork) {
  for (const Plugin* likelihood : plugins().list("likelihood"))
    for (const Plugin* objective : plugins().list("objective"))
      EXPECT_EQ(
          refusal(pair_toml(fmt::format("likelihood = \"{}\"\nobjective = \"{}\"\n", likelihood->name, objective->name),
                            "amortized")),
          "")
          << likelihood->name << ", " << objective->name;
}

// Every objective with every way to a gradient of discrete latents: what trains, and who says no to whom.
TEST(Factors, EveryObjectiveMeetsEveryGradientOfDiscreteLatents) {
  const std::vector<std::string> gradients{"enumerate", "score-function", "straight-through", "relaxed"};
  std::vector<std::string> objectives{"elbo\", kl = \"monte-carlo\"", "elbo\", kl = \"sticking\"",
                                      "iwae\", gradient = \"dreg\"",
                                      "iwae\", num_samples = 3, groups = 2, alpha = 0.5, elbo_share = 0.1"};
  for (const Plugin* plugin : plugins().list("objective")) objectives.push_back(plugin->name + "\"");
  for (const std::string& objective : objectives)
    for (const std::string& gradient : gradients) {
      const bool elbo = objective == "elbo\"" || objective == "beta-elbo\"",
                 iwae = objective == "iwae\"" || objective.find("groups") != std::string::npos;
      const std::string samples =
          gradient == "score-function" && objective.find("elbo\"") != std::string::npos ? ", num_samples = 2" : "";
      const std::string why = refusal(
          pair_toml("prior = \"categorical\"\nposterior = {kind = \"categorical\", num_classes = 5, gradient = \"" +
                        gradient + "\"}\nobjective = {kind = \"" + objective + samples + "}\n",
                    "amortized"));
      const std::string name = objective.substr(0, objective.find('"'));
      if (elbo || (iwae && gradient != "enumerate"))
        EXPECT_EQ(why, "") << objective << ", " << gradient;
      else if (iwae)
        EXPECT_EQ(why,
                  "vae: objective iwae weighs draws, and posterior categorical with gradient = \"enumerate\" has every "
                  "state instead; elbo is exact there, and score-function has draws");
      else
        EXPECT_EQ(why,
                  "vae: objective " + name +
                      ", as it is set, does not go with posterior categorical, whose draws have no derivative; elbo "
                      "with kl = \"analytic\" and iwae with gradient = \"standard\" do")
            << objective << ", " << gradient;
    }
}

TEST(Factors, DiscreteLatentsSayWhatTheyDoNotGoWith) {
  const auto words = [](const std::string& factors) { return refusal(pair_toml(factors, "amortized")); };
  EXPECT_EQ(words("posterior = \"categorical\"\n"),
            "vae: posterior categorical has discrete latents, prior standard has real ones");
  EXPECT_EQ(words("prior = \"categorical\"\n"), "prior categorical: it goes with posterior categorical only");
  const std::string both = "prior = \"categorical\"\n";
  const auto posterior = [](const std::string& options) {
    return "posterior = {kind = \"categorical\", " + options + "}\n";
  };
  EXPECT_EQ(words(both + posterior("num_classes = 3")),
            "posterior categorical: num_classes must divide latent_dim = 10, got 3");
  EXPECT_EQ(words(both + posterior("num_classes = 5, gradient = \"score-function\"")),
            "posterior categorical: gradient = \"score-function\" compares draws, so objective.num_samples must be at "
            "least 2, got 1");
  EXPECT_EQ(words(both + posterior("num_classes = 5, gradient = \"score-function\"") +
                  "objective = {kind = \"iwae\", num_samples = 1, groups = 4}\n"),
            "posterior categorical: gradient = \"score-function\" compares draws, so objective.num_samples must be at "
            "least 2, got 1");
  EXPECT_EQ(words(both + posterior("num_classes = 5, gradient = \"enumerate\"") +
                  "objective = {kind = \"elbo\", num_samples = 3}\n"),
            "posterior categorical: gradient = \"enumerate\" looks at every state, objective.num_samples = 3 has no "
            "effect; leave it out");
  EXPECT_EQ(words(both + posterior("num_classes = 5, temperature = 0.0")),
            "posterior categorical: temperature must be above 0, got 0");
  std::string many = pair_toml(both + posterior("num_classes = 2, gradient = \"enumerate\""), "amortized");
  many.replace(many.find("latent_dim = 10"), 15, "latent_dim = 40");
  EXPECT_EQ(refusal(many),
            "posterior categorical: 20 categories of 2 classes have more than 4096 states; enumerate fewer, or choose "
            "another gradient");
}

}  // namespace factors_test
}  // namespace vem
