// Options of verbs: each has an effect or is refused before anything is written; which items and how many threads a
// verb takes; scores of items.
#include <gtest/gtest.h>
#include <omp.h>

#include <nlohmann/json.hpp>

#include "../src/cli/verbs.h"
#include "support/command_line.h"
#include "vem/data/readers.h"

namespace vem {
namespace options_test {

namespace fs = std::filesystem;

/// One closed-form run and one VAE, trained once for all tests here.
class VerbOptions : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    table = folder->write("table.csv", clusters_csv(30));
    for (const std::string name : {"gmm", "tested"})
      done({"train", "gmm", "--data", table, "--out", folder->file(name), "--set", "data.label=species", "--set",
            name == "gmm" ? "data.test=0" : "data.test=12"});
    done({"train",     "vae",
          "--data",    table,
          "--out",     folder->file("vae"),
          "--threads", "1",
          "--set",     "data.label=species",
          "--set",     "model.likelihood.kind=normal",
          "--set",     "model.latent_dim=2",
          "--set",     "model.encoder.widths=[8]",
          "--set",     "model.decoder.widths=[8]",
          "--set",     "train.epochs=2",
          "--set",     "data.validation=0",
          "--set",     "data.test=0"});
  }
  static void TearDownTestSuite() { folder.reset(); }

  static nlohmann::json evaluation(const std::string& run) {
    return nlohmann::json::parse(read_bytes(folder->file(run) + "/evaluation.json"));
  }
  static Tensor column(const std::string& file) { return read_csv(folder->file(file), ',').values.select(1, 0); }

  static std::unique_ptr<TemporaryFolder> folder;
  static std::string table;
};
std::unique_ptr<TemporaryFolder> VerbOptions::folder;
std::string VerbOptions::table;

// What an option may be given; an option that is not here fails the test below, so that a new one gets its value.
std::string value_of(const std::string& option, const TemporaryFolder& folder, const std::string& table) {
  const std::map<std::string, std::string> values{{"checkpoint", "last"},
                                                  {"threads", "1"},
                                                  {"data", table},
                                                  {"split", "train"},
                                                  {"limit", "7"},
                                                  {"seed", "3"},
                                                  {"samples", "20"},
                                                  {"bound-samples", "5"},
                                                  {"annealing", "3"},
                                                  {"gaps", "2"},
                                                  {"held-out", table},
                                                  {"against", folder.file("gmm")},
                                                  {"factors", table},
                                                  {"least", "0.1"},
                                                  {"method", "log_prob"},
                                                  {"horizon", "3"},
                                                  {"n", "3"},
                                                  {"given", "label=1"},
                                                  {"latent", "z2"},
                                                  {"out", folder.file("out.csv")},
                                                  {"format", "safetensors"},
                                                  {"unseen", "missing"},
                                                  {"level", "0.8"},
                                                  {"words", "5"},
                                                  {"other", folder.file("gmm")},
                                                  {"json", folder.file("out.json")}};
  const auto found = values.find(option);
  EXPECT_NE(found, values.end()) << option;
  return found == values.end() ? "" : found->second;
}

// Every option of every verb that takes a run, alone: it works, or the verb says that it has no effect here, and by
// then nothing has been printed or written.
TEST_F(VerbOptions, EachHasAnEffectOrIsRefused) {
  for (const Verb& verb : verbs()) {
    cxxopts::Options options("vem", "");
    options.add_options()("help", "");  // as run() does: a group of no options is none
    verb.declare(options);
    const auto declared = options.group_help("").options;
    const bool takes_run = std::any_of(declared.begin(), declared.end(),
                                       [](const auto& o) { return o.l.size() == 1 && o.l[0] == "run"; }) ||
                           std::string(verb.name) == "describe";
    if (!takes_run) continue;
    for (const std::string run : {"gmm", "vae"})
      for (const auto& option : declared) {
        const std::string name = option.l.empty() ? option.s : option.l[0];
        if (name == "run" || name == "name" || name == "help") continue;
        std::vector<std::string> command{verb.name, folder->file(run)};
        if (name != "out" && (verb.name == std::string("encode") || verb.name == std::string("impute")))
          command.insert(command.end(), {"--out", folder->file("out.csv")});
        if (run == "vae" && name != "samples" && verb.name == std::string("evaluate"))
          command.insert(command.end(), {"--samples", "20"});  // the default takes longer
        command.push_back((name.size() == 1 ? "-" : "--") + name);
        if (!option.is_boolean) command.push_back(value_of(name, *folder, table));
        fs::remove(folder->file("out.csv"));
        const Outcome outcome = vem(command);
        if (outcome.err.find("has no effect") == std::string::npos) continue;
        EXPECT_EQ(outcome.code, 64) << fmt::format("{}", fmt::join(command, " "));
        EXPECT_EQ(outcome.out, "") << fmt::format("{}", fmt::join(command, " "));
        EXPECT_FALSE(fs::exists(folder->file("out.csv"))) << fmt::format("{}", fmt::join(command, " "));
      }
  }
}

