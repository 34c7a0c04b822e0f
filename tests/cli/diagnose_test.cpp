// vem diagnose: components of draws of several chains are the same ones, and chains at different modes are noticed.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/command_line.h"
#include "vem/core/rng.h"

namespace vem {
namespace diagnose_test {

using Json = nlohmann::ordered_json;

Json parsed(const std::string& path) { return Json::parse(read_bytes(path)); }

/// Two clusters of 60 numbers, ten deviations apart: which row is whose is certain, so the posterior is known.
class Diagnose : public testing::Test {
 protected:
  void SetUp() override {
    x_ = Rng(8).normal(at::arange(2, at::kLong), {kRows}, "x");  // [cluster, row]
    x_[1] += 10;
    std::string text = "x\n";
    for (int64_t i = 0; i < 2 * kRows; ++i) text += fmt::format("{:.6f}\n", x_.flatten()[i].item<double>());
    data_ = folder_.write("far.csv", text);
  }
  std::string chain(const std::string& seed, const std::string& model = "gmm",
                    const std::string& setting = "train.thin=1") {
    const std::string run = folder_.file(model + seed);
    done({"train",     model,
          "--data",    data_,
          "--out",     run,
          "--seed",    seed,
          "--threads", "1",
          "--set",     "model.num_components=2",
          "--set",     "model.estimate=gibbs",
          "--set",     "train.epochs=150",
          "--set",     "train.burn_in=50",
          "--set",     setting});
    return run;
  }
  Json diagnose(std::vector<std::string> runs) {
    runs.insert(runs.begin(), "diagnose");
    runs.insert(runs.end(), {"--json", folder_.file("posterior.json"), "--force"});
    outcome_ = vem(runs);
    EXPECT_EQ(outcome_.code, 0) << outcome_.err;
    return parsed(folder_.file("posterior.json"));
  }
  /// Rewrites every line of a run's draws.
  static void rewrite(const std::string& run, const std::function<void(Json&)>& change) {
    std::string all;
    std::ifstream in(run + "/draws.jsonl");
    for (std::string line; std::getline(in, line);) {
      Json draw = Json::parse(line);
      change(draw);
      all += draw.dump() + "\n";
    }
    in.close();
    std::ofstream(run + "/draws.jsonl") << all;
  }
  /// The mean of each component is normal given its covariance: about the mean of its rows and, as one row more, the
  /// mean of all data, with variance E[covariance] / (rows + 1). 300 draws have standard errors of a 17th of that
  /// deviation for the mean, and of 4 % for the deviation.
  void expect_posterior(const Json& result) {
    const auto& means = result["posterior"]["mean"]["means"];
    const size_t low = means[0][0] < means[1][0] ? 0 : 1;
    for (const size_t k : {size_t{0}, size_t{1}}) {
      const size_t component = k == 0 ? low : 1 - low;
      const Tensor rows = x_[static_cast<int64_t>(k)];
      const double variance = result["posterior"]["mean"]["covariances"][component][0][0];
      const double deviation = std::sqrt(variance / (kRows + 1));
      const double mean = ((rows.sum() + x_.mean()) / (kRows + 1)).item<double>();
      EXPECT_NEAR(means[component][0].get<double>(), mean, 4 * deviation / std::sqrt(300)) << k;
      EXPECT_NEAR(result["posterior"]["deviation"]["means"][component][0].get<double>(), deviation, 0.15 * deviation);
      EXPECT_NEAR(result["posterior"]["mean"]["weights"][component].get<double>(), 0.5, 0.015);
    }
    EXPECT_LT(result["worst"]["split_r_hat"].get<double>(), 1.05);
  }

