// What the command line says to what it is given: help, catalogue, and errors word for word with their exit codes.
#include <gtest/gtest.h>

#include "support/command_line.h"
#include "vem/cli/run.h"
#include "vem/models/registry.h"

namespace vem {
namespace arguments_test {

void expect_error(const std::vector<std::string>& arguments, int code, const std::string& text) {
  const Outcome outcome = vem(arguments);
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_EQ(outcome.err, "vem: " + text + "\n");
  EXPECT_EQ(outcome.out, "");
}

const std::vector<std::string> kVerbs{"train", "evaluate", "encode", "sample", "reconstruct", "traverse", "export",
                                      "list",  "describe", "info",   "select", "impute",      "diagnose"};

TEST(CommandLine, HelpListsEveryVerbAndEachHasExamples) {
  const Outcome help = vem({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(vem({}).out, help.out);
  EXPECT_EQ(vem({"--version"}).out, "vem " VEM_VERSION "\n");
  for (const std::string& verb : kVerbs) {
    EXPECT_NE(help.out.find("\n  " + verb + " "), std::string::npos) << verb;
    const Outcome outcome = vem({verb, "--help"});
    EXPECT_EQ(outcome.code, 0) << verb;
    EXPECT_NE(outcome.out.find("\nExamples:\n  vem " + verb), std::string::npos) << outcome.out;
  }
}

TEST(CommandLine, UsageErrors) {
  expect_error({"trian"}, 64, "unknown verb 'trian'; did you mean 'train'? `vem --help` lists them");
  expect_error(
      {"evaluate", "run", "--sample", "5"}, 64,
      "evaluate: there is no option --sample; did you mean --samples? `vem evaluate --help` lists the options");
  expect_error({"sample", "run", "-n", "many"}, 64,
               "sample: Argument 'many' failed to parse; `vem sample --help` lists the options");
  expect_error({"train", "gmm", "--out"}, 64,
               "train: Option 'out' is missing an argument; `vem train --help` lists the options");
  expect_error({"evaluate", "one", "two"}, 64,
               "evaluate: 'two' is one argument too many; `vem evaluate --help` lists the options");
  expect_error(
      {"train"}, 64,
      "train: which model? `vem train vae --data fashion-mnist`, or a TOML file; `vem list model` lists models");
  expect_error({"evaluate"}, 64, "which run? Give the folder that `vem train` made");
  expect_error({"evaluate", "run", "--samples", "0"}, 64, "--samples must be >= 1, got 0");
  expect_error({"evaluate", "run", "--checkpoint", "worst"}, 64, "--checkpoint is best or last, got 'worst'");
  expect_error({"encode", "run"}, 64, "encode: --out FILE.npy, FILE.csv or FILE.mtx is missing");
  expect_error(
      {"list", "models"}, 64,
      "unknown kind 'models'; there are: allocation, flow, likelihood, model, network, objective, observation, "
      "optimizer, posterior, prior, schedule");
  expect_error({"train", "vae", "--resume", "run"}, 64,
               "train: --resume takes the model and the configuration of the run; 'vae' does not go with it");
  expect_error({"train", "--resume", "run", "--seed", "3"}, 64,
               "train: --resume takes the configuration of the run; --seed does not go with it");
}

TEST(CommandLine, ConfigurationErrors) {
  expect_error({"train", "vea"}, 78,
               "unknown model 'vea'; did you mean 'vae'? there are: mixture, hmm, lda, vae, gmm, ppca, "
               "factor-analysis, iwae, vade, hvae, ladder, cvae, dmm, m2");
  expect_error({"train", "gmm"}, 78, "train: data.source is not set; name a data set or a file with --data");
  expect_error({"train", "gmm", "--set", "train.epochs=many"}, 78,
               "--set: train.epochs must be a whole number, got \"many\"");
  expect_error({"train", "gmm", "--set", "model.num_components=0"}, 78,
               "--set: model.num_components must be in [1, 4096], got 0");
  expect_error({"train", "gmm", "--set", "model.num_component=3"}, 78,
               "--set: unknown key model.num_component; did you mean model.num_components?");
  expect_error({"train", "gmm", "--set", "train.patience=3"}, 78,
               "--set: train.patience has no effect in this run; it takes effect when data.validation is positive "
               "or data.validation_file is set");
  expect_error({"train", "gmm", "--set", "nonsense"}, 78,
               "--set nonsense: key=value is expected, for example --set train.epochs=20");
  expect_error({"train", "--resume", "run", "--set", "model.num_components=3"}, 78,
               "train: model.num_components can not change when a run is resumed; train.epochs, train.max_minutes, "
               "train.patience, train.tolerance, data.max_memory can");
  expect_error({"train", "gmm", "--device", "cuda"}, 78,
               "--set: device must be one of cpu, got \"cuda\"; did you mean \"cpu\"?");
}

TEST(CommandLine, MissingInput) {
  expect_error({"train", "missing.toml"}, 66, "missing.toml: no such configuration file");
  expect_error({"evaluate", "nowhere"}, 66, "nowhere: is no run: it has no config.toml; `vem train` makes one");
  expect_error({"train", "--resume", "nowhere"}, 66,
               "nowhere: is no run: it has no config.toml; `vem train` makes one");
}

TEST(CommandLine, TomlErrorsNameTheLine) {
  const TemporaryFolder folder;
  const std::string path = folder.write("run.toml", "model = \"gmm\"\n[train]\nepochs = \"ten\"\n");
  expect_error({"train", path}, 78, path + ":3: train.epochs must be a whole number, got \"ten\"");
  const std::string empty = folder.write("empty.toml", "[train]\nepochs = 10\n");
  expect_error({"train", empty}, 78, empty + ": model is not set; `vem list model` lists models");
}

TEST(CommandLine, WhatIsListedIsDescribed) {
  const Registry registry = builtin_registry();
  const std::string list = vem({"list"}).out;
  for (const Plugin* plugin : registry.list()) {
    EXPECT_NE(list.find(fmt::format("\n  {:<22} {}\n", plugin->name, plugin->summary)), std::string::npos)
        << plugin->name;
    const Outcome outcome = vem({"describe", plugin->name});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find(fmt::format("{} {}: {}\n", plugin->kind, plugin->name, plugin->summary)),
              std::string::npos)
        << outcome.out;
    EXPECT_NE(outcome.out.find(plugin->kind + ".kind = "), std::string::npos) << outcome.out;
  }
  EXPECT_EQ(vem({"describe", "train"}).code, 0);
  EXPECT_EQ(vem({"describe", "data"}).code, 0);
  expect_error({"describe", "vea"}, 64, "nothing is called 'vea'; did you mean 'vae'? `vem list` lists everything");
}

TEST(CommandLine, DescribeShowsTheDefaultsThatAModelBrings) {
  EXPECT_NE(vem({"describe", "vae"}).out.find("  train.batch_size = 128\n      items a batch; 0: all [>= 0]\n"),
            std::string::npos);
  EXPECT_NE(vem({"describe", "iwae"}).out.find("  model.objective.kind = \"iwae\"\n"), std::string::npos);
}

TEST(CommandLine, InfoNamesTheBlasAndItsSpeed) {
  const Outcome outcome = vem({"info"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* word : {"vem  ", "LibTorch  ", "threads  ", "BLAS  ", "GFLOP/s in float32"})
    EXPECT_NE(outcome.out.find(word), std::string::npos) << outcome.out;
}

}  // namespace arguments_test
}  // namespace vem
