// Where closed-form models start: from another run, with restarts, and from data that leave little to start from.
#include <gtest/gtest.h>

#include <limits>

#include "../models/factored/model.h"
#include "../models/factored/side_by_side.h"
#include "support/amortised.h"
#include "support/faithful.h"
#include "support/memory_limit.h"
#include "support/models.h"
#include "support/sanitized.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/readers.h"
#include "vem/data/writers.h"
#include "vem/train/parameters.h"

namespace vem {
namespace starts_test {

std::string resolved(const std::string& toml) {
  ChoiceOptions options("model", "gmm");
  Config::parse(toml, "test").read(options, plugins());
  return to_toml(options, plugins());
}

double bound_of(const Model& model, const Dataset& data) {
  const Batch all = data.batch(at::arange(data.size, at::kLong), 0, model.dtype());
  return (model.e_step(all, Step(), Rng(0)).bound - model.kl_global()).item<double>();
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

FitOptions passes(int64_t epochs) {
  FitOptions options;
  options.epochs = epochs;
  options.tolerance = 0;
  return options;
}

Checkpoint checkpoint_of(const Model& model, const std::string& toml, const Dataset& data) {
  return {resolved(toml), data.schema, copy(model.state()), {}};
}

/// `toml` with another start.
std::string from(const std::string& toml, const std::string& path) {
  std::string rest = toml.substr(toml.find('\n') + 1);
  const std::string own = "start = \"kmeans++\"\n";  // of the table's chains
  if (const size_t at = rest.find(own); at != std::string::npos) rest.erase(at, own.size());
  return "[model]\nstart = \"run\"\nstart_from = \"" + path + "\"\n" + rest;
}

// ---- from another run ----

class WarmStart : public testing::TestWithParam<Variant> {};

TEST_P(WarmStart, BeginsWithTheBoundOfTheRun) {
  const Variant& variant = GetParam();
  const Dataset data = sample_data(variant.sample);
  const auto model = make_model(variant.toml, data);
  fit(*model, data, passes(12), {plugins()});
  const double bound = bound_of(*model, data);
  const TemporaryFolder folder;
  const Checkpoint run = checkpoint_of(*model, variant.toml, data);
  const std::string file = folder.file("last.safetensors"),
                    json = folder.write("run.json", parameters_json(*model, "mixture", run));
  save_checkpoint(file, run);
  for (const std::string& path : {file, json}) {
    const auto warm = make_model(from(variant.toml, path), data);
    const FitResult result = fit(*warm, data, passes(3), {plugins()});
    // eta - eta_prior + eta_prior is eta to rounding; factor analysis goes on from its last t, which JSON has not
    const bool steps = variant.name.find("factor") != std::string::npos;
    const double above = result.bounds[0] - bound, rounding = 1e-9 * std::abs(bound);
    EXPECT_TRUE(above >= -rounding || (steps && path == json)) << path << above;
    EXPECT_TRUE(above <= rounding || steps) << path << above;
    for (size_t i = 1; i < 3; ++i) EXPECT_GE(result.bounds[i] - result.bounds[i - 1], -1e-9 * std::abs(bound)) << path;
  }
}

std::vector<Variant> closed_form() {
  std::vector<Variant> all;
  for (const Variant& v : variants("float64"))
    if (v.name.rfind("gmm", 0) == 0 || v.name.rfind("mixture", 0) == 0 || v.name.rfind("hmm", 0) == 0) all.push_back(v);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Table, WarmStart, testing::ValuesIn(closed_form()),
                         [](const auto& info) { return info.param.name; });

const std::string kFaithful = "[model]\nkind = \"gmm\"\nnum_components = 2\n";

// 128 MB of rows, some with gaps, which stay on disk: a few entries a row are all that is kept.
TEST(Starts, RowsStayOnDisk) {
  const TemporaryFolder folder;
  const int64_t rows = 1 << 18, columns = 64;
  const std::string path = folder.file("rows.npy");
  {
    const Tensor x = (at::arange(rows * columns, at::kDouble) * 0.7548776662).remainder(1).view({rows, columns});
    x.slice(0, 0, rows, 2).add_(3);
    x.slice(0, 7, rows, 100000).select(1, 3).fill_(std::nan(""));
    write_npy(path, x);
  }
  Dataset data;
  data.columns["x"] = read_npy(path, 0);
  data.schema.item_shape = {columns};
  data.size = rows;
  const auto model = make_model(
      "[model]\nkind = \"gmm\"\nnum_components = 2\nstart = \"random\"\nrestarts = 2\nrestart_passes = 1\n"
      "[model.observation]\nkind = \"normal\"\ncovariance = \"diagonal\"\n",
      data);
  const MemoryLimit limit(int64_t{kSanitized ? 4096 : 64} << 20);  // a sanitizer keeps for a while what is given back
  const FitResult result = fit(*model, data, passes(2), {plugins()});
  EXPECT_GE(result.bounds[1], result.bounds[0]);
}

TEST(Starts, AConvergedRunKeepsItsBound) {
  const TemporaryFolder folder;
  for (const std::string estimate : {"ml", "posterior"}) {
    const std::string toml = kFaithful + "estimate = \"" + estimate + "\"\n";
    const auto model = make_model(toml, faithful());
    fit(*model, faithful(), passes(400), {plugins()});
    const double bound = bound_of(*model, faithful());
    const std::string json =
        folder.write("run.json", parameters_json(*model, "gmm", checkpoint_of(*model, toml, faithful())));
    const auto warm = make_model(from(toml, json), faithful());
    for (const double b : fit(*warm, faithful(), passes(20), {plugins()}).bounds) EXPECT_NEAR(b, bound, 1e-9);
  }
}

// The sums of the run count, its prior does not: a posterior may begin where maximum likelihood ended.
TEST(Starts, AnotherEstimateAndPriorTakeTheSumsOfTheRun) {
  const TemporaryFolder folder;
  const std::string ml = kFaithful + "estimate = \"ml\"\n",
                    posterior = kFaithful + "[model.allocation]\nkind = \"mixture-weights\"\nconcentration = 3.0\n";
  const auto model = make_model(ml, faithful()), cold = make_model(posterior, faithful());
  fit(*model, faithful(), passes(200), {plugins()});
  fit(*cold, faithful(), passes(400), {plugins()});
  const std::string json =
      folder.write("run.json", parameters_json(*model, "gmm", checkpoint_of(*model, ml, faithful())));
  const auto warm = make_model(from(posterior, json), faithful());
  const FitResult result = fit(*warm, faithful(), passes(400), {plugins()});
  EXPECT_GT(result.bounds[0], bound_of(*cold, faithful()) - 2);  // one pass from the optimum of the likelihood
  EXPECT_NEAR(result.bounds.back(), bound_of(*cold, faithful()), 1e-7);
}

TEST(Starts, ARunThatDoesNotFitIsOneMessage) {
  const TemporaryFolder folder;
  const auto model = make_model(kFaithful, faithful());
  fit(*model, faithful(), passes(2), {plugins()});
  const std::string json =
      folder.write("run.json", parameters_json(*model, "gmm", checkpoint_of(*model, kFaithful, faithful())));
  const auto start = [&](const std::string& toml, const Dataset& data) {
    return message([&] { make_model(from(toml, json), data)->initialize(data, Rng(1)); });
  };
  const std::string begin = "mixture: start_from = \"" + json + "\" has ",
                    end =
                        "] is expected; a start has the num_components, the covariance and the allocation of this run";
  EXPECT_EQ(start("[model]\nkind = \"gmm\"\nnum_components = 3\n", faithful()),
            begin + "model/components.eta of shape [2, 7], [3, 7" + end);
  EXPECT_EQ(start(kFaithful + "[model.allocation]\nkind = \"stick-breaking\"\n", faithful()),
            begin + "no model/sticks.eta, [1, 2" + end);
  EXPECT_EQ(start(kFaithful + "[model.observation]\nkind = \"normal\"\ncovariance = \"diagonal\"\n", faithful()),
            begin + "model/components.eta of shape [2, 7], [2, 8" + end);
  EXPECT_EQ(start("[model]\nkind = \"mixture\"\nnum_components = 2\n[model.observation]\nkind = \"exponential\"\n",
                  faithful()),
            begin + "the observation \"normal\", this run has \"exponential\"");
  Dataset other = faithful();
  other.schema.feature_names = {"eruptions", "waited"};
  EXPECT_EQ(start(kFaithful, other), begin + "the columns eruptions, waiting, this run has eruptions, waited");
  const auto from_file = [&](const std::string& path) {
    return message([&] { make_model(from(kFaithful, path), faithful())->initialize(faithful(), Rng(1)); });
  };
  EXPECT_EQ(from_file(folder.file("none")), folder.file("none") + ": no such run or file");
  EXPECT_EQ(from_file(folder.path().string()), folder.path().string() + ": is no run with a checkpoint");
  EXPECT_EQ(from_file(folder.write("other.json", "{\"format\": \"csv\"}")),
            folder.file("other.json") +
                ": holds no parameters of a run: its format is not \"vem-parameters\"; `vem export RUN --format json` "
                "writes that");
  EXPECT_EQ(from_file(""), "mixture: start = \"run\" needs start_from, the folder or the exported parameters of a run");
  EXPECT_EQ(message([&] { make_model(from(kFaithful + "standardize = false\n", json), faithful()); }),
            "test:6: model.standardize has no effect in this run; it takes effect when the observation is real-valued "
            "and start is not run");
}

// ---- restarts and floors ----

// Rows of one value draw a component onto the variance floor, where the likelihood is higher than anywhere else.
Dataset with_a_spike() {
  Dataset data = faithful();
  data.columns["x"] = data.columns["x"].clone();
  data.columns["x"].slice(0, 0, 12).fill_(3.);
  return data;
}

TEST(Starts, RestartsPreferSolutionsAboveTheVarianceFloor) {
  const Dataset data = with_a_spike();
  const std::string toml =
      "[model]\nkind = \"gmm\"\nestimate = \"ml\"\nnum_components = 3\nstart = \"random\"\n"
      "restarts = 20\nrestart_passes = 30\n[model.observation]\nkind = \"normal\"\nvariance_floor = 1e-6\n";
  int floored = 0;
  double best_above = -std::numeric_limits<double>::infinity(), best_below = best_above;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::string one = toml;
    one.replace(one.find("restarts = 20\nrestart_passes = 30\n"), 34, "");
    const auto model = make_model(one, data);
    FitOptions options = passes(30);
    options.seed = seed;
    fit(*model, data, options, {plugins()});
    floored += model->floored();
    double& best = model->floored() ? best_below : best_above;
    best = std::max(best, bound_of(*model, data));
  }
  ASSERT_GT(floored, 0);  // or the test shows nothing
  ASSERT_LT(floored, 20);
  EXPECT_GT(best_below, best_above);  // by the bound alone, the spike would win
  const auto model = make_model(toml, data);
  model->initialize(data, Rng(4));
  EXPECT_FALSE(model->floored());
}

TEST(Starts, EmptiedComponentsAreCounted) {
  for (const std::string allocation : {"mixture-weights", "stick-breaking"}) {
    const auto model =
        make_model("[model]\nkind = \"gmm\"\nnum_components = 12\n[model.allocation]\nkind = \"" + allocation + "\"\n",
                   faithful());
    fit(*model, faithful(), passes(300), {plugins()});
    const auto methods = model->methods();
    const Tensor rows = Model::find(methods, "responsibilities")->call({faithful().columns["x"]}, Rng(0))[0].sum(0);
    const auto empty = static_cast<double>((rows < 0.5).sum().item<int64_t>());
    ASSERT_GT(empty, 0) << allocation;
    EXPECT_EQ(model->diagnostics().at("components.empty"), empty) << allocation;
  }
}

// ---- data that leave little to start from ----

struct Family {
  std::string name, toml;
  Sample sample;
  std::string allocation = "kind = \"mixture-weights\"";
  bool low_rank() const { return name == "normal_factor" || name == "normal_ppca"; }
  bool chain() const { return allocation.find("markov-chain") != std::string::npos; }
};

std::vector<Family> families() {
  std::vector<Family> all;
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical", "factor", "ppca"})
    all.push_back({"normal_" + covariance, "kind = \"normal\"\ncovariance = \"" + covariance + "\"\n", Sample::gaps});
  all.push_back({"chain", "kind = \"normal\"\n", Sample::gaps, "kind = \"markov-chain\""});
  all.push_back(
      {"state_mixtures", "kind = \"normal\"\n", Sample::gaps, "kind = \"markov-chain\", state_components = 2"});
  all.push_back({"autoregressive", "kind = \"autoregressive\"\n", Sample::gaps, "kind = \"markov-chain\""});
  all.push_back({"bernoulli", "kind = \"bernoulli\"\n", Sample::bits});
  all.push_back({"categorical", "kind = \"categorical\"\nnum_symbols = 3\n", Sample::symbols});
  all.push_back({"multinomial", "kind = \"multinomial\"\n", Sample::counts});
  all.push_back({"poisson", "kind = \"poisson\"\n", Sample::counts});
  all.push_back({"exponential", "kind = \"exponential\"\n", Sample::durations});
  all.push_back({"product",
                 "kind = \"product\"\nnormal_columns = \"x0,x2\"\npoisson_columns = \"x1\"\ncategorical_columns = "
                 "\"x3\"\n[model.observation.categorical]\nkind = \"categorical\"\nnum_symbols = 3\n",
                 Sample::mixed});
  return all;
}

/// As rows, or as one sequence of them.
Dataset with_rows(Dataset data, const Tensor& x, bool chain) {
  data.columns["x"] = x.clone();
  data.columns.erase("label");
  data.size = chain ? 1 : x.size(0);
  if (chain) data.offsets = at::tensor({int64_t{0}, x.size(0)}, at::kLong);
  return data;
}

class LittleData : public testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    data_ = sample_data(GetParam().sample);
    const Tensor x = data_.columns.at("x");
    complete_ = x.index({x.isnan().any(1).logical_not()});
  }
  Dataset with_rows(const Tensor& x) const { return starts_test::with_rows(data_, x, GetParam().chain()); }
  std::string toml(int64_t K, const std::string& estimate, const std::string& start) const {
    return fmt::format(
        "[model]\nkind = \"mixture\"\nnum_components = {}\nestimate = \"{}\"\nstart = \"{}\"\nallocation = "
        "{{{}}}\n[model.observation]\n{}",
        K, estimate, start, GetParam().allocation, GetParam().toml);
  }
  /// Every bound is a number and none falls; nothing in the state is NaN.
  void expect_sound(const Dataset& data, int64_t K, const std::string& start, const std::string& what) const {
    for (const std::string estimate : {"ml", "map", "posterior"}) {
      if (estimate == "posterior" && GetParam().low_rank()) continue;  // there is none
      const auto model = make_model(toml(K, estimate, start), data);
      const std::vector<double> bounds = fit(*model, data, passes(8), {plugins()}).bounds;
      for (size_t i = 0; i < bounds.size(); ++i) {
        EXPECT_TRUE(std::isfinite(bounds[i])) << what << " " << estimate;
        // rows on a line: the prior's smallest variance is 1e-9 of the mean, and log-determinants lose those digits
        EXPECT_GE(bounds[i] - bounds[i == 0 ? 0 : i - 1], -1e-6 * std::abs(bounds[i]) - 1e-9)
            << what << " " << estimate;
      }
      for (const auto& [key, value] : model->state())
        EXPECT_FALSE(value.isnan().any().item<bool>()) << what << " " << estimate << " " << key;
    }
  }
  std::string error(const Dataset& data, int64_t K, const std::string& start) const {
    return message([&] { make_model(toml(K, "map", start), data)->initialize(data, Rng(1)); });
  }

