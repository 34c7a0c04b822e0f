// The mixture model: golden values of Old Faithful, units, starts, and methods against plain loops.
#include <gtest/gtest.h>

#include "support/faithful.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/dist/normal_wishart.h"
#include "vem/models/registry.h"

namespace vem {
namespace mixture_test {

std::string mixture(const std::string& top, const std::string& observation = "", const std::string& allocation = "") {
  return "[model]\nkind = \"gmm\"\n" + top + "[model.observation]\nkind = \"normal\"\n" + observation +
         "[model.allocation]\nkind = \"mixture-weights\"\n" + allocation;
}

Batch all(const Dataset& data) { return data.batch(at::arange(data.size, at::kLong), 0, at::kDouble); }

double bound_of(const Model& model, const Expectation& e) { return (e.bound - model.kl_global()).item<double>(); }
double bound_of(const Model& model, const Dataset& data) {
  return bound_of(model, model.e_step(all(data), Step(), Rng(0)));
}

/// Bounds before each of `passes` M-steps, and after the last.
std::vector<double> iterate(Model& model, const Dataset& data, int passes) {
  std::vector<double> bounds;
  const Batch batch = all(data);
  for (int i = 0; i <= passes; ++i) {
    const Expectation e = model.e_step(batch, Step(), Rng(0));
    bounds.push_back(bound_of(model, e));
    if (i < passes) model.m_step(e, Step(), Rng(0));
  }
  return bounds;
}

std::shared_ptr<Model> started(const std::string& toml, const Dataset& data, uint64_t seed = 1) {
  const auto model = make_model(toml, data);
  model->initialize(data, Rng(seed));
  return model;
}

std::vector<Tensor> call(const Model& model, const std::string& name, const std::vector<Tensor>& in = {}) {
  const std::vector<Method> methods = model.methods();
  const Method* method = Model::find(methods, name);
  return method->call(in, Rng(3));
}

const ConjugateBlock& block(const Model& model, const std::string& name) {
  for (const auto& b : model.blocks())
    if (b->name() == name) return dynamic_cast<const ConjugateBlock&>(*b);
  throw std::runtime_error(name);
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

const std::string kHardStart = "num_components = 2\nstart = \"labels\"\n";

// ---- golden values, each computed by an independent program ----

TEST(MixtureGolden, MaximumLikelihoodOfOneComponent) {
  const auto model = started(mixture("num_components = 1\nestimate = \"ml\"\n"), faithful());
  EXPECT_NEAR(bound_of(*model, faithful()), -1289.797, 5e-4);  // as printed
}

TEST(MixtureGolden, MaximumLikelihoodOfTwoComponents) {
  for (const std::string standardize : {"true", "false"}) {
    const auto model =
        started(mixture(kHardStart + "estimate = \"ml\"\nstandardize = " + standardize + "\n"), faithful());
    EXPECT_NEAR(iterate(*model, faithful(), 200).back(), -1130.263960, 1e-6);
    const auto parts = call(*model, "component_parameters");
    const auto near = [](const Tensor& t, const std::vector<double>& wanted) {  // where the other program stopped
      return at::allclose(t.flatten(), at::tensor(wanted, at::kDouble), 1e-5, 0);
    };
    EXPECT_TRUE(near(parts[0], {.35587, .64413}));
    EXPECT_TRUE(near(parts[1], {2.036389, 54.478520, 4.289662, 79.968119}));
    EXPECT_TRUE(near(parts[2], {.069168, .435170, .435170, 33.697300, .169968, .940605, .940605, 36.046160}));
  }
}

TEST(MixtureGolden, VariationalBayesOfTwoComponents) {
  const auto model = started(mixture(kHardStart, "", "concentration = 0.5\n"), faithful());
  EXPECT_NEAR(iterate(*model, faithful(), 400).back(), -1178.97924312, 1e-7);
  const Tensor counts = model->e_step(all(faithful()), Step(), Rng(0)).sums.at("weights.t");
  EXPECT_NEAR(counts[0][0].item<double>(), 97.172872, 1e-5);
  EXPECT_NEAR(counts[0][1].item<double>(), 174.827128, 1e-5);
}

TEST(MixtureGolden, MaximumLikelihoodOfATiedCovariance) {
  const auto model = started(mixture(kHardStart + "estimate = \"ml\"\n", "covariance = \"tied\"\n"), faithful());
  EXPECT_NEAR(iterate(*model, faithful(), 300).back(), -1140.186759, 1e-6);
}

TEST(MixtureGolden, OneComponentGivesTheExactEvidence) {
  const auto model = started(mixture("num_components = 1\n"), faithful());
  EXPECT_NEAR(iterate(*model, faithful(), 1).back(), -1303.89751779, 1e-8);
}

// Old Faithful by the path that users take: k-means++ from many seeds ends in the same optimum.
TEST(MixtureGolden, EverySeedFindsTheOptimum) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto model = started(mixture("num_components = 2\nestimate = \"ml\"\n"), faithful(), seed);
    EXPECT_NEAR(iterate(*model, faithful(), 200).back(), -1130.263960, 1e-5) << seed;
  }
}

TEST(MixtureGolden, DensityAtThreePoints) {
  Dataset data = faithful();
  const auto model = make_model(mixture("num_components = 2\nestimate = \"ml\"\n"), data);
  TensorMap state = copy(model->state());
  const NormalWishartFamily family(2, 0);
  const Tensor one = at::ones({2}, at::kDouble);
  const Tensor covariances = at::tensor({1., 0., 0., 1., 2., 1., 1., 2.}, at::kDouble).view({2, 2, 2});
  state["model/components.t"] =
      family.mode(family.natural({one, at::tensor({0., 0., 3., 3.}, at::kDouble).view({2, 2}), covariances, 3 * one}));
  state["model/weights.t"] = at::tensor({.3, .7}, at::kDouble).log().view({1, 2});
  model->load(state);
  const Tensor p = call(*model, "log_prob", {at::tensor({0., 0., 1., 1., 3., 3.}, at::kDouble).view({3, 2})})[0].exp();
  EXPECT_TRUE(at::allclose(p, at::tensor({.05094887202, .03451996667, .06432759685}, at::kDouble), 0, 1e-11));
}

// ---- invariances ----

TEST(Mixture, StandardizingAndUnitsChangeNoBound) {
  for (const std::string estimate : {"ml", "posterior"})
    for (const std::string covariance : {"full", "diagonal"}) {
      const std::string observation = "covariance = \"" + covariance + "\"\n",
                        top = kHardStart + "estimate = \"" + estimate + "\"\n";
      Dataset data = faithful(), rescaled = data;
      rescaled.columns["x"] = data.columns["x"] * at::tensor({1e-9, 1e6}, at::kDouble);
      const auto plain = started(mixture(top + "standardize = false\n", observation), data);
      const auto standard = started(mixture(top, observation), data),
                 other = started(mixture(top, observation), rescaled);
      const auto a = iterate(*plain, data, 20), b = iterate(*standard, data, 20), c = iterate(*other, rescaled, 20);
      for (size_t i = 0; i < a.size(); ++i) {
        EXPECT_NEAR(a[i], b[i], 1e-10 * std::abs(a[i]));
        EXPECT_NEAR(b[i], c[i] + 272 * std::log(1e-3), 1e-9 * std::abs(a[i]));  // the Jacobian of the new units
      }
    }
}

TEST(Mixture, AShiftOfAMillionDeviationsKeepsTheBounds) {
  for (const std::string covariance : {"full", "diagonal"}) {
    Dataset data = faithful(), shifted = data;
    shifted.columns["x"] = data.columns["x"] + at::tensor({1.1e6, 1.4e7}, at::kDouble);
    const std::string toml = mixture(kHardStart, "covariance = \"" + covariance + "\"\n");
    const auto a = started(toml, data), b = started(toml, shifted);
    const auto bounds = iterate(*a, data, 50), moved = iterate(*b, shifted, 50);
    for (size_t i = 0; i < bounds.size(); ++i) {
      EXPECT_NEAR(bounds[i], moved[i], 1e-6);  // the shifted data themselves are rounded to 1e-10 deviations
      EXPECT_GE(moved[i] - moved[i == 0 ? 0 : i - 1], -1e-9 * std::abs(moved[i]));
    }
  }
}

TEST(Mixture, Float32AgreesWithFloat64) {
  for (const std::string covariance : {"full", "diagonal"}) {
    const std::string observation = "covariance = \"" + covariance + "\"\n";
    const auto exact = started(mixture(kHardStart, observation), faithful());
    const auto single = started(mixture(kHardStart + "precision = \"float32\"\n", observation), faithful());
    const auto a = iterate(*exact, faithful(), 30), b = iterate(*single, faithful(), 30);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5 * std::abs(a[i]));
  }
}

