// Several groups of latents in one model: exact evidence of linear-Gaussian hierarchies, sums against difference
// quotients over shapes of graphs and objectives, and what is refused.
#include <gtest/gtest.h>

#include "../models/amortized/model.h"
#include "support/amortised.h"
#include "support/models.h"
#include "vem/core/error.h"

namespace vem {
namespace latent_graph_test {

Step training() {
  Step step;
  step.iteration = 1;
  return step;
}
Step judging() {
  Step step;
  step.training = false;
  return step;
}

void put(const Model& model, const std::string& name, const Tensor& value) {
  const Tensor leaf = model.globals().at(name).detach();
  leaf.copy_(value.view(leaf.sizes()));
}
Tensor row(std::vector<double> values) { return at::tensor(values, at::kDouble); }

// ---- z2 ~ N(0, 1), z1 | z2 ~ N(a z2 + b, s^2), x | z1 ~ N(W z1 + c, r^2) ----

struct TwoLevels {
  double a = 1.4, b = -0.3, s = 0.6, r = 0.5;
  Tensor W = row({0.9, -0.7, 1.3}), c = row({0.2, 0.1, -0.4});
  Dataset data;

  TwoLevels() {
    const int64_t n = 40;
    const Tensor z2 = random({n, 1}, "z2"), z1 = a * z2 + b + s * random({n, 1}, "z1");
    data.size = n;
    data.schema.item_shape = {3};
    data.columns["x"] = z1 * W + c + r * random({n, 3}, "x");
  }
  double variance() const { return a * a + s * s; }  // of z1
  Tensor evidence() const {
    const Tensor covariance = variance() * at::outer(W, W) + r * r * at::eye(3, at::kDouble), mean = b * W + c;
    const Tensor L = at::linalg_cholesky(covariance),
                 e = at::linalg_solve_triangular(L, (data.columns.at("x") - mean).t(), false);
    return -0.5 * e.square().sum(0) - L.diagonal().log().sum() - 1.5 * std::log(2 * M_PI);
  }
  /// With q at the exact posterior, drawn from the top down or from the bottom up.
  std::shared_ptr<Model> model(bool down, const std::string& objective, double off = 0) const {
    const std::string linear = "{widths = []}\n";
    const auto m = make_model(
        "[model]\nkind = \"vae\"\nprecision = \"float64\"\ngiven = \"z1\"\nstandardize = false\nencoder_inputs = "
        "\"raw\"\nlikelihood = {kind = \"normal\", scale = \"fixed\", value = 0.5}\ndecoder = " +
            linear + objective + "\n[model.latent.z2]\ndim = 1\nencoder = " + linear + "given = \"" +
            (down ? "x" : "z1") + "\"\n[model.latent.z1]\ndim = 1\nencoder = " + linear +
            "prior = {network = " + "{widths = []}}\nparents = \"z2\"\ngiven = \"" + (down ? "x, z2" : "x") + "\"\n",
        data);
    put(*m, "decoder.output.weight", W), put(*m, "decoder.output.bias", c);
    put(*m, "prior.z1.output.weight", row({a, 0})), put(*m, "prior.z1.output.bias", row({b, std::log(s)}));
    const Tensor zero = at::zeros({3}, at::kDouble);
    const double w2 = (W * W).sum().item<double>() / (r * r);
    if (down) {
      const Tensor noise = s * s * at::outer(W, W) + r * r * at::eye(3, at::kDouble),
                   K = at::linalg_solve(noise, (a * W).unsqueeze(-1)).squeeze(-1), mean = b * W + c;
      const double precision = 1 + a * (W * K).sum().item<double>();
      put(*m, "encoder.z2.output.weight", at::stack({K / precision, zero}));
      put(*m, "encoder.z2.output.bias",
          row({-(K * mean).sum().item<double>() / precision, -0.5 * std::log(precision)}));
      const double p1 = 1 / (s * s) + w2;
      const Tensor own = at::cat({W / (r * r), row({a / (s * s)})}) / p1;
      put(*m, "encoder.z1.output.weight", at::stack({own, at::zeros({4}, at::kDouble)}));
      put(*m, "encoder.z1.output.bias",
          row({(b / (s * s) - (W * c).sum().item<double>() / (r * r)) / p1, -0.5 * std::log(p1)}));
    } else {
      const double v = variance(), p1 = 1 / v + w2, p2 = 1 + a * a / (s * s);
      put(*m, "encoder.z1.output.weight", at::stack({W / (r * r) / p1, zero}));
      put(*m, "encoder.z1.output.bias",
          row({(b / v - (W * c).sum().item<double>() / (r * r)) / p1, -0.5 * std::log(p1)}));
      put(*m, "encoder.z2.output.weight", row({a / (s * s) / p2, 0}));
      put(*m, "encoder.z2.output.bias", row({-a * b / (s * s) / p2, -0.5 * std::log(p2)}));
    }
    for (const char* name : {"encoder.z1.output.bias", "encoder.z2.output.bias"})
      m->globals().at(name).detach().add_(off);
    return m;
  }
  Batch batch() const { return data.batch(items(data.size), 0, at::kDouble); }
  double bound(bool down, const std::string& objective, double off, uint64_t seed) const {
    return model(down, objective, off)->e_step(batch(), judging(), Rng(seed)).bound.item<double>();
  }
};

TEST(TwoLevels, BoundsAreTheEvidenceAtTheExactPosterior) {
  const TwoLevels two;
  const double evidence = two.evidence().sum().item<double>();
  for (const bool down : {true, false})
    for (const char* objective :
         {"objective = {kind = \"elbo\", kl = \"monte-carlo\"}", "objective = {kind = \"iwae\", num_samples = 3}"})
      for (const uint64_t seed : {1, 2}) EXPECT_NEAR(two.bound(down, objective, 0, seed), evidence, 1e-9) << objective;
}

TEST(TwoLevels, EveryImportanceWeightIsTheEvidence) {
  const TwoLevels two;
  for (const bool down : {true, false}) {
    const auto methods = two.model(down, "objective = \"elbo\"")->methods();
    const auto model = two.model(down, "objective = \"elbo\"");
    const auto table = model->methods();
    const Tensor weights =
        Model::find(table, "importance")->call({two.data.columns.at("x"), at::scalar_tensor(7, at::kLong)}, Rng(3))[0];
    EXPECT_EQ(weights.sizes(), at::IntArrayRef({7, two.data.size}));
    EXPECT_LT((weights - two.evidence()).abs().max().item<double>(), 1e-9);
  }
}

TEST(TwoLevels, BoundsAreOrderedBelowTheEvidence) {
  const TwoLevels two;
  const double evidence = two.evidence().sum().item<double>();
  for (const bool down : {true, false}) {
    const auto averaged = [&](const std::string& objective) {
      const auto model = two.model(down, objective, 0.3);
      double sum = 0;
      for (uint64_t seed = 0; seed < 100; ++seed)
        sum += model->e_step(two.batch(), judging(), Rng(seed)).bound.item<double>() / 100;
      return sum;
    };
    const double elbo = averaged("objective = \"elbo\""),
                 few = averaged("objective = {kind = \"iwae\", num_samples = 5}"),
                 many = averaged("objective = {kind = \"iwae\", num_samples = 200}");
    EXPECT_LT(elbo, few - 1);
    EXPECT_LT(few, many - 1);
    EXPECT_LT(many, evidence + 0.2);
  }
}

// At the exact posterior the path derivative is zero for any noise: only if the weights of every network that q reads
// are stopped, and draws of the groups above are not (the detached parameters send 2.7 and more here).
TEST(TwoLevels, PathDerivativesVanishAtTheExactPosterior) {
  const TwoLevels two;
  for (const bool down : {true, false})
    for (const char* objective : {"objective = {kind = \"elbo\", kl = \"sticking\"}",
                                  "objective = {kind = \"iwae\", gradient = \"dreg\", num_samples = 3}"})
      for (const auto& [name, sum] : two.model(down, objective)->e_step(two.batch(), training(), Rng(2)).sums)
        if (name.rfind("encoder", 0) == 0) {
          EXPECT_LT(sum.abs().max().item<double>(), 1e-9) << objective << name;
        }
}

// KL(q(z1 | x) || p(z1 | z2)) at a z2 that was drawn from that z1 is no term of a bound: it would lie above.
TEST(TwoLevels, KlHasNoClosedFormWhereAParentWasDrawnFromTheGroup) {
  const TwoLevels two;
  const double evidence = two.evidence().sum().item<double>();
  const auto model = two.model(false, "objective = {kind = \"elbo\", num_samples = 50}");
  for (uint64_t seed = 0; seed < 3; ++seed)
    EXPECT_NEAR(model->e_step(two.batch(), judging(), Rng(seed)).bound.item<double>(), evidence, 1.5);  // 50 draws
}

// ---- shapes of graphs ----

struct Shaped {
  std::string name, toml;
  bool sequences = false, flow = false;
};

std::string net() { return "{widths = [5], activation = \"tanh\"}\n"; }
std::string latent(const std::string& name, int dim, const std::string& more) {
  return fmt::format("[model.latent.{}]\ndim = {}\nencoder = {}{}", name, dim, net(), more);
}
std::string feature(const std::string& name, const std::string& given) {
  return fmt::format("[model.feature.{}]\ngiven = \"{}\"\nwidth = 4\nnetwork = {}", name, given, net());
}

std::vector<Shaped> shapes() {
  const std::string p = "prior = {network = {widths = [5], activation = \"tanh\"}}\n";
  const std::string h = "[model.feature.h]\ngiven = \"x\"\nwidth = 4\nnetwork = {kind = \"gru\", hidden = 4}\n";
  return {
      {"top-down", latent("z2", 2, "") + latent("z1", 3, "given = \"x, z2\"\nparents = \"z2\"\n" + p)},
      {"bottom-up", latent("z1", 3, "parents = \"z2\"\n" + p) + latent("z2", 2, "given = \"z1\"\n")},
      {"flow above",
       latent("z2", 2, "posterior = {kind = \"flow\", num_flows = 2}\n") +
           latent("z1", 3, "given = \"x, z2\"\nparents = \"z2\"\n" + p),
       false, true},
      {"full below", latent("z2", 2, "posterior = \"full\"\n") +
                         latent("z1", 3, "posterior = \"full\"\ngiven = \"x, z2\"\nparents = \"z2\"\n" + p)},
      {"low rank below",
       latent("z2", 2, "") + latent("z1", 3, "posterior = \"low-rank\"\ngiven = \"z2, x\"\nparents = \"z2\"\n" + p)},
      {"ladder", feature("h1", "x") + feature("h2", "h1") + feature("h3", "h2") + latent("z3", 2, "given = \"h3\"\n") +
                     latent("z2", 2, "given = \"h2\"\nparents = \"z3\"\nmerged = true\n" + p) +
                     latent("z1", 3, "given = \"h1\"\nparents = \"z2\"\nmerged = true\n" + p)},
      {"feature of p",
       feature("d", "z2") + latent("z2", 2, "") + latent("z1", 3, "given = \"x, d\"\nparents = \"d\"\n" + p)},
      {"mixture above", latent("z2", 2, "prior = {kind = \"normal-mixture\", num_components = 3}\n") +
                            latent("z1", 3, "given = \"x, z2\"\nparents = \"z2\"\n" + p)},
      {"chain", h + latent("z", 2, "given = \"h, z.previous\"\nparents = \"z.previous\"\n" + p), true},
      {"merged chain", h + latent("z", 2, "given = \"h, z.previous\"\nparents = \"z.previous\"\nmerged = true\n" + p),
       true},
      {"two chains",
       latent("u", 2, "given = \"u.previous, x\"\nparents = \"u.previous\"\n" + p) +
           latent("v", 2, "given = \"x, u, v.previous\"\nparents = \"u, v.previous\"\n" + p),
       true},
      {"static and dynamic",
       "[model.latent.w]\ndim = 2\nper = \"item\"\nencoder = {kind = \"gru\", hidden = 4}\n" +
           latent("z", 2, "given = \"x, w, z.previous\"\nparents = \"z.previous\"\n" + p),
       true}};
}

Dataset data_of(const Shaped& shape, int64_t n = 4) {
  Dataset data;
  data.schema.item_shape = {4};
  data.size = n;
  int64_t rows = n;
  if (shape.sequences) {
    std::vector<int64_t> ends{0};
    for (int64_t i = 0; i < n; ++i) ends.push_back(ends.back() + 1 + (i * 5 + 2) % 4);
    data.offsets = at::tensor(ends, at::kLong);
    rows = ends.back();
  }
  data.columns["x"] = random({rows, 4}, "x");
  return data;
}

std::shared_ptr<Amortized> started(const Shaped& shape, const std::string& objective, const Dataset& data) {
  const bool skip = shape.name == "static and dynamic";
  const auto model = std::dynamic_pointer_cast<Amortized>(
      make_model("[model]\nkind = \"vae\"\nprecision = \"float64\"\nlikelihood = {kind = \"normal\"}\nstandardize = "
                 "false\nencoder_inputs = \"raw\"\noptimizer = \"sgd\"\ndecoder = " +
                     net() + objective + (skip ? "\ngiven = \"z, w\"" : "") + "\n" + shape.toml,
                 data));
  model->initialize(data, Rng(2));
  return model;
}

std::string refusal(const std::string& sections, const std::string& top = "") {
  Dataset data;
  data.schema.item_shape = {4};
  data.schema.num_classes = 3;
  data.size = 2;
  data.columns["x"] = at::zeros({2, 4});
  try {
    make_model("[model]\nkind = \"vae\"\n" + top + sections, data);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "taken";
}

TEST(LatentGraph, RefusesWhatIsNoGraph) {
  const auto section = [](const std::string& name, const std::string& options) {
    return "[model.latent." + name + "]\ndim = 2\n" + options;
  };
  EXPECT_EQ(refusal(section("a", "given = \"b\"\n") + section("b", "given = \"a\"\n")),
            "vae: what q reads of a, b go round in a circle");
  EXPECT_EQ(refusal(section("a", "parents = \"b\"\n") + section("b", "parents = \"a\"\n"), "given = \"a\"\n"),
            "vae: the parents of a, b go round in a circle");
  EXPECT_EQ(refusal(section("z", "given = \"x, w\"\n")),
            "encoder reads 'w', which is no column of the data, feature or latent; there are label, x, z");
  EXPECT_EQ(refusal(section("z", "given = \"x.previous\"\n")),
            "encoder reads 'x.previous', but only a latent has a previous value, and x is none");
  EXPECT_EQ(refusal(section("z", "") + section("w", ""), "given = \"z\"\n"),
            "vae: nobody reads latent w: it is in no given of the decoder (z) and no parent of another");
  EXPECT_EQ(refusal(section("z", ""), "given = \"z, x\"\n"),
            "vae: the decoder can not read x, which it models; given is z, x");
  EXPECT_EQ(refusal(section("z", "parents = \"label\"\nprior = \"standard\"\n")),
            "vae: prior standard is p(z) and takes no parents, got label; prior conditional does");
  EXPECT_EQ(refusal(section("z", "prior = \"conditional\"\n")),
            "prior conditional: it is p(z | parents), and prior has no parents");
  EXPECT_EQ(refusal(section("z", "given = \"x, label\"\nprior = \"vamp\"\n"), "given = \"z, label\"\n"),
            "vae: prior vamp is made of q at rows x alone, but q of z reads x, label");
  EXPECT_EQ(refusal(section("z2", "") + section("z1", "parents = \"z2\"\nmerged = true\nposterior = \"full\"\n")),
            "vae: merged = true is for posterior diagonal, got full for z1");
  EXPECT_EQ(refusal("[model.feature.h]\ngiven = \"z\"\n" + section("z", "given = \"x, h\"\n")),
            "vae: z reads 'h', which depends on z itself; only z.previous may be read");
  EXPECT_EQ(refusal("[model.feature.z]\ngiven = \"x\"\n" + section("z", "")),
            "vae: 'z' is both a feature and a latent");
  EXPECT_EQ(refusal("[model.latent.y]\nobserved = \"label\"\n" + section("z", "given = \"x, y\"\n"),
                    "given = \"z, y\"\ne_step = \"semi-amortized\"\n"),
            "vae: y is observed for some items, which goes with e_step = \"amortized\" only");
  EXPECT_EQ(refusal(section("label", "")),
            "vae: no feature and no latent may be called 'label': that is a column, or has a dot");
  EXPECT_EQ(
      refusal(section("z", ""), "latent_dim = 3\n"),
      "test:3: model.latent_dim has no effect in this run; it takes effect when there is no section model.latent");
}

// A label that networks read: at one label for all, the model is one whose biases are shifted.
TEST(LatentGraph, ReadsLabels) {
  Dataset data;
  data.schema.item_shape = {4};
  data.schema.num_classes = 3;
  data.size = 5;
  data.columns["x"] = random({5, 4}, "x").sigmoid();
  data.columns["label"] = at::full({5}, 2, at::kLong);
  const std::string linear = "{widths = []}\n",
                    start = "[model]\nkind = \"vae\"\nprecision = \"float64\"\ndecoder = " + linear;
  const auto given = make_model(
      start + "given = \"z, label\"\n[model.latent.z]\ndim = 2\ngiven = \"x, label\"\nencoder = " + linear, data);
  const auto plain = make_model(start + "latent_dim = 2\nencoder = " + linear, data);
  given->initialize(data, Rng(1));
  for (const char* name : {"encoder.output", "decoder.output"}) {
    const std::string weight = std::string(name) + ".weight", bias = std::string(name) + ".bias";
    const Tensor whole = given->globals().at(weight).detach();
    const int64_t inputs = whole.size(1) - 3;
    put(*plain, weight, whole.narrow(1, 0, inputs).contiguous());
    put(*plain, bias, given->globals().at(bias).detach() + whole.select(1, inputs + 2));
  }
  const Batch batch = data.batch(items(5), 0, at::kDouble);
  EXPECT_NEAR(given->e_step(batch, judging(), Rng(3)).bound.item<double>(),
              plain->e_step(batch, judging(), Rng(3)).bound.item<double>(), 1e-12);
  Batch missing = batch;
  missing.columns["label"] = at::tensor({2, 2, -1, 2, 2}, at::kLong);
  try {
    given->e_step(missing, judging(), Rng(3));
    ADD_FAILURE() << "a missing label is taken";
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "vae: label is missing in row 3, but the model reads it and needs one of 0 .. 2");
  }
  const auto methods = given->methods();
  const Method& sample = *Model::find(methods, "sample");
  EXPECT_EQ(sample.inputs, (std::vector<std::string>{"n", "label"}));
  const Tensor n = at::scalar_tensor(4, at::kLong);
  EXPECT_GT(difference(sample.call({n, at::scalar_tensor(0, at::kLong)}, Rng(1))[0],
                       sample.call({n, at::scalar_tensor(2, at::kLong)}, Rng(1))[0]),
            1e-3);
  EXPECT_EQ(Model::find(methods, "encode")->inputs, (std::vector<std::string>{"x", "label"}));
}

/// <sums, direction> against (f(+h) - f(-h)) / 2h for each global: the largest error over the largest slope.
double worst(const Model& model, const TensorMap& sums, const std::function<double()>& f) {
  const double h = 2e-6;
  double error = 0, size = 1e-300;
  for (const auto& [key, leaf] : model.globals()) {
    const Tensor value = leaf.detach(), start = value.clone();
    const Tensor d = random({value.numel()}, key).view(value.sizes());
    value.copy_(start + h * d);
    const double up = f();
    value.copy_(start - h * d);
    const double down = f();
    value.copy_(start);
    const double slope = (up - down) / (2 * h);
    error = std::max(error, std::abs(slope - (sums.at(key) * d).sum().item<double>()));
    size = std::max(size, std::abs(slope));
  }
  return error / size;
}

Batch weighted(const Dataset& data) {
  Batch batch = data.batch(items(data.size), 0, at::kDouble);
  batch.weight = at::tensor({1., 2., .5, 1.}, at::kDouble);
  return batch;
}

TEST(LatentGraph, SumsAreDifferenceQuotients) {
  for (const Shaped& shape : shapes()) {
    const Dataset data = data_of(shape);
    const Batch batch = weighted(data);
    for (const char* objective :
         {"objective = {kind = \"elbo\", num_samples = 2}", "objective = {kind = \"elbo\", kl = \"monte-carlo\"}",
          "objective = {kind = \"iwae\", num_samples = 3}"}) {
      const auto model = started(shape, objective, data);
      const Expectation e = model->e_step(batch, training(), Rng(11));
      const auto bound = [&] { return model->e_step(batch, judging(), Rng(11)).bound.item<double>(); };
      EXPECT_LT(worst(*model, e.sums, bound), 1e-7) << shape.name << ": " << objective;
    }
  }
}

// ---- the path derivative by its definition, written a second time ----

/// log p(x, z) [S, B] at draws, by the weights of a model.
Tensor log_joint(const Amortized& model, const Batch& batch, const std::vector<Draw>& draws) {
  const Inference& inference = model.inference();
  const auto columns = inference.world(batch, batch.at("x")), density = columns->with_columns();
  const Trace trace = inference.trace(draws, *density, *columns, batch.at("x"));
  Tensor sum = trace.log_px;
  for (const Latent& latent : trace.latents) sum = sum + latent.log_p();
  return sum;
}

/// log q(z | x) [S, B] at draws, by the weights of a model: what q reads is at these draws.
Tensor log_posterior(const Amortized& model, const Batch& batch, const std::vector<Draw>& draws) {
  const Inference& inference = model.inference();
  const auto world = inference.world(batch, batch.at("x"));
  const auto& groups = inference.latents().groups();
  for (size_t i = 0; i < groups.size(); ++i) world->set(groups[i].name, draws[i].z0);  // no flows: z is z0
  Tensor sum = at::zeros({}, at::kDouble);
  for (size_t i = 0; i < groups.size(); ++i) {
    const auto q = groups[i].posterior->at(inference.parameters_in(groups[i], *world));
    sum = sum + world->batch(groups[i].level).per_item(q->log_prob(draws[i].z0));
  }
  return sum;
}

std::vector<Draw> drawn(const Amortized& model, const Batch& batch, int64_t samples) {
  const auto world = model.inference().world(batch, batch.at("x"));
  return model.inference().draw(*world, {}, {samples}, training(), Rng(11));
}

// Sticking the landing and DReG: densities of q keep their old weights while draws move along the new ones, weighted by
// 1/S and by squared shares of the importance weights; weights of p learn at draws that stay.
TEST(LatentGraph, PathDerivativesAreDifferenceQuotientsOfTheirDefinition) {
  for (const Shaped& shape : shapes()) {
    if (shape.flow) continue;  // whose density is known along draws only
    const Dataset data = data_of(shape);
    const Batch batch = weighted(data);
    for (const bool dreg : {false, true}) {
      const std::string objective = dreg ? "objective = {kind = \"iwae\", gradient = \"dreg\", num_samples = 3}"
                                         : "objective = {kind = \"elbo\", kl = \"sticking\", num_samples = 2}";
      const int64_t S = dreg ? 3 : 2;
      const auto model = started(shape, objective, data), base = started(shape, objective, data);
      const TensorMap sums = model->e_step(batch, training(), Rng(11)).sums;
      const at::NoGradGuard no_grad;
      const auto old_draws = drawn(*base, batch, S);
      const Tensor log_q = log_posterior(*base, batch, old_draws),
                   log_weight = log_joint(*base, batch, old_draws) - log_q;
      const Tensor share = dreg ? at::softmax(log_weight, 0).square() : at::full_like(log_weight, 1.0 / S);
      const auto defined = [&] {
        const Tensor of_p = log_joint(*model, batch, old_draws) - log_q;
        const auto draws = drawn(*model, batch, S);
        const Tensor path = log_joint(*base, batch, draws) - log_posterior(*base, batch, draws);
        const Tensor whole = (dreg ? at::logsumexp(of_p, {0}) : of_p.mean(0)) + (share * path).sum(0);
        return at::dot(batch.weight, whole).item<double>();
      };
      EXPECT_LT(worst(*model, sums, defined), 1e-7) << shape.name << (dreg ? ", DReG" : ", STL");
    }
  }
}

// A latent for each row of ragged sequences: what scales the path of an item's draws is spread over its rows.
TEST(LatentGraph, DoublyReparameterisedGradientsOfRowsInSequences) {
  Shaped one{"rows", "", true};
  const Dataset data = data_of(one);
  const auto model = make_model(
      "[model]\nkind = \"vae\"\nprecision = \"float64\"\nlikelihood = \"normal\"\nlatent_dim = 2\nobjective = {kind = "
      "\"iwae\", gradient = \"dreg\", num_samples = 3}\nencoder = {widths = [4]}\ndecoder = {widths = [4]}\n",
      data);
  model->initialize(data, Rng(1));
  const auto sums = [&](int64_t begin, int64_t end) {
    return model->e_step(data.batch(at::arange(begin, end, at::kLong), 0, model->dtype()), training(), Rng(5)).sums;
  };
  const TensorMap whole = sums(0, 4), first = sums(0, 2), rest = sums(2, 4);
  for (const auto& [key, sum] : whole) EXPECT_LT(difference(first.at(key) + rest.at(key), sum), 1e-11) << key;
  EXPECT_GT(whole.at("encoder.output.weight").abs().max().item<double>(), 1e-3);
}

TEST(LatentGraph, PartsOfABatchAddUp) {
  for (const Shaped& shape : shapes()) {
    const Dataset data = data_of(shape);
    const auto model = started(shape, "objective = {kind = \"iwae\", num_samples = 3, gradient = \"standard\"}", data);
    const auto part = [&](int64_t begin, int64_t end) {
      return model->e_step(data.batch(at::arange(begin, end, at::kLong), 0, at::kDouble), training(), Rng(5));
    };
    const Expectation whole = part(0, 4), first = part(0, 1), rest = part(1, 4), none = part(0, 0);
    EXPECT_NEAR((first.bound + rest.bound).item<double>(), whole.bound.item<double>(), 1e-11) << shape.name;
    for (const auto& [key, sum] : whole.sums) {
      EXPECT_LT(difference(first.sums.at(key) + rest.sums.at(key), sum), 1e-11) << shape.name << key;
      EXPECT_EQ(none.sums.at(key).abs().sum().item<double>(), 0) << shape.name << key;
    }
    for (const auto& [key, value] : whole.metrics) EXPECT_EQ(none.metrics.count(key), 1u) << shape.name << key;
  }
}

// ---- a latent that is a class, known for some items (Kingma et al. 2014) ----

struct Classes {
  Dataset data;
  explicit Classes(std::vector<int64_t> labels) {
    data.size = static_cast<int64_t>(labels.size());
    data.schema.item_shape = {4};
    data.schema.num_classes = 3;
    data.columns["x"] = random({data.size, 4}, "x").sigmoid();
    data.columns["label"] = at::tensor(labels, at::kLong);
  }
  std::shared_ptr<Model> model(const std::string& weight = "weight = 0\n") const {
    const auto m =
        make_model("[model]\nkind = \"vae\"\nprecision = \"float64\"\ngiven = \"z, y\"\ndecoder = " + net() +
                       "[model.latent.y]\nobserved = \"label\"\nencoder = " + net() + weight +
                       "prior = {kind = \"categorical\", learned = true}\n" + latent("z", 2, "given = \"x, y\"\n"),
                   data);
    m->initialize(data, Rng(4));
    put(*m, "prior.y.logits", row({0.3, -0.2, 0.1}));
    return m;
  }
  Batch batch(std::vector<int64_t> labels) const {
    Batch all = data.batch(items(data.size), 0, at::kDouble);
    all.columns["label"] = at::tensor(labels, at::kLong);
    return all;
  }
};

// With a decoder that does not see z the bound of an item is exact: the mean over classes of the bound given the class,
// and the entropy of q.
TEST(ClassesAsLatents, MissingOnesAreSummedOver) {
  const Classes c({0, 1, 2, 0});
  const auto model = c.model();
  model->globals().at("decoder.hidden.0.weight").detach().narrow(1, 0, 2).zero_();
  const auto methods = model->methods();
  const Tensor q = Model::find(methods, "classes")->call({c.data.columns.at("x")}, Rng(0))[0];
  const auto bound = [&](std::vector<int64_t> labels) {
    return model->e_step(c.batch(std::move(labels)), judging(), Rng(1)).bound.item<double>();
  };
  for (int64_t i = 0; i < 4; ++i) {
    const auto of_item = [&](int64_t label) {
      std::vector<int64_t> labels{0, 0, 0, 0}, zeros = labels;
      labels[static_cast<size_t>(i)] = label;
      return bound(labels) - bound(zeros);  // against class 0
    };
    double summed = 0;
    for (int64_t k = 0; k < 3; ++k) {
      const double p = q[i][k].item<double>();
      summed += p * (of_item(k) - std::log(p));
    }
    EXPECT_NEAR(of_item(-1), summed, 1e-10) << i;
  }
}

TEST(ClassesAsLatents, SumsOfAMixedBatchAreDifferenceQuotients) {
  const Classes c({0, 1, 2, 0});
  const auto model = c.model();
  const Batch batch = c.batch({-1, 1, 2, -1});
  const Expectation e = model->e_step(batch, training(), Rng(11));
  const auto bound = [&] { return model->e_step(batch, judging(), Rng(11)).bound.item<double>(); };
  EXPECT_LT(worst(*model, e.sums, bound), 1e-7);
  EXPECT_EQ(e.metrics.at("known.y").item<double>(), 2);
  const Expectation known = model->e_step(c.batch({0, 1, 2, 0}), training(), Rng(11)),
                    none = model->e_step(c.batch({-1, -1, -1, -1}), training(), Rng(11));
  for (const auto& [key, sum] : known.sums) EXPECT_EQ(none.sums.count(key), 1u) << key;
  for (const auto& [key, value] : known.metrics) EXPECT_EQ(none.metrics.count(key), 1u) << key;
}

TEST(ClassesAsLatents, LabelsTeachTheClassifierByTheirWeight) {
  const Classes c({0, 1, 2, -1});
  const auto without = c.model(), with = c.model("weight = 2.5\n"), automatic = c.model("weight = \"auto\"\n");
  const Batch batch = c.batch({0, 1, 2, -1});
  const auto sums = [&](const Model& model) { return model.e_step(batch, training(), Rng(3)).sums; };
  const TensorMap none = sums(*without), some = sums(*with), by_share = sums(*automatic);
  TensorMap extra;
  for (const auto& [key, sum] : some) extra[key] = sum - none.at(key);
  const auto methods = without->methods();
  const auto log_q = [&] {
    const Tensor p = Model::find(methods, "classes")->call({c.data.columns.at("x")}, Rng(0))[0];
    return 2.5 * (p[0][0].log() + p[1][1].log() + p[2][2].log()).item<double>();
  };
  EXPECT_LT(worst(*without, extra, log_q), 1e-7);
  for (const auto& [key, sum] : by_share)  // 0.1 * 4 / 3
    EXPECT_LT(difference(sum - none.at(key), extra.at(key) * (0.1 * 4 / 3 / 2.5)), 1e-11) << key;
}

TEST(ClassesAsLatents, NeedLabels) {
  Classes c({0, 1, 2, 0});
  c.data.columns["label"].fill_(-1);
  try {
    c.model();
    ADD_FAILURE() << "no label is taken";
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "vae: label is missing in every training item, so nothing tells classes apart");
  }
  c.data.schema.num_classes = 0;
  EXPECT_THROW(c.model(), DataError);
}

}  // namespace latent_graph_test
}  // namespace vem