  Dataset data_;
  Tensor complete_;  // rows without gaps
};

TEST_P(LittleData, DuplicateRows) {
  const Tensor two = complete_.slice(0, 0, 2).repeat({10, 1});
  expect_sound(with_rows(two), 2, "kmeans++", "two kinds of rows");
  const Dataset data = with_rows(two);
  expect_sound(data, 4, "random", "more components than kinds of rows");
  EXPECT_EQ(error(data, 4, "kmeans++"), "k-means: 2 distinct rows are too few for 4 clusters");
}

TEST_P(LittleData, ConstantColumns) {
  Tensor x = complete_.clone();
  x.select(1, 0).fill_(x[0][0].item<double>());
  expect_sound(with_rows(x), 3, "kmeans++", "a constant column");
  expect_sound(with_rows(complete_.slice(0, 0, 1).repeat({6, 1})), 1, "kmeans++", "nothing varies");
}

TEST_P(LittleData, OneItem) {
  const Dataset data = with_rows(complete_.slice(0, 0, 1));
  expect_sound(data, 1, "kmeans++", "one item");
  EXPECT_EQ(error(data, 2, "random"), "mixture: 1 rows are too few for 2 components");
}

TEST_P(LittleData, RowsAndColumnsWithoutAnyCell) {
  if (GetParam().name == "multinomial") GTEST_SKIP() << "a row of counts has no missing cells";
  if (GetParam().name == "autoregressive") GTEST_SKIP() << "rows that others follow may not be missing";
  const Dataset data = with_rows(data_.columns.at("x"));
  data.columns.at("x").slice(0, 4, 6).fill_(std::nan(""));
  expect_sound(data, 3, "kmeans++", "rows without any cell");
  data.columns.at("x").select(1, 0).fill_(std::nan(""));
  EXPECT_EQ(error(data, 3, "kmeans++").substr(0, 15), "mixture: column");
}