TEST(Mixture, ThreadsChangeNoBitOfAFit) {
  const Dataset data = sample_data(Sample::blobs);
  const int before = at::get_num_threads();
  TensorMap states[2];
  for (int threads : {1, 2}) {
    at::set_num_threads(threads);
    const auto model = started(mixture("num_components = 3\nrestarts = 3\n"), data);
    iterate(*model, data, 10);
    states[threads - 1] = copy(model->state());
  }
  at::set_num_threads(before);
  EXPECT_EQ(difference(states[0], states[1]), 0);
}

// ---- starts ----

TEST(Mixture, RestartsKeepTheBestBound) {
  const std::string top = "num_components = 6\nstart = \"random\"\n";
  Dataset data = sample_data(Sample::blobs);
  const auto one = started(mixture(top), data),
             many = started(mixture(top + "restarts = 8\nrestart_passes = 10\n"), data);
  EXPECT_GE(bound_of(*many, data), iterate(*one, data, 10).back() - 1e-9);
}

TEST(Mixture, FlooredComponentsAreReported) {
  Dataset data = faithful();
  data.columns["x"] = data.columns["x"].clone();
  data.columns["x"].slice(0, 0, 20).fill_(50.);  // twenty equal rows: a likelihood without bound
  data.columns["label"] = data.columns["x"].select(1, 0).eq(50.).to(at::kLong);
  const auto model = started(mixture(kHardStart + "estimate = \"ml\"\n", "variance_floor = 1e-4\n"), data);
  const auto bounds = iterate(*model, data, 20);
  for (size_t i = 1; i < bounds.size(); ++i) EXPECT_GE(bounds[i] - bounds[i - 1], -1e-9 * std::abs(bounds[i]));
  EXPECT_EQ(block(*model, "components").diagnostics().at("components.floored"), 1);
}