  static constexpr int64_t kRows = 60;
  TemporaryFolder folder_;
  Tensor x_;
  std::string data_;
  Outcome outcome_;
};

TEST_F(Diagnose, ComponentsArePairedByTheirRows) {
  const std::vector<std::string> runs{chain("1"), chain("2"), chain("3")};
  const Json result = diagnose(runs);
  expect_posterior(result);
  EXPECT_EQ(result["rows"]["mean"], 1.0);  // the same partition in every draw
  EXPECT_EQ(result["rows"]["differ"], false);
  EXPECT_EQ(outcome_.err, "");

  // Labels mean nothing.
  rewrite(runs[1], [](Json& draw) {
    for (const char* name : {"weights", "means", "covariances"}) std::swap(draw[name][0], draw[name][1]);
    for (Json& component : draw["assignments"]) component = 1 - component.get<int>();
  });
  const Json relabelled = diagnose(runs);
  expect_posterior(relabelled);
  EXPECT_EQ(relabelled["rows"], result["rows"]);

  // Files of earlier versions have no assignments: the parameters tell components apart.
  for (const std::string& run : runs)
    rewrite(run, [](Json& draw) {
      draw.erase("rows");
      draw.erase("assignments");
    });
  const Json earlier = diagnose(runs);
  expect_posterior(earlier);
  EXPECT_FALSE(earlier.contains("rows"));
  EXPECT_NE(outcome_.out.find("paired by their parameters"), std::string::npos) << outcome_.out;
}

// The seed of a chain also draws its test items: rows are compared all the same.
TEST_F(Diagnose, RowsAreTheSameWhateverTheSplits) {
  const Json result = diagnose({chain("1", "gmm", "data.test=0.3"), chain("2", "gmm", "data.test=0.3")});
  EXPECT_EQ(result["rows"]["mean"], 1.0);
}

TEST_F(Diagnose, ChainsThatPartTheRowsInOtherWaysAreNoticed) {
  const std::vector<std::string> runs{chain("1"), chain("2")};
  int64_t i = 0;
  rewrite(runs[1], [&](Json& draw) {  // a chain at another mode: every second row is in the other component
    for (size_t r = 0; r < draw["assignments"].size(); r += 2)
      draw["assignments"][r] = 1 - draw["assignments"][r].get<int>();
    ++i;
  });
  ASSERT_EQ(i, 100);
  EXPECT_EQ(diagnose(runs)["rows"]["differ"], true);
  EXPECT_NE(outcome_.err.find("vem: warning: the draws part the rows in ways that no order of components makes alike"),
            std::string::npos)
      << outcome_.err;
}

// Rows of sequences are kept as well: one of 120 steps that stays long in either state.
TEST_F(Diagnose, StatesOfChainsArePairedByTheirRows) {
  const Json result = diagnose({chain("1", "hmm"), chain("2", "hmm")});
  EXPECT_EQ(result["rows"]["mean"], 1.0);
  const auto& means = result["posterior"]["mean"]["means"];
  EXPECT_NEAR(std::abs(means[0][0].get<double>() - means[1][0].get<double>()), 10, 0.3);
  // Rows of transitions are Dirichlet with alpha = 1 + counts: 59 stays of either state, one step from low to high.
  const size_t low = means[0][0] < means[1][0] ? 0 : 1, high = 1 - low;
  const auto& mean = result["posterior"]["mean"]["transition"];
  EXPECT_NEAR(mean[low][high].get<double>(), 2. / 62, 4 * 0.0223 / std::sqrt(200));
  EXPECT_NEAR(mean[high][low].get<double>(), 1. / 61, 4 * 0.0161 / std::sqrt(200));
  EXPECT_NEAR(result["posterior"]["deviation"]["transition"][low][high].get<double>(), 0.0223, 0.005);
  // The last state of a left-right chain stays for ever: its duration is not finite.
  const std::string topology = "model.allocation.topology=left-right";
  EXPECT_TRUE(diagnose({chain("3", "hmm", topology)})["posterior"]["mean"]["duration"][1].is_null());
}

// An assignment to a component of number 10^12 would have asked for a table of 10^24 counts.
TEST_F(Diagnose, DrawsThatAreDamagedAreRefused) {
  const std::string good = chain("1"), bad = chain("2"), whole = read_bytes(bad + "/draws.jsonl");
  const auto refusal = [&](const std::function<void(Json&)>& change) {
    std::ofstream(bad + "/draws.jsonl") << whole;
    int64_t line = 0;
    rewrite(bad, [&](Json& draw) {
      if (++line == 5) change(draw);
    });
    const Outcome outcome = vem({"diagnose", good, bad});
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    return outcome.err;
  };
  const auto expect = [&](const std::string& words, const std::function<void(Json&)>& change) {
    const std::string error = refusal(change);
    EXPECT_NE(error.find(words), std::string::npos) << error;
  };
  expect("assignments are no list of components from 0 to 1", [](Json& d) { d["assignments"][3] = 1000000000000; });
  expect("assignments are no list of components from 0 to 1", [](Json& d) { d["assignments"][3] = -1; });
  expect("assignments are of other rows than in ", [](Json& d) { d["assignments"].erase(0); });
  expect("bound is no number", [](Json& d) { d["bound"] = Json::array({1, 2}); });
  expect("rows is no number", [](Json& d) { d["rows"] = Json::array({1, 2}); });
  expect("weights is no list of one entry a component", [](Json& d) { d["weights"] = 0.5; });
  expect("weights have another shape than in ", [](Json& d) { d["weights"] = Json::parse("[[0.5], [0.5]]"); });
  expect("its draws have other parameters than those of ", [](Json& d) { d.erase("weights"); });
}

}  // namespace diagnose_test
}  // namespace vem
