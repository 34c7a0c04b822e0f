// vem select: criteria against values that others have published or that are counted by hand, failures, and files that
// are whole at any time.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/command_line.h"
#include "support/temporary_folder.h"

namespace vem {
namespace select_test {

nlohmann::json json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

/// Earthquakes of magnitude 7 and more in the years 1900 to 2006 (Zucchini, MacDonald and Langrock 2016, table 1.1).
const std::vector<int> kEarthquakes{
    13, 14, 8,  10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14, 8,  11, 14, 23, 18, 17, 19,
    20, 22, 19, 13, 26, 13, 14, 22, 24, 21, 22, 26, 21, 23, 24, 27, 41, 31, 27, 35, 26, 28, 36, 39, 21, 17, 22,
    17, 19, 15, 34, 10, 15, 22, 18, 15, 20, 15, 22, 19, 16, 30, 27, 29, 23, 20, 16, 21, 21, 25, 16, 18, 15, 18,
    14, 10, 15, 8,  15, 6,  11, 8,  7,  18, 16, 13, 12, 13, 20, 15, 16, 12, 18, 15, 16, 13, 15, 16, 11, 11};

std::string column_csv(const std::vector<int>& values) {
  std::string text = "count\n";
  for (const int value : values) text += std::to_string(value) + "\n";
  return text;
}

// BIC of their table 6.3 with ln 107; ICL at two states by an independent program (enumeration of the path's entropy).
TEST(Select, CriteriaOfPoissonChainsAreThePublishedOnes) {
  const TemporaryFolder folder;
  const std::string data = folder.write("earthquakes.csv", column_csv(kEarthquakes)), out = folder.file("s.json");
  const std::string printed =
      done({"select", "hmm", "--data", data, "--components", "1..4", "--set", "model.observation.kind=poisson", "--set",
            "model.estimate=ml", "--set", "model.restarts=4", "--set", "train.epochs=1000", "--set",
            "train.tolerance=1e-10", "--json", out, "--force"});
  EXPECT_NE(printed.find("N of BIC and ICL: 107 time steps\n"), std::string::npos) << printed;
  EXPECT_NE(printed.find("chosen by BIC: model.num_components = 2\n"), std::string::npos) << printed;
  const auto scores = json(out).at("scores");
  const std::vector<double> bic{788.51, 707.12, 708.46};
  const std::vector<int> free{1, 5, 11, 19};
  for (size_t k = 0; k < 4; ++k) {
    EXPECT_EQ(scores[k].at("free_parameters"), free[k]);
    EXPECT_EQ(scores[k].at("rows"), 107);
    const double log_likelihood = scores[k].at("log_likelihood");
    EXPECT_NEAR(scores[k].at("aic").get<double>(), 2 * free[k] - 2 * log_likelihood, 1e-9);
    if (k < 3) {
      EXPECT_NEAR(scores[k].at("bic").get<double>(), bic[k], 0.006) << k;
    }
  }
  EXPECT_LE(scores[3].at("bic").get<double>(), 741.615);  // fewer starts end at 741.711, 743.914 or above
  EXPECT_NEAR(scores[0].at("icl").get<double>(), scores[0].at("bic").get<double>(), 1e-9);
  EXPECT_NEAR(scores[1].at("icl").get<double>(), 730.25, 0.006);
}

const char* const kFewDistinctRows =
    "x,y\n130,183\n271,14\n238,127\n238,127\n130,183\n26,80\n57,190\n26,80\n271,14\n240,126\n194,278\n52,293\n52,293\n"
    "127,6\n127,6\n127,6\n127,6\n";

TEST(Select, KeepsWhatItHasWhenAFitFails) {
  const TemporaryFolder folder;
  const std::string data = folder.write("few.csv", kFewDistinctRows), out = folder.file("s.json");
  const std::string printed = done({"select", "gmm", "--data", data, "--components", "1..10", "--set",
                                    "model.estimate=ml", "--json", out, "--force"});
  const std::string reason = "k-means: 9 distinct rows are too few for 10 clusters";
  EXPECT_NE(printed.find("\n  10      -      -  no fit: " + reason + "\n"), std::string::npos) << printed;
  EXPECT_NE(printed.find("\nchosen by BIC: model.num_components = "), std::string::npos) << printed;
  const auto result = json(out);
  ASSERT_EQ(result.at("scores").size(), 10u);
  EXPECT_EQ(result["complete"], true);
  EXPECT_EQ(result["scores"][9], (nlohmann::json{{"num_components", 10}, {"failure", reason}}));
  EXPECT_LT(result.at("num_components"), 10);
  // none is left: the error of the only fit
  const Outcome none = vem({"select", "gmm", "--data", data, "--components", "10", "--json", out, "--force"});
  EXPECT_EQ(none.code, 65);
  EXPECT_EQ(none.err, "vem: " + reason + "\n");
  EXPECT_EQ(json(out)["scores"][0]["failure"], reason);
}

// Not exchangeable: the ELBO alone; and a truncation of one stick is a row that says why.
TEST(Select, AddsLabelingsOnlyWhereComponentsAreExchangeable) {
  const TemporaryFolder folder;
  const std::string data = folder.write("earthquakes.csv", column_csv(kEarthquakes)), out = folder.file("s.json");
  const std::vector<std::string> common{
      "--data", data, "--components", "1..3", "--set", "model.observation.kind=poisson", "--json", out, "--force"};
  const auto select = [&](const std::string& model, const std::string& setting) {
    std::vector<std::string> command{"select", model, "--set", setting};
    command.insert(command.end(), common.begin(), common.end());
    return done(command);
  };
  std::string printed = select("hmm", "model.allocation.topology=left-right");
  EXPECT_NE(printed.find("chosen by ELBO: "), std::string::npos) << printed;
  EXPECT_FALSE(json(out)["scores"][2].contains("elbo_plus_log_factorial"));
  printed = select("mixture", "model.allocation.kind=stick-breaking");
  EXPECT_NE(printed.find("\n   1      -      -  no fit: stick-breaking: num_components"), std::string::npos) << printed;
  EXPECT_NE(printed.find("chosen by ELBO: "), std::string::npos) << printed;
  printed = select("hmm", "model.allocation.start=first");
  EXPECT_NE(printed.find("  ELBO + ln (K-1)!"), std::string::npos) << printed;
  const auto score = json(out)["scores"][2];
  EXPECT_NEAR(score["elbo_of_all_labelings"].get<double>() - score["elbo"].get<double>(), std::log(2), 1e-9);
}

// The same options, defaults and states: what select scores is what train and evaluate give, bit for bit.
TEST(Select, FitsWhatTrainFits) {
  const TemporaryFolder folder;
  const std::string data = folder.write("t.csv", clusters_csv(90)), out = folder.file("s.json"),
                    run = folder.file("run");
  const std::vector<std::string> settings{"--set",     "data.columns=\"a, b, c\"",
                                          "--set",     "data.validation=0.3",
                                          "--set",     "model.restarts=3",
                                          "--seed",    "5",
                                          "--threads", "1",
                                          "--device",  "cpu"};
  const auto with = [&](std::vector<std::string> command) {
    command.insert(command.end(), settings.begin(), settings.end());
    return command;
  };
  const std::string printed =
      done(with({"select", "gmm", "--data", data, "--components", "2..3", "--out", out, "--force"}));
  EXPECT_NE(printed.find(" on 126 items, held out: 54 validation items\n"), std::string::npos) << printed;
  EXPECT_EQ(json(out)["held_out_split"], "validation");
  const auto score = json(out)["scores"][1];
  done(with({"train", "gmm", "--data", data, "--out", run, "--set", "model.num_components=3"}));
  done({"evaluate", run, "--split", "train"});
  EXPECT_EQ(json(run + "/evaluation.json")["total_bound"], score["elbo"]);
  done({"evaluate", run});  // the validation items
  EXPECT_EQ(json(run + "/evaluation.json")["log_likelihood"], score["held_out_log_likelihood"]);
  EXPECT_EQ(json(run + "/evaluation.json")["log_likelihood_error"], score["held_out_error"]);
}

TEST(Select, RefusesWhatTrainRefuses) {
  EXPECT_EQ(vem({"select", "gmm", "--components", "2"}).err,
            "vem: select: data.source is not set; name a data set or a file with --data\n");
  EXPECT_EQ(vem({"select", "gmn", "--data", "x.csv", "--components", "2"}).code,
            vem({"train", "gmn", "--data", "x.csv"}).code);
}

}  // namespace select_test
}  // namespace vem