TEST(Mixture, MoreComponentsThanClustersStayFinite) {
  for (const std::string estimate : {"ml", "map", "posterior"}) {
    const auto model = started(mixture("num_components = 30\nestimate = \"" + estimate + "\"\n"), faithful());
    const auto bounds = iterate(*model, faithful(), 60);
    for (size_t i = 1; i < bounds.size(); ++i)
      EXPECT_GE(bounds[i] - bounds[i - 1], -1e-9 * std::abs(bounds[i])) << estimate;
  }
}

TEST(Mixture, AConstantColumnIsNoError) {
  Dataset data = faithful();
  data.columns["x"] = at::cat({data.columns["x"], at::full({272, 1}, 7., at::kDouble)}, 1);
  data.schema.item_shape = {3};
  data.schema.feature_names.push_back("constant");
  for (const std::string estimate : {"ml", "map", "posterior"})
    for (const std::string covariance : {"full", "diagonal"}) {
      const auto model = started(
          mixture(kHardStart + "estimate = \"" + estimate + "\"\n", "covariance = \"" + covariance + "\"\n"), data);
      EXPECT_TRUE(std::isfinite(iterate(*model, data, 20).back())) << estimate << " " << covariance;
    }
}

// ---- methods ----

TEST(Mixture, MethodsOfAPointEstimateAgreeWithPlainLoops) {
  for (const std::string covariance : {"full", "diagonal"}) {
    const auto model =
        started(mixture(kHardStart + "estimate = \"ml\"\n", "covariance = \"" + covariance + "\"\n"), faithful());
    iterate(*model, faithful(), 3);
    const auto parts = call(*model, "component_parameters");
    const Tensor x = faithful().columns["x"].slice(0, 0, 40),
                 S = covariance == "full" ? parts[2] : at::diag_embed(parts[2]);
    const Tensor joint = reference_log_joint(x, parts[0], parts[1], S);
    EXPECT_TRUE(at::allclose(call(*model, "log_prob", {x})[0], at::logsumexp(joint, -1), 1e-10, 1e-10));
    EXPECT_TRUE(at::allclose(call(*model, "responsibilities", {x})[0], at::softmax(joint, -1), 1e-9, 1e-10));
    EXPECT_TRUE(at::equal(call(*model, "predict", {x})[0], joint.argmax(-1)));
    EXPECT_NEAR(call(*model, "log_prob", {faithful().columns["x"]})[0].sum().item<double>(),
                bound_of(*model, faithful()), 1e-8);
  }
}

