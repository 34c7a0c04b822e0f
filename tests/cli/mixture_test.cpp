// A table with gaps and words, from the command line: chosen columns, selection, training, imputation, parameters.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/command_line.h"
#include "support/temporary_folder.h"
#include "vem/core/rng.h"
#include "vem/data/readers.h"
#include "vem/data/writers.h"

namespace vem {
namespace mixture_test {

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

// In the metrics of each pass, on the terminal at the end, and whenever the run is described.
TEST(MixtureRun, EmptiedComponentsAreReported) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table()), run_folder = folder.file("run");
  const Outcome trained = vem({"train", "gmm", "--data", data, "--set", "data.columns=\"length, weight\"", "--set",
                               "model.num_components=12", "--set", "train.epochs=300", "--out", run_folder});
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::ifstream metrics(run_folder + "/metrics.jsonl");
  double last = 0;
  for (std::string line; std::getline(metrics, line);)
    last = nlohmann::json::parse(line).value("components.empty", last);
  ASSERT_GT(last, 1);
  const std::string words = fmt::format("empty: {:.0f} components with less than half a row", last);
  EXPECT_NE(trained.err.find("vem: warning: " + words), std::string::npos) << trained.err;
  EXPECT_NE(done({"describe", run_folder}).find(words), std::string::npos);
}

TEST(MixtureRun, SelectsTrainsImputesAndDescribes) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table()), out = folder.file("scores.json"),
                    run_folder = folder.file("run"), complete = folder.file("complete.csv");
  const std::string columns = "data.columns=\"length, weight\"";
  const std::string printed =
      done({"select", "gmm", "--data", data, "--components", "1..4", "--set", columns, "--out", out, "--force"});
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
  EXPECT_EQ(done({"impute", run_folder, "--out", complete, "--force"}),
            complete + "\n36 cells filled in 150 train items of " + data + "\n");
  const Table filled = read_csv(complete, ',');
  EXPECT_EQ(filled.names, (std::vector<std::string>{"length", "weight"}));
  EXPECT_FALSE(filled.values.isnan().any().item<bool>());
  EXPECT_NEAR(filled.values[7][1].item<double>(), 3500, 200);  // row 7 is an adelie
  const std::string description = done({"describe", run_folder, "--json", folder.file("parameters.json"), "--force"});
  EXPECT_NE(description.find(fmt::format("means\n{:>6}{:>14}{:>14}\n", "", "length", "weight")), std::string::npos)
      << description;
  const auto parameters = json(folder.file("parameters.json"));
  EXPECT_EQ(parameters["component_parameters"]["means"].size(), 2u);
}

