// A table with gaps and words, from the command line: chosen columns, selection, training, imputation, parameters.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/command_line.h"
#include "support/temporary_folder.h"
#include "vem/cli/run.h"
#include "vem/core/rng.h"
#include "vem/data/readers.h"
#include "vem/models/registry.h"

namespace vem {
namespace {

Outcome vem(const std::vector<std::string>& arguments) {
  return run_vem([](int argc, char** argv) { return run(argc, argv, builtin_registry()); }, arguments);
}

std::string done(const std::vector<std::string>& arguments) {
  const Outcome outcome = vem(arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.out;
}

nlohmann::json json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

/// Two kinds of bird, 150 rows; every seventh weight and every eleventh length is missing.
std::string table() {
  const Tensor noise = Rng(4).normal(at::arange(150, at::kLong), {2}, "x");
  std::string text = "rownames,species,length,weight,eggs\n";
  for (int64_t n = 0; n < 150; ++n) {
    const bool big = n % 3 == 0;
    const double length = (big ? 60 : 40) + 3 * noise[n][0].item<double>();
    const double weight = (big ? 5000 : 3500) + 300 * noise[n][1].item<double>();
    text += fmt::format("{},{},{},{},{}\n", n, big ? "gentoo" : "adelie",
                        n % 11 == 0 ? "NA" : fmt::format("{:.2f}", length),
                        n % 7 == 0 ? "" : fmt::format("{:.1f}", weight), big ? 3 + n % 2 : n % 2);
  }
  return text;
}

TEST(MixtureRun, SelectsTrainsImputesAndDescribes) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table()), out = folder.file("scores.json"),
                    run_folder = folder.file("run"), complete = folder.file("complete.csv");
  const std::string columns = "data.columns=\"length, weight\"";
  const std::string printed =
      done({"select", "gmm", "--data", data, "--components", "1..4", "--set", columns, "--out", out});
  EXPECT_NE(printed.find("chosen by ELBO + ln K!: model.num_components = 2"), std::string::npos) << printed;
  const auto scores = json(out);
  EXPECT_EQ(scores.at("num_components"), 2);
  ASSERT_EQ(scores.at("scores").size(), 4u);
  EXPECT_NEAR(scores["scores"][2]["elbo_plus_log_factorial"].get<double>() - scores["scores"][2]["elbo"].get<double>(),
              std::log(6), 1e-9);
  const std::string points = done({"select", "gmm", "--data", data, "--components", "1..3", "--set", columns, "--set",
                                   "model.estimate=\"ml\"", "--set", "data.validation=0.2"});
  EXPECT_NE(points.find("chosen by BIC: model.num_components = 2"), std::string::npos) << points;

  done({"train", "gmm", "--data", data, "--set", columns, "--out", run_folder});
  EXPECT_EQ(done({"impute", run_folder, "--out", complete}),
            complete + "\n36 cells filled in 150 train items of " + data + "\n");
  const Table filled = read_csv(complete, ',');
  EXPECT_EQ(filled.names, (std::vector<std::string>{"length", "weight"}));
  EXPECT_FALSE(filled.values.isnan().any().item<bool>());
  EXPECT_NEAR(filled.values[7][1].item<double>(), 3500, 200);  // row 7 is an adelie
  const std::string description = done({"describe", run_folder, "--json", folder.file("parameters.json")});
  EXPECT_NE(description.find(fmt::format("means\n{:>6}{:>14}{:>14}\n", "", "length", "weight")), std::string::npos)
      << description;
  const auto parameters = json(folder.file("parameters.json"));
  EXPECT_EQ(parameters["component_parameters"]["means"].size(), 2u);
}

TEST(MixtureRun, AProductOfColumnsFromTheCommandLine) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table()), run_folder = folder.file("run");
  done({"train", "mixture", "--data", data, "--out", run_folder, "--set", "data.label=\"species\"", "--set",
        "model.observation={kind=\"product\", normal_columns=\"length,weight\", poisson_columns=\"eggs\"}"});
  const std::string description = done({"describe", run_folder});
  EXPECT_NE(description.find("poisson.rates"), std::string::npos) << description;
  const Outcome wrong = vem(
      {"train", "mixture", "--data", data, "--out", folder.file("other"), "--set", "data.columns=\"length,hight\""});
  EXPECT_EQ(wrong.code, 65);
  EXPECT_EQ(wrong.err, "vem: " + data +
                           ": has no column named 'hight'; its columns are rownames, species, length, weight, eggs\n");
}

TEST(MixtureRun, ChainsAreDiagnosed) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table());
  std::vector<std::string> command{"diagnose"};
  for (const std::string seed : {"1", "2", "3"}) {
    command.push_back(folder.file("chain" + seed));
    done({"train", "gmm", "--data", data, "--seed", seed, "--out", command.back(), "--set",
          "data.columns=\"length, weight\"", "--set", "model.estimate=\"gibbs\"", "--set", "train.epochs=150"});
  }
  command.insert(command.end(), {"--burn-in", "50"});
  const std::string printed = done(command);
  EXPECT_NE(printed.find("3 chains of 100 draws after 50 of burn-in"), std::string::npos) << printed;
  const size_t at = printed.find("split R-hat");
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(std::stod(printed.substr(at + 11)), 1.1) << printed;  // the two kinds are far apart
}

TEST(MixtureRun, SelectRefusesWhatItCanNotCompare) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table());
  EXPECT_EQ(vem({"select", "gmm", "--data", data, "--components", "3..1"}).err,
            "vem: --components is a range such as 1..8, got '3..1'\n");
  const Outcome gibbs = vem({"select", "gmm", "--data", data, "--components", "2", "--set", "data.columns=\"length\"",
                             "--set", "model.estimate=\"gibbs\""});
  EXPECT_EQ(gibbs.err, "vem: select: estimate = \"gibbs\" has no bound to compare; use posterior\n");
}

}  // namespace
}  // namespace vem