TEST(Mixture, LogProbOfAPosteriorIsTheStudentMixture) {
  const auto model = started(mixture(kHardStart + "standardize = false\n"), faithful());
  iterate(*model, faithful(), 5);
  const auto p = NormalWishartFamily(2, 0).parameters(block(*model, "components").eta());
  const Tensor degrees = p.nu - 1, alpha = block(*model, "weights").eta()[0] + 1;
  const Tensor scales = p.V * ((p.beta + 1) / (p.beta * degrees)).view({-1, 1, 1});
  const Tensor x = faithful().columns["x"].slice(0, 0, 30), center = faithful().columns["x"].mean(0);
  const Tensor joint = reference_student(x, alpha / alpha.sum(), p.m + center, scales, degrees);
  EXPECT_TRUE(at::allclose(call(*model, "log_prob", {x})[0], at::logsumexp(joint, -1), 1e-10, 1e-10));
}

TEST(Mixture, LogProbIntegratesToOneInTheUnitsOfTheData) {
  for (const std::string estimate : {"map", "posterior"})
    for (const std::string covariance : {"full", "diagonal"}) {
      const auto model =
          started(mixture(kHardStart + "estimate = \"" + estimate + "\"\n", "covariance = \"" + covariance + "\"\n"),
                  faithful());
      iterate(*model, faithful(), 10);
      const auto grid =
          at::meshgrid({at::linspace(-2, 9, 401, at::kDouble), at::linspace(-20, 170, 401, at::kDouble)}, "ij");
      const Tensor x = at::stack({grid[0].flatten(), grid[1].flatten()}, 1);
      const double area = 11. / 400 * 190. / 400,
                   mass = (call(*model, "log_prob", {x})[0].exp().sum() * area).item<double>();
      EXPECT_NEAR(mass, 1, 1e-4) << estimate << covariance;  // what lies outside of the grid
    }
}

TEST(Mixture, ResponsibilitiesAreThoseOfTheEStep) {
  for (const std::string covariance : {"full", "diagonal"}) {
    const auto model = started(mixture(kHardStart, "covariance = \"" + covariance + "\"\n"), faithful());
    iterate(*model, faithful(), 5);
    const Tensor r = call(*model, "responsibilities", {faithful().columns["x"]})[0];
    EXPECT_TRUE(
        at::allclose(r.sum(0, true), model->e_step(all(faithful()), Step(), Rng(0)).sums.at("weights.t"), 1e-10, 1e-9));
    EXPECT_TRUE(at::allclose(r.sum(1), at::ones({272}, at::kDouble)));
  }
}

TEST(Mixture, DrawsLookLikeTheData) {
  for (const std::string estimate : {"ml", "posterior"}) {
    const auto model = started(mixture(kHardStart + "estimate = \"" + estimate + "\"\n"), faithful());
    iterate(*model, faithful(), 50);
    const auto draws = call(*model, "sample", {at::scalar_tensor(20000, at::kLong)});
    const Tensor x = faithful().columns["x"], error = (draws[0].mean(0) - x.mean(0)).abs() / x.std(0);
    EXPECT_LT(error.max().item<double>(), 0.05);
    EXPECT_LT((draws[0].std(0) / x.std(0) - 1).abs().max().item<double>(), 0.05);
    EXPECT_TRUE(at::equal(draws[1], call(*model, "sample", {at::scalar_tensor(20000, at::kLong)})[1]));
    const Tensor agrees = call(*model, "predict", {draws[0]})[0].eq(draws[1]).to(at::kDouble).mean();
    EXPECT_GT(agrees.item<double>(), 0.95);
  }
}