TEST_F(VerbOptions, WithoutEffectAreErrors) {
  const std::string gmm = folder->file("gmm"), out = folder->file("refused.csv");
  const auto error = [](const std::vector<std::string>& command) {
    const Outcome outcome = vem(command);
    EXPECT_EQ(outcome.code, 64) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  EXPECT_EQ(error({"impute", gmm, "--out", out, "--method", "predict"}),
            "vem: impute: there is no option --method; did you mean --seed? `vem impute --help` lists the options\n");
  EXPECT_EQ(error({"impute", gmm, "--out", out, "--least", "0.5"}),
            "vem: impute: there is no option --least; did you mean --limit? `vem impute --help` lists the options\n");
  EXPECT_EQ(error({"encode", gmm, "--out", out, "--least", "0.5"}),
            "vem: --least has no effect: only .mtx files leave entries out\n");
  EXPECT_EQ(error({"encode", gmm, "--out", out, "--method", "log_prob", "--samples", "5"}),
            "vem: --samples has no effect: only --method log_prob of a model without an exact likelihood draws any\n");
  EXPECT_EQ(error({"evaluate", gmm, "--samples", "5"}),
            "vem: --samples has no effect: mixture has no importance samples\n");
  EXPECT_EQ(error({"encode", gmm, "--out", out, "--method", "sample"}),
            "vem: --method sample: has no output for each item; those that have: log_prob, responsibilities, entropy, "
            "predict, impute\n");
  EXPECT_EQ(error({"describe", gmm, "--words", "5"}),
            "vem: describe: --words has no effect with these arguments; `vem describe --help` says when it has\n");
  EXPECT_EQ(error({"describe", "vae", "--threads", "2"}),
            "vem: describe: --threads has no effect with these arguments; `vem describe --help` says when it has\n");
  EXPECT_EQ(error({"describe", "vae", "--json", out}),
            "vem: --json has no effect: it takes the folder of a run, and vae is none\n");
  EXPECT_FALSE(fs::exists(out));
}

// Where a run has kept no items for a test, other items are taken, and the terminal and the file say so.
TEST_F(VerbOptions, WhichItemsWereTakenIsSaid) {
  const Outcome all = vem({"evaluate", folder->file("gmm")});
  EXPECT_EQ(all.err,
            "train items: the run has kept none for a test or for validation; --data and --split name others\n");
  EXPECT_EQ(evaluation("gmm")["split"], "train");
  EXPECT_EQ(evaluation("gmm")["num_items"], 60);
  const Outcome tested = vem({"evaluate", folder->file("tested")});
  EXPECT_EQ(tested.err, "");
  EXPECT_EQ(evaluation("tested")["split"], "test");
  EXPECT_EQ(evaluation("tested")["num_items"], 12);
  const std::string other = folder->write("other.csv", clusters_csv(5));
  EXPECT_EQ(vem({"evaluate", folder->file("gmm"), "--data", other}).err, "");
  EXPECT_EQ(evaluation("gmm")["split"], "all");
  EXPECT_EQ(evaluation("gmm")["source"], other);
  for (const std::string verb : {"reconstruct", "traverse"}) {
    const Outcome outcome = vem({verb, folder->file("vae"), "--out", folder->file(verb + ".csv")});
    EXPECT_EQ(outcome.err.rfind("train items: ", 0), 0u) << outcome.err;
    EXPECT_NE(outcome.out.find("60 train items of " + table), std::string::npos) << outcome.out;
  }
}

TEST_F(VerbOptions, ThreadsAreThoseOfTheFirstRun) {
  const int before = at::get_num_threads();
  const int two = std::min(2, omp_get_num_procs());
  done({"evaluate", folder->file("gmm"), "--threads", "2"});
  EXPECT_EQ(at::get_num_threads(), two);
  // The other run was trained with one thread, which is its own business.
  done({"evaluate", folder->file("gmm"), "--threads", "2", "--against", folder->file("vae"), "--samples", "5"});
  EXPECT_EQ(at::get_num_threads(), two);
  // More threads than cores wait for each other.
  const Outcome many = vem({"evaluate", folder->file("gmm"), "--threads", "1024"});
  EXPECT_EQ(at::get_num_threads(), omp_get_num_procs());
  EXPECT_NE(many.err.find("vem: warning: 1024 threads are asked for, and there are "), std::string::npos) << many.err;
  EXPECT_EQ(vem({"sample", folder->file("gmm"), "--threads", "-1"}).err,
            "vem: --threads must be in [0, 1024], got -1\n");
  at::set_num_threads(before);
}

// Log-likelihoods of items: those whose mean `vem evaluate` shows, exact or by importance sampling.
TEST_F(VerbOptions, ItemsAreScored) {
  done({"encode", folder->file("gmm"), "--method", "log_prob", "--out", folder->file("exact.csv")});
  done({"evaluate", folder->file("gmm")});
  EXPECT_NEAR(column("exact.csv").mean().item<double>(), evaluation("gmm")["log_likelihood"].get<double>(), 1e-12);

  const std::string vae = folder->file("vae");
  const std::string printed = done(
      {"encode", vae, "--method", "log_prob", "--samples", "50", "--seed", "4", "--out", folder->file("sampled.csv")});
  EXPECT_NE(printed.find(", lower bounds by 50 importance samples"), std::string::npos) << printed;
  done({"evaluate", vae, "--samples", "50", "--seed", "4", "--bound-samples", "1"});
  const nlohmann::json judged = evaluation("vae");
  EXPECT_NEAR(column("sampled.csv").mean().item<double>(), -judged["nll_upper_bound"].get<double>(), 1e-9);
  EXPECT_LT(judged["importance_bound"].get<double>(), -judged["nll_upper_bound"].get<double>());
  done({"evaluate", vae, "--samples", "50", "--seed", "4", "--bound-samples", "50"});
  EXPECT_NEAR(evaluation("vae")["importance_bound"].get<double>(), -judged["nll_upper_bound"].get<double>(), 1e-9);
  EXPECT_EQ(vem({"evaluate", vae, "--samples", "5", "--bound-samples", "6"}).err,
            "vem: --bound-samples must be <= --samples = 5, got 6\n");
}

}  // namespace options_test
}  // namespace vem