INSTANTIATE_TEST_SUITE_P(Families, LittleData, testing::ValuesIn(families()),
                         [](const auto& info) { return info.param.name; });

// ---- side by side ----

class SideBySideOf : public testing::TestWithParam<Family> {};

TEST_P(SideBySideOf, AreWhatEachIsAlone) {
  const Family& family = GetParam();
  const Dataset data =
      starts_test::with_rows(sample_data(family.sample), sample_data(family.sample).columns.at("x"), false);
  const Batch batch = data.batch(at::arange(data.size, at::kLong), 0, at::kDouble);
  const Tensor x = batch.at("x");
  const RowReader rows(x);
  const int64_t K = 3;
  for (const std::string estimate : {"ml", "map", "posterior"}) {
    if (estimate == "posterior" && family.low_rank()) continue;  // there is none
    ChoiceOptions choice("model", "mixture");
    Config::parse("[model]\nkind = \"mixture\"\nestimate = \"" + estimate + "\"\n[model.observation]\n" + family.toml,
                  "test")
        .read(choice, plugins());
    const auto& options = dynamic_cast<const FactoredOptions&>(*choice.choice.options);
    Factored part = make_part(options.allocation, options.observation,
                              {x.size(1), at::kDouble, options.estimate, K, "", data.schema.feature_names, &plugins()});
    const int64_t most = SideBySide::most(part, options.allocation, options.observation, K);
    EXPECT_EQ(most > 1, family.name != "normal_tied") << most;
    const int64_t size = most > 1 ? 4 : 1;
    const Moments of_data = moments(x, batch.row_weight());
    SideBySide all(part, options.allocation, options.observation, K, of_data, size);
    std::vector<double> bounds;
    std::vector<TensorMap> points;
    const auto begin = [&](int64_t r) {
      part.set_priors(of_data);
      part.start(rows, batch, Rng(7).fold(static_cast<uint64_t>(r)).permutation(data.size).remainder(K));
    };
    for (int64_t r = 0; r < size; ++r) {
      begin(r);
      all.take(r);
      for (int pass = 0; pass < 3; ++pass) {
        const Expectation total = part.expect(rows, batch, part.point());
        for (const auto& block : part.blocks()) block->m_step(total, Step(), Rng(0));
      }
      bounds.push_back(part.expect(rows, batch, part.point()).bound.item<double>());
      points.push_back(copy(part.point()));
    }
    for (int pass = 0; pass < 3; ++pass) all.pass(rows, batch, Rng(0));
    const Tensor together = all.expect(rows, batch).bound;
    for (size_t r = 0; r < bounds.size(); ++r) {
      const auto place = static_cast<int64_t>(r);
      EXPECT_NEAR(together[place].item<double>(), bounds[r], 1e-9 * std::abs(bounds[r])) << estimate << " " << r;
      begin(0);
      all.give(place);
      for (const auto& [key, t] : part.point())
        EXPECT_TRUE(at::allclose(t, points[r].at(key), 1e-7, 1e-9)) << estimate << " " << r << " " << key;
    }
    ASSERT_TRUE(bounds.size() == 1 || std::abs(bounds[0] - bounds[1]) > 1e-6);  // or the order would not be seen
  }
}

std::vector<Family> mixtures() {
  std::vector<Family> all;
  for (const Family& family : families())
    if (!family.chain()) all.push_back(family);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Families, SideBySideOf, testing::ValuesIn(mixtures()),
                         [](const auto& info) { return info.param.name; });

}  // namespace starts_test
}  // namespace vem