TEST(Mixture, MethodsAreListedBeforeAnyTraining) {
  std::vector<std::string> names;
  for (const Method& method : make_model(mixture(""), faithful())->methods()) names.push_back(method.name);
  EXPECT_EQ(names, (std::vector<std::string>{"log_prob", "responsibilities", "entropy", "predict",
                                             "component_parameters", "impute", "sample"}));
}

// ---- errors and options ----

TEST(Mixture, ErrorsSayWhatIsWrong) {
  Dataset data = faithful();
  const auto model = make_model(mixture("num_components = 2\n"), data);
  Dataset gaps = data;
  gaps.columns["x"] = data.columns["x"].clone();
  gaps.columns["x"][3][1] = INFINITY;
  const std::string infinite =
      "mixture: x is inf in row 3, column \"waiting\"; a finite number, or NaN where it is missing, is expected";
  EXPECT_EQ(message([&] { model->initialize(gaps, Rng(1)); }), infinite);
  model->initialize(data, Rng(1));
  EXPECT_EQ(message([&] { model->e_step(all(gaps), Step(), Rng(1)); }), infinite);
  gaps.columns["x"].select(1, 1).fill_(NAN);
  EXPECT_EQ(message([&] { make_model(mixture(""), data)->initialize(gaps, Rng(1)); }),
            "mixture: column \"waiting\" has no value in any row of the training data; leave it out");
  Batch wide = all(data);
  wide.columns["x"] = at::zeros({8, 50}, at::kDouble);
  EXPECT_EQ(message([&] { model->e_step(wide, Step(), Rng(1)); }),
            "mixture: x has shape [8, 50] but [rows, 2] is expected");
  Dataset few = data.subset(at::arange(1, at::kLong));
  EXPECT_EQ(message([&] { model->initialize(few, Rng(1)); }), "mixture: 1 rows are too few for 2 components");
  Dataset labels = data;
  labels.columns["label"] = at::full({272}, 2, at::kLong);
  EXPECT_EQ(message([&] { started(mixture(kHardStart), labels); }),
            "mixture: start = \"labels\" needs labels in [0, 1], got 2 in row 0");
}

TEST(Mixture, OptionsWithoutEffectAreErrors) {
  const auto configure = [](const std::string& toml) { return message([&] { make_model(toml, faithful()); }); };
  EXPECT_EQ(configure(mixture("num_components = 0\n")), "test:3: model.num_components must be in [1, 4096], got 0");
  EXPECT_EQ(configure(mixture("estimate = \"ml\"\n", "mean_strength = 2.0\n")),
            "normal: mean_strength has no effect in this run; it takes effect when estimate is map or posterior");
  EXPECT_EQ(configure(mixture("start = \"labels\"\nrestarts = 2\n")),
            "test:4: model.restarts has no effect in this run; it takes effect when start is auto, kmeans++, random or "
            "segments");
  EXPECT_EQ(configure(mixture("restart_passes = 2\n")),
            "test:3: model.restart_passes has no effect in this run; it takes effect when start is auto, kmeans++, "
            "random or segments and restarts is above 1");
}

struct ModelChoice final : Options {
  Choice model{"model", "gmm", nullptr};
  void visit(OptionVisitor& v) override { v("model", model, "the model"); }
};

TEST(Mixture, TheResolvedConfigurationHoldsEffectiveKeysAndReadsUnchanged) {
  const Registry registry = builtin_registry();
  for (const std::string estimate : {"ml", "map", "posterior"}) {
    ModelChoice first, second;
    Config::parse(mixture("estimate = \"" + estimate + "\"\n"), "test").read(first, registry);
    const std::string toml = to_toml(first, registry);
    EXPECT_EQ(toml.find("mean_strength") == std::string::npos, estimate == "ml") << toml;
    EXPECT_EQ(toml.find("concentration") == std::string::npos, estimate == "ml") << toml;
    EXPECT_EQ(toml.find("variance_floor") == std::string::npos, estimate == "posterior") << toml;
    Config::parse(toml, "saved").read(second, registry);
    EXPECT_EQ(to_toml(second, registry), toml);
  }
}

}  // namespace mixture_test
}  // namespace vem
