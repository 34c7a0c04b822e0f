// What the command line says of impossible items, single items, far rows, flat data, and of rows to come.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/command_line.h"
#include "vem/data/readers.h"

namespace vem {
namespace impossible_cli_test {

class ImpossibleCli : public ::testing::Test {
 protected:
  nlohmann::json evaluation() const { return nlohmann::json::parse(std::ifstream(run_ + "/evaluation.json")); }
  std::vector<std::string> train(const std::string& model, const std::string& data,
                                 const std::vector<std::string>& settings) const {
    std::vector<std::string> words{"train", model, "--data", data, "--out", run_, "--force"};
    for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
    return words;
  }
  TemporaryFolder folder_;
  const std::string run_ = folder_.file("run"), out_ = folder_.file("out.csv");
};

void expect_in(const std::string& part, const std::string& text) {
  EXPECT_NE(text.find(part), std::string::npos) << part << "\nis expected in\n" << text;
}

TEST_F(ImpossibleCli, ImpossibleRowsAreCountedBesideTheMeanOfTheOthers) {
  const std::string data = folder_.write("x.csv", "a,b\n1,0\n1,1\n1,0\n1,1\n"),
                    test = folder_.write("y.csv", "a,b\n0,0\n1,1\n0,1\n1,0\n");
  done(train("mixture", data, {"model.observation=bernoulli", "model.num_components=1", "model.estimate=ml"}));
  const std::string text = done({"evaluate", run_, "--data", test});
  expect_in("-inf  2 of 4 items impossible (probability 0): items 0, 2\n", text);
  expect_in("log-likelihood of the others           -0.6931  +- 0.0000  mean over 2 possible items\n", text);
  const auto result = evaluation();
  EXPECT_EQ(result.at("log_likelihood"), "-inf");
  EXPECT_EQ(result.at("bound"), "-inf");
  EXPECT_EQ(result.at("impossible_items"), 2);
  EXPECT_NEAR(result.at("log_likelihood_of_others").get<double>(), std::log(.5), 1e-14);
  expect_in(
      "2 of 4 rows are impossible under the model (probability 0), the first is row 0: responsibilities is missing",
      done({"encode", run_, "--data", test, "--out", out_, "--force"}));
  EXPECT_EQ(read_bytes(out_), "responsibilities_0\nNaN\n1\nNaN\n1\n");
  expect_in("label there is -1",
            done({"encode", run_, "--data", test, "--out", out_, "--force", "--method", "predict"}));
  EXPECT_EQ(read_bytes(out_), "label_0\n-1\n0\n-1\n0\n");
  expect_in("log_prob is -inf there",
            done({"encode", run_, "--data", test, "--out", out_, "--force", "--method", "log_prob"}));
}

TEST_F(ImpossibleCli, OfASequenceTheStepIsNamedAndNothingIsForecast) {
  const std::string data = folder_.write("s.txt", "a b a b b a a b\nb a b b a a b a\nc c a\n"),
                    test = folder_.write("t.txt", "a b c a b c\na b a\n");
  done(train("hmm", data,
             {"data.sequence_format=symbols", "model.observation={kind=\"categorical\", num_symbols=3}",
              "model.estimate=ml", "model.num_components=1", "data.limit=2"}));
  // the third symbol is known from the file, but only a sequence that was left out has it
  const std::string text = done({"evaluate", run_, "--data", test});
  expect_in("1 of 2 items impossible (probability 0): sequence 0 at its step 2\n", text);
  expect_in("the same per time step", text);
  expect_in("1 sequence is impossible",
            done({"forecast", run_, "--data", test, "--horizon", "1", "--out", out_, "--force"}));
  const Table forecast = read_csv(out_, ',', {"most_probable_symbol"});
  EXPECT_EQ(forecast.names, (std::vector<std::string>{"sequence", "step", "states_0", "probability_a", "probability_b",
                                                      "probability_c"}));
  EXPECT_TRUE(std::isnan(forecast.values[0][3].item<double>()));
  EXPECT_NEAR(forecast.values[1][3].item<double>(), .5, 1e-9);
  EXPECT_EQ(forecast.values[1][5].item<double>(), 0);
}

TEST_F(ImpossibleCli, OneItemHasNoStandardErrorAndFarRowsHaveNumbers) {
  std::string rows = "a,b\n";
  for (int i = 0; i < 12; ++i) rows += fmt::format("{},{}\n", i % 5, (7 * i) % 4);
  const std::string data = folder_.write("x.csv", rows), one = folder_.write("one.csv", "a,b\n1,2\n"),
                    far = folder_.write("far.csv", "a,b\n1,2\n1e200,-1e200\n1,1\n");
  for (const std::string covariance : {"full", "diagonal", "spherical"}) {
    const std::string setting = "model.observation={kind=\"normal\", covariance=\"" + covariance + "\"}";
    done(train("gmm", data, {setting, "model.num_components=1"}));
    expect_in("(no standard error of one item)", done({"evaluate", run_, "--data", one}));
    EXPECT_TRUE(evaluation().at("log_likelihood_error").is_null());
    // A Student-t has finite tails: about degrees + 2 times log 1e200 below, of full and spherical ones.
    done({"evaluate", run_, "--data", far});
    const double mean = evaluation().at("log_likelihood").get<double>();
    EXPECT_TRUE(std::isfinite(mean)) << covariance;
    EXPECT_LT(mean, -1000);
    EXPECT_EQ(evaluation().at("bound"), "-inf");
    done(train("gmm", data, {setting, "model.num_components=1", "model.estimate=ml"}));
    expect_in("-inf  1 of 3 items impossible (probability 0): item 1\n", done({"evaluate", run_, "--data", far}));
  }
}

TEST_F(ImpossibleCli, FewerRowsThanColumnsGetARemark) {
  const std::string flat = folder_.write("flat.csv", "a,b,c,d\n1,2,3,4\n2,1,5,3\n4,4,1,0\n"),
                    remark = "vem: warning: flat: the training rows do not vary in 2 directions";
  const Outcome full = vem(train("gmm", flat, {"model.num_components=1"}));
  EXPECT_EQ(full.code, 0) << full.err;
  expect_in(remark, full.err);
  expect_in(remark.substr(std::string("vem: warning: ").size()), done({"describe", run_}));
  const Outcome diagonal = vem(train("gmm", flat, {"model.num_components=1", "model.observation.covariance=diagonal"}));
  EXPECT_EQ(diagonal.err.find("flat:"), std::string::npos) << diagonal.err;
}

// Words, counts and numbers of one table; the interval of a Poisson column is of whole numbers.
TEST_F(ImpossibleCli, ForecastsOfAProductNameTheirColumns) {
  std::string rows = "kind,size,eggs\n";
  for (int i = 0; i < 24; ++i)
    rows += fmt::format("{},{},{}\n", i % 6 < 3 ? "gull" : "tern", i % 6 + 0.1 * (i % 5), i % 4);
  const std::string data = folder_.write("b.csv", rows);
  done(train("hmm", data,
             {"data.categories=kind", "data.columns=\"size, eggs\"",
              "model.observation={kind=\"product\", normal_columns=\"size\", poisson_columns=\"eggs\", "
              "categorical_columns=\"kind\"}"}));
  done({"forecast", run_, "--horizon", "2", "--level", "0.5", "--out", out_, "--force"});
  const Table forecast = read_csv(out_, ',', {"most_probable_kind"});
  EXPECT_EQ(forecast.names,
            (std::vector<std::string>{"sequence", "step", "states_0", "states_1", "mean_size", "mean_eggs",
                                      "variance_size", "variance_eggs", "lower_size", "lower_eggs", "upper_size",
                                      "upper_eggs", "probability_kind=gull", "probability_kind=tern"}));
  EXPECT_TRUE(forecast.words[0][0] == "gull" || forecast.words[0][0] == "tern");
  EXPECT_FALSE(forecast.values.isnan().any().item<bool>());
  const Tensor eggs = forecast.values.select(1, 9);
  EXPECT_TRUE(at::equal(eggs, eggs.round()));
  EXPECT_TRUE(at::allclose(forecast.values.slice(1, 12).sum(1), at::ones({2}, at::kDouble)));
}

}  // namespace impossible_cli_test
}  // namespace vem
