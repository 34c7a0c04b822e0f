// Probabilistic PCA and factor analysis: golden values of scikit-learn, closed forms, mixtures of them, missing cells.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "support/places.h"
#include "vem/core/error.h"
#include "vem/dist/low_rank_normal.h"

namespace vem {
namespace low_rank_test {

/// The data of golden/low_rank.py.
Dataset formula_data() {
  const Tensor n = at::arange(120, at::kDouble).unsqueeze(1), d = at::arange(5, at::kDouble).unsqueeze(0);
  const Tensor z = at::cat({2 * at::sin(0.7 * n), 1.5 * at::cos(1.3 * n + 1)}, 1);
  const Tensor W = at::tensor({1., .8, -.6, .3, 1.2, -.4, 1., .5, 1.1, -.7}, at::kDouble).view({2, 5});
  Dataset data;
  data.size = 120;
  data.columns["x"] =
      at::mm(z, W) + 3 + (0.2 + 0.15 * d) * at::sin(1.7 * (n + 1) * (d + 1)) + 0.1 * at::cos(2.3 * n + d * n / 7);
  data.schema.item_shape = {5};
  return data;
}

std::shared_ptr<Model> fitted(const std::string& kind, int64_t rank, const Dataset& data,
                              const std::string& more = "") {
  const auto model = make_model(fmt::format("[model]\nkind = \"{}\"\n{}[model.observation]\nkind = \"normal\"\n"
                                            "covariance = \"{}\"\nrank = {}\nvariance_floor = 0\n",
                                            kind, more, kind == "ppca" ? "ppca" : "factor", rank),
                                data);
  FitOptions options;
  options.epochs = 400;
  options.tolerance = 0;
  fit(*model, data, options, {plugins()});
  return model;
}

std::vector<Tensor> call(const Model& model, const std::string& name, const std::vector<Tensor>& in = {}) {
  const std::vector<Method> methods = model.methods();
  const Method* method = Model::find(methods, name);
  if (!method) throw std::runtime_error(name);
  return method->call(in, Rng(0));
}

Batch all(const Dataset& data) { return data.batch(at::arange(data.size, at::kLong), 0, at::kDouble); }

TEST(LowRank, AgreesWithScikitLearn) {
  std::ifstream file(tests_folder() + "/golden/low_rank.txt");
  const Dataset data = formula_data();
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    std::istringstream fields(line);
    std::string kind;
    int64_t rank = 0;
    double total = 0;
    fields >> kind >> rank >> total;
    std::vector<double> noise(5), latents(static_cast<size_t>(rank));
    for (double& v : noise) fields >> v;
    for (double& v : latents) fields >> v;
    const auto model = fitted(kind == "factor" ? "factor-analysis" : kind, rank, data);
    // a closed form; iterations that both stop within 1e-12 of a maximum that is quadratic
    const double tolerance = kind == "ppca" ? 1e-9 : 1e-6;
    EXPECT_NEAR(model->e_step(all(data), Step(), Rng(0)).bound.item<double>(), total, tolerance) << line;
    const auto parts = call(*model, "component_parameters");
    EXPECT_TRUE(at::allclose(parts[4][0], at::tensor(noise, at::kDouble), 1e-5, 1e-7)) << line << parts[4];
    const Tensor z = call(*model, "encode", {data.columns.at("x").slice(0, 7, 8)})[0][0];
    EXPECT_TRUE(at::allclose(z.abs(), at::tensor(latents, at::kDouble).abs(), 1e-5, 1e-6)) << line << z;
  }
  EXPECT_EQ(lines, 5);
}

// With the rank that the covariance has, nothing is lost: D - 1 latent variables and isotropic noise explain any S.
TEST(LowRank, TheLargestRankIsTheFullCovariance) {
  const Dataset data = formula_data();
  const auto model = fitted("ppca", 4, data);
  const Tensor x = data.columns.at("x"), centred = x - x.mean(0);
  const auto parts = call(*model, "component_parameters");
  EXPECT_TRUE(at::allclose(parts[2][0], at::mm(centred.t(), centred) / 120, 1e-9, 1e-9));
  EXPECT_TRUE(at::allclose(at::mm(parts[3][0], parts[3][0].t()) + at::diag(parts[4][0]), parts[2][0], 1e-9, 1e-9));
}

// The mode beats every point near it, under the constraint of a floor as well; improved() never falls.
TEST(LowRank, TheModeIsAMaximumAndStepsNeverFall) {
  const Tensor x = formula_data().columns.at("x") - 3;
  const Tensor one = at::ones({120, 1}, at::kDouble);
  const Tensor second = NormalWishartFamily::packed(x.unsqueeze(2) * x.unsqueeze(1));
  for (const auto noise : {LowRankNormalFamily::Noise::isotropic, LowRankNormalFamily::Noise::diagonal})
    for (const double floor : {0., 0.4}) {
      const LowRankNormalFamily family(5, 2, noise, floor);
      const Tensor eta = family.padded(at::cat({one, x, second, one}, 1).sum(0, true));
      Tensor t = family.mode(eta);
      for (int i = 0; i < 40; ++i) {
        const Tensor next = family.improved(eta, t);
        EXPECT_GE((eta * next).sum().item<double>(), (eta * t).sum().item<double>() - 1e-9);
        t = next;
      }
      const LowRankNormalFamily::Factors f = family.factors(t);
      EXPECT_GE(f.noise.min().item<double>(), floor - 1e-12);
      const Tensor mean = x.mean(0, true);
      const double best = (eta * t).sum().item<double>();
      for (uint64_t trial = 0; trial < 200; ++trial) {
        const Rng rng(trial);
        const Tensor W = f.loadings + 0.02 * rng.normal(at::arange(1, at::kLong), {5, 2}, "W");
        const Tensor step = 0.02 * rng.normal(at::arange(1, at::kLong), {5}, "psi");
        const Tensor psi =
            (f.noise * (noise == LowRankNormalFamily::Noise::isotropic ? step.slice(1, 0, 1) : step).exp())
                .clamp_min(floor);
        const Tensor C = at::matmul(W, W.transpose(1, 2)) + at::diag_embed(psi);
        const Tensor other = family.padded(NormalWishartFamily::statistics(mean, at::linalg_inv(C)));
        EXPECT_LE((eta * other).sum().item<double>(), best + 1e-8) << trial;
      }
    }
}

// E[z | x] = (I + W' Psi^-1 W)^-1 W' Psi^-1 (x - mu), over the cells that are there.
TEST(LowRank, LatentsOfRowsWithGapsAreConditionalMeans) {
  const Dataset data = formula_data();
  const auto model = fitted("factor-analysis", 2, data);
  const auto parts = call(*model, "component_parameters");
  Tensor x = data.columns.at("x").slice(0, 0, 6).clone();
  for (int64_t n = 1; n < 6; ++n) x[n].slice(0, 0, n).fill_(std::nan(""));
  const Tensor z = call(*model, "encode", {x})[0];
  for (int64_t n = 0; n < 6; ++n) {
    const Tensor W = parts[3][0].slice(0, n), psi = parts[4][0].slice(0, n);
    if (n == 5) {
      EXPECT_LT(z[n].abs().max().item<double>(), 1e-12);  // nothing was seen
      continue;
    }
    const Tensor weighted = (W / psi.unsqueeze(1)).t();
    const Tensor expected = at::mv(at::linalg_inv(at::eye(2, at::kDouble) + at::mm(weighted, W)),
                                   at::mv(weighted, x[n].slice(0, n) - parts[1][0].slice(0, n)));
    EXPECT_TRUE(at::allclose(z[n], expected, 1e-8, 1e-8)) << n << z[n] << expected;
  }
}

// Two analysers with loadings and noise of their own, drawn and found again: five standard errors of 3,000 rows each.
TEST(LowRank, AMixtureFindsItsAnalysers) {
  const int64_t n = 6000;
  const Rng rng(4);
  const Tensor index = at::arange(n, at::kLong), side = index.remainder(2);
  const Tensor W = rng.normal(at::arange(2, at::kLong), {4, 1}, "W"), psi = at::tensor({.2, .3, .4, .25}, at::kDouble);
  const Tensor centers = at::tensor({-4., 0., 2., 0., 4., 1., 0., -2.}, at::kDouble).view({2, 4});
  Dataset data;
  data.size = n;
  data.columns["x"] = centers.index_select(0, side) + W.index_select(0, side).squeeze(2) * rng.normal(index, {1}, "z") +
                      rng.normal(index, {4}, "e") * psi.sqrt();
  data.schema.item_shape = {4};
  const auto model = make_model(
      "[model]\nkind = \"factor-analysis\"\nnum_components = 2\n[model.observation]\nkind = \"normal\"\n"
      "covariance = \"factor\"\nrank = 1\n",
      data);
  FitOptions options;
  options.epochs = 50;
  fit(*model, data, options, {plugins()});
  const auto parts = call(*model, "component_parameters");
  const int64_t first = parts[1][0][0].item<double>() < 0 ? 0 : 1;
  for (int64_t k = 0; k < 2; ++k) {
    const int64_t ours = k == 0 ? first : 1 - first;
    const Tensor C = at::mm(W[k], W[k].t()) + at::diag(psi), deviation = C.diagonal().sqrt();
    const Tensor error = (C.square() + at::outer(C.diagonal(), C.diagonal())).sqrt() / std::sqrt(n / 2.);
    EXPECT_TRUE(((parts[2][ours] - C).abs() < 5 * error).all().item<bool>()) << parts[2][ours] << C;
    EXPECT_TRUE(((parts[1][ours] - centers[k]).abs() < 5 * deviation / std::sqrt(n / 2.)).all().item<bool>());
  }
  EXPECT_EQ(call(*model, "encode", {data.columns["x"]})[0].sizes(), at::IntArrayRef({n, 2}));
}

TEST(LowRank, ErrorsSayWhatIsWrong) {
  const auto message = [](const std::string& toml, Estimate estimate, int64_t D) {
    try {
      make_observation(toml, {D, at::kDouble, estimate});
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message("covariance = \"factor\"\n", Estimate::posterior, 3),
            "normal: covariance = \"factor\" has no conjugate posterior; estimate must be ml or map");
  EXPECT_EQ(message("covariance = \"ppca\"\n", Estimate::gibbs, 3),
            "normal: covariance = \"ppca\" has no conjugate posterior; estimate must be ml or map");
  EXPECT_EQ(message("covariance = \"ppca\"\nrank = 3\n", Estimate::ml, 3),
            "normal: rank must be below the number of features, 3, for covariance = \"ppca\", got 3");
}

}  // namespace low_rank_test
}  // namespace vem