// What a file says is written as it says it; .97 once became .9699999999999989.
TEST(MixtureRun, ImputedRowsKeepWhatWasObserved) {
  const TemporaryFolder folder;
  const std::vector<std::string> rows{"0.970,0.12,x",
                                      "0.31,,y",
                                      "1.55,2.01,x",
                                      "0.43,7.13,NA",
                                      "+1234567.80,1e-1,x",
                                      "NA,5.00,y",
                                      "3e-300,0.30000000000000004,x"};
  const std::string data = folder.write("t.csv", fmt::format("a,b,w\n{}\n", fmt::join(rows, "\n")));
  const std::string observation =
      "model.observation={kind=\"product\", normal_columns=\"a,b\", categorical_columns=\"w\"}";
  done({"train", "mixture", "--data", data, "--set", "data.categories=w", "--set", "data.columns=\"a,b\"", "--set",
        observation, "--set", "model.num_components=1", "--out", folder.file("run")});
  done({"impute", folder.file("run"), "--out", folder.file("full.csv"), "--force"});
  std::istringstream full(read_bytes(folder.file("full.csv")));
  std::string line;
  std::getline(full, line);
  EXPECT_EQ(line, "a,b,w");
  for (const std::string& row : rows) {
    std::getline(full, line);
    std::istringstream before(row), after(line);
    for (std::string was, is; std::getline(before, was, ',') && std::getline(after, is, ',');) {
      if (was.empty() || was == "NA")
        EXPECT_FALSE(is.empty() || is == "NA" || is == "NaN") << line;
      else
        EXPECT_EQ(is, was) << line;
    }
  }
  // An array keeps its type, and every bit but those of its gaps; so does a method that is called from a program.
  Tensor x = at::tensor({0.97F, 0.12F, 0.31F, 0.F, 1.55F, 2.01F, 0.43F, 7.13F}).view({4, 2});
  x[1][1] = std::nan("");
  write_npy(folder.file("x.npy"), x);
  for (const char* model : {"gmm", "vae"}) {
    std::vector<std::string> command{"train", model, "--data", folder.file("x.npy"), "--out", folder.file(model)};
    if (model == std::string("vae"))
      command.insert(command.end(),
                     {"--set", "model.likelihood.kind=normal", "--set", "model.standardize=true", "--set",
                      "train.epochs=1", "--set", "data.validation=0", "--set", "model.latent_dim=2"});
    else
      command.insert(command.end(), {"--set", "model.num_components=1"});
    done(command);
    done({"impute", folder.file(model), "--out", folder.file("y.npy"), "--force"});
    const Tensor y = read_npy(folder.file("y.npy"));
    EXPECT_EQ(y.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(y.masked_select(x.isnan().logical_not()), x.masked_select(x.isnan().logical_not())));
    EXPECT_FALSE(y.isnan().any().item<bool>());
  }
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

TEST(MixtureRun, ColumnsOfWordsAreCategories) {
  const TemporaryFolder folder;
  std::string text = table();
  for (int i = 0; i < 3; ++i) text += fmt::format("{},NA,60.5,5100,3\n", 150 + i);  // kind unknown
  const std::string data = folder.write("birds.csv", text), run_folder = folder.file("run");
  const std::string columns =
      "model.observation={kind=\"product\", normal_columns=\"length,weight\", poisson_columns=\"eggs\", "
      "categorical_columns=\"species\"}";
  done({"train", "mixture", "--data", data, "--out", run_folder, "--set", "data.categories=species", "--set",
        "data.columns=\"length, weight, eggs\"", "--set", columns});
  EXPECT_NE(done({"describe", run_folder}).find("species: 0 = adelie, 1 = gentoo\n"), std::string::npos);
  const std::string complete = folder.file("complete.csv");
  done({"impute", run_folder, "--out", complete, "--force"});
  const Table filled = read_csv(complete, ',', {"species"});
  EXPECT_EQ(filled.names, (std::vector<std::string>{"length", "weight", "eggs"}));
  EXPECT_EQ(filled.words[0][0], "gentoo");
  EXPECT_EQ(filled.words[0][1], "adelie");
  EXPECT_EQ(filled.words[0][151], "gentoo");  // by its weight

  // In another file the same words have other numbers.
  const std::string big = folder.write("big.csv", "species,eggs,weight,length\ngentoo,3,5100,60.5\n"),
                    all = folder.write("all.csv", "species,eggs,weight,length\ngentoo,3,5100,60.5\nadelie,1,3500,40\n");
  const auto encoded = [&](const std::string& path) {
    done({"encode", run_folder, "--data", path, "--out", folder.file("r.csv"), "--force"});
    return read_csv(folder.file("r.csv"), ',').values[0];
  };
  EXPECT_TRUE(at::equal(encoded(big), encoded(all)));
  const std::string unknown = folder.write("unknown.csv", "species,eggs,weight,length\nemperor,1,30000,100\n");
  const Outcome wrong = vem({"encode", run_folder, "--data", unknown, "--out", folder.file("r.csv"), "--force"});
  EXPECT_EQ(wrong.code, 65);
  EXPECT_EQ(wrong.err, "vem: " + unknown + ": column 'species' holds 'emperor'; the model knows adelie, gentoo\n");
  EXPECT_EQ(vem({"train", "mixture", "--data", data, "--out", folder.file("other"), "--set",
                 "data.categories=\"species, species\""})
                .err,
            "vem: data.categories: column 'species' is there twice, or is the label or the sequence\n");
}

TEST(MixtureRun, ChainsAreDiagnosed) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table()), posterior = folder.file("posterior.json");
  const auto gibbs = [&](const std::string& out, const std::string& seed, const std::vector<std::string>& more) {
    std::vector<std::string> command{"train", "gmm", "--data", data, "--seed", seed, "--out", out};
    for (const std::string setting : {"data.columns=\"length, weight\"", "model.estimate=\"gibbs\"", "train.burn_in=50",
                                      "train.thin=2", "train.epochs=450"})
      command.insert(command.end(), {"--set", setting});
    for (const std::string& setting : more) command.insert(command.end(), {"--set", setting});
    return command;
  };
  std::vector<std::string> command{"diagnose"};
  for (const std::string seed : {"1", "2", "3"}) {
    command.push_back(folder.file("chain" + seed));
    done(gibbs(command.back(), seed, {}));
  }
  command.insert(command.end(), {"--json", posterior, "--force"});
  const std::string printed = done(command);
  EXPECT_NE(printed.find("3 chains of 200 draws"), std::string::npos) << printed;
  const auto result = json(posterior);
  ASSERT_EQ(result["invariants"].size(), 3u);
  for (const auto& row : result["invariants"]) EXPECT_LT(row["split_r_hat"], 1.1) << row;  // the kinds are far apart
  // Labels switch between chains, not within the summary: both kinds are there, with the spread of their means.
  const auto& means = result["posterior"]["mean"]["means"];
  const size_t big = means[0][0] > means[1][0] ? 0 : 1;
  EXPECT_NEAR(means[big][0], 60, 2);
  EXPECT_NEAR(means[1 - big][0], 40, 1.5);
  EXPECT_NEAR(result["posterior"]["mean"]["weights"][big], 1. / 3, 0.05);
  const double deviation = result["posterior"]["deviation"]["means"][1 - big][0];
  EXPECT_NEAR(deviation, 3 / std::sqrt(100. * 10 / 11), 0.1);  // of a mean of that many lengths
  EXPECT_LT(result["worst"]["split_r_hat"], 1.1);

  // a chain that is stopped and resumed has the draws of one that was not
  const std::string whole = folder.file("chain1/draws.jsonl"), part = folder.file("part");
  auto half = gibbs(part, "1", {});
  half.back() = "train.epochs=200";
  done(half);
  done({"train", "--resume", part, "--set", "train.epochs=450"});
  EXPECT_EQ(read_bytes(part + "/draws.jsonl"), read_bytes(whole));
}

TEST(MixtureRun, SamplingRefusesWhatItHasNoUseFor) {
  const TemporaryFolder folder;
  const std::string data = folder.write("birds.csv", table());
  const auto error = [&](const std::string& setting) {
    return vem({"train", "gmm", "--data", data, "--out", folder.file("run"), "--set", "data.columns=\"length\"",
                "--set", "model.estimate=\"gibbs\"", "--set", "train.batch_size=50", "--set", setting})
        .err;
  };
  EXPECT_EQ(
      error("train.tolerance=1e-3"),
      "vem: --set: train.tolerance has no effect in this run; it takes effect when every block is updated in closed "
      "form from all of the data, and not by sampling\n");
  EXPECT_EQ(error("train.rho=0.1").substr(0, 56), "vem: --set: train.rho has no effect in this run; it take");
  EXPECT_EQ(error("train.memoised=true").substr(0, 55), "vem: --set: train.memoised has no effect in this run; i");
  EXPECT_EQ(error("train.epochs=100"), "vem: train: train.burn_in = 100 leaves no draw of train.epochs = 100\n");
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

}  // namespace mixture_test
}  // namespace vem
