// vem evaluate --factors: scores of latents by what items were made of.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/command_line.h"
#include "vem/data/writers.h"

namespace vem {
namespace factors_test {

/// A table whose first two columns are what its rows were made of, and pPCA of it: its latents are these columns.
std::string ppca_of_factors(const TemporaryFolder& folder, std::string* factors) {
  std::string table = "a,b,noise\n", rows = "a,word\n";
  for (int i = 0; i < 400; ++i) {
    table += fmt::format("{},{},{:.3f}\n", 10 * (i % 5), i / 5 % 4, 0.01 * std::sin(i));
    rows += fmt::format("{},{}\n", i % 5, std::string("stuv").substr(i / 5 % 4, 1));
  }
  *factors = folder.write("factors.csv", rows);
  const std::string run = folder.file("run");
  done({"train", "ppca", "--data", folder.write("table.csv", table), "--out", run, "--set", "data.test=100", "--set",
        "model.observation.rank=2"});
  return run;
}

TEST(Factors, LatentsAreScoredByTheFactorsOfTheirItems) {
  const TemporaryFolder folder;
  std::string factors;
  const std::string run = ppca_of_factors(folder, &factors);
  for (const char* limit : {"0", "80"}) {  // test items, drawn from the file: each has the row of its place there
    const std::string text = done({"evaluate", run, "--factors", factors, "--limit", limit});
    EXPECT_NE(text.find("mutual information gap, of factors a, word"), std::string::npos) << text;
    const auto result = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
    EXPECT_EQ(result["factors"], (std::vector<std::string>{"a", "word"}));
    for (const char* key :
         {"mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness", "factor_vae_score"}) {
      EXPECT_GT(result[key].get<double>(), .7) << key;  // items that are mixed up have nearly none
      EXPECT_LE(result[key].get<double>(), 1) << key;
    }
  }
}

TEST(Factors, FactorsThatDoNotFitAreRefused) {
  const TemporaryFolder folder;
  std::string factors;
  const std::string run = ppca_of_factors(folder, &factors), table = run.substr(0, run.rfind('/')) + "/table.csv";
  std::string constant = "a,b\n", missing = "a,b\n1,2\n1,\n";
  for (int i = 0; i < 400; ++i) constant += fmt::format("{},x\n", i % 3);
  const auto message = [&](const std::string& file) {
    const Outcome outcome = vem({"evaluate", run, "--factors", file});
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    return outcome.err;
  };
  const std::string few = folder.write("few.csv", "a,b\n1,2\n1,3\n"), gaps = folder.write("gaps.csv", missing);
  EXPECT_EQ(message(few), "vem: " + few + ": has 2 rows, 400 are expected: one for each item of " + table +
                              " that the run reads, in its order\n");
  EXPECT_EQ(message(gaps), "vem: " + gaps + ":3: factor 'b' has no value\n");
  EXPECT_EQ(message(folder.write("constant.csv", constant)),
            "vem: disentanglement: factor 'b' has the same value for all 100 items\n");
  const Outcome outcome = vem({"evaluate", run, "--factors", folder.write("factors.txt", "1 2\n")});
  EXPECT_EQ(outcome.code, 64);
  EXPECT_NE(outcome.err.find("factors.txt: .csv, .tsv or .npy is expected"), std::string::npos) << outcome.err;
}

}  // namespace factors_test
}  // namespace vem
