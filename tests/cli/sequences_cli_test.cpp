// Sequences from the command line: a hidden Markov model from training to forecasts, and files that are no good.
#include <gtest/gtest.h>

#include "support/command_line.h"
#include "vem/data/readers.h"

namespace vem {
namespace sequences_cli_test {

namespace fs = std::filesystem;

class SequencesCli : public ::testing::Test {
 protected:
  /// Eight sequences of five to twelve rows that stay at 0 or at 4 for three rows each.
  std::string table() const {
    std::string text = "who,a,b\n";
    for (int i = 0; i < 8; ++i)
      for (int t = 0; t < 5 + i; ++t) {
        const double level = 4 * ((t / 3 + i) % 2), wave = 0.1 * ((7 * t + 3 * i) % 11);
        text += fmt::format("s{},{},{}\n", i, level + wave, level - 0.5 * wave + 0.03 * ((5 * t + i) % 7));
      }
    return folder_.write("t.csv", text);
  }
  void expect_refused(const std::string& data, const std::vector<std::string>& settings, const std::string& text) {
    std::vector<std::string> arguments{"train", "hmm", "--data", data, "--out", folder_.file("run")};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    const Outcome outcome = vem(arguments);
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    EXPECT_NE(("\n" + outcome.err).find("\nvem: " + data + text + "\n"), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(folder_.file("run")));
  }
  TemporaryFolder folder_;
};

TEST_F(SequencesCli, FromTrainingToForecasts) {
  const std::string run = folder_.file("run"), out = folder_.file("out.csv");
  Outcome outcome = vem({"train", "hmm", "--data", table(), "--out", run, "--set", "data.sequence=who", "--set",
                         "data.test=2", "--set", "data.split=tail"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  outcome = vem({"evaluate", run});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("bound per time step"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("log-likelihood per time step"), std::string::npos) << outcome.out;
  ASSERT_EQ(vem({"encode", run, "--method", "predict", "--out", out, "--force"}).code, 0);
  const Tensor path = read_csv(out, ',').values;
  EXPECT_EQ(path.sizes(), at::IntArrayRef({23, 1}));  // the last two sequences have 11 and 12 rows
  // The states are the levels: they change every three rows.
  const Tensor steps = (path.slice(0, 1) - path.slice(0, 0, -1)).abs().view({-1});
  for (int64_t t = 0; t < 10; ++t) EXPECT_EQ(steps[t].item<double>(), t % 3 == 2 ? 1 : 0) << t;
  ASSERT_EQ(vem({"encode", run, "--out", out, "--force"}).code, 0);
  EXPECT_EQ(read_csv(out, ',').values.sizes(), at::IntArrayRef({23, 2}));
  ASSERT_EQ(vem({"forecast", run, "--horizon", "3", "--out", out, "--force"}).code, 0);
  const Table forecast = read_csv(out, ',');
  EXPECT_EQ(forecast.names,
            (std::vector<std::string>{"sequence", "step", "states_0", "states_1", "mean_a", "mean_b", "variance_a",
                                      "variance_b", "lower_a", "lower_b", "upper_a", "upper_b"}));
  EXPECT_EQ(forecast.values.sizes(), at::IntArrayRef({6, 2 + 2 + 4 * 2}));
  EXPECT_TRUE((forecast.values.slice(1, 8, 10) < forecast.values.slice(1, 4, 6)).all().item<bool>());
  EXPECT_TRUE((forecast.values.slice(1, 4, 6) < forecast.values.slice(1, 10)).all().item<bool>());
  EXPECT_TRUE(at::allclose(forecast.values.slice(1, 2, 4).sum(1), at::ones({6}, at::kDouble)));
  EXPECT_EQ(vem({"forecast", run, "--horizon", "0"}).code, 64);
  EXPECT_EQ(vem({"forecast", run, "--level", "1"}).code, 64);
  ASSERT_EQ(vem({"sample", run, "-n", "30", "--out", out, "--force"}).code, 0);
  EXPECT_EQ(read_csv(out, ',').values.sizes(), at::IntArrayRef({30, 2}));
  EXPECT_EQ(vem({"export", run}).code, 0);
}

TEST_F(SequencesCli, WithoutASequenceColumnTheFileIsOneChain) {
  const std::string run = folder_.file("run"), data = folder_.write("t.csv", "a\n1\n1.5\n7\n7.5\n1\n1.2\n7\n6\n");
  ASSERT_EQ(vem({"train", "hmm", "--data", data, "--out", run}).code, 0);
  const std::string config = read_bytes(run + "/config.toml");
  EXPECT_NE(config.find("sequence = \"*\""), std::string::npos) << config;
}

TEST_F(SequencesCli, DescribesChainsAndForecastsAutoregressions) {
  const std::string run = folder_.file("run"), json = folder_.file("p.json"), out = folder_.file("out.csv");
  Outcome outcome = vem({"train", "hmm", "--data", table(), "--out", run, "--set", "data.sequence=who", "--set",
                         "model.observation={kind=\"autoregressive\",order=2}", "--set", "train.epochs=20"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  outcome = vem({"describe", run, "--json", json, "--force"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* name : {"intercepts", "coefficients", "covariances", "start", "transition", "duration"})
    EXPECT_NE(outcome.out.find("\n" + std::string(name) + "\n"), std::string::npos) << outcome.out;
  const std::string text = read_bytes(json);
  for (const char* name : {"\"allocation_parameters\"", "\"duration\"", "\"coefficients\""})
    EXPECT_NE(text.find(name), std::string::npos) << text;
  ASSERT_EQ(vem({"forecast", run, "--horizon", "3", "--out", out, "--force"}).code, 0);
  const Tensor forecast = read_csv(out, ',').values;
  EXPECT_EQ(forecast.sizes(), at::IntArrayRef({24, 2 + 2 + 4 * 2}));
  EXPECT_GT(forecast.slice(1, 6, 8).min().item<double>(), 0);  // variances
  EXPECT_TRUE((forecast.slice(1, 8, 10) < forecast.slice(1, 10)).all().item<bool>());
  outcome = vem({"sample", run, "-n", "7", "--out", out, "--force"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_csv(out, ',').values.sizes(), at::IntArrayRef({7, 2}));
}

TEST_F(SequencesCli, PrincipalComponentsAreEncoded) {
  const std::string run = folder_.file("run"), out = folder_.file("out.csv");
  Outcome outcome = vem({"train", "factor-analysis", "--data", table(), "--out", run, "--set", "data.columns=\"a, b\"",
                         "--set", "train.epochs=20"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_EQ(vem({"encode", run, "--out", out, "--force"}).code, 0);
  EXPECT_EQ(read_csv(out, ',').values.sizes(), at::IntArrayRef({68, 1}));
  outcome = vem({"train", "ppca", "--data", table(), "--out", run, "--force", "--set", "data.columns=\"a, b\"", "--set",
                 "model.estimate=posterior"});
  EXPECT_EQ(outcome.code, 78);
  EXPECT_NE(outcome.err.find("covariance = \"ppca\" has no conjugate posterior"), std::string::npos) << outcome.err;
}

TEST_F(SequencesCli, BadInputIsRefused) {
  expect_refused(
      folder_.write("t.csv", "s,a\n1,1\n2,1\n1,1\n"), {"data.sequence=s"},
      ":4: sequence '1' goes on, but it began in line 2 and another came between; sort the rows by sequence");
  expect_refused(folder_.write("t.csv", "s,a\n1,1\n"), {"data.sequence=t"},
                 ": has no column named 't'; its columns are s, a");
  expect_refused(folder_.write("d.fa", ">a\nAC\nA!\n"), {}, ":3: '!' is neither a nucleotide nor an amino acid");
  expect_refused(folder_.write("p.txt", "0 21\n0 20\n"), {"data.sequence_format=piano-roll"},
                 ":2: a MIDI note is '20'; a whole number from 21 to 108 is expected");
  expect_refused(folder_.write("s.txt", "\n"), {"data.sequence_format=symbols"}, ": holds no symbols");
}

// A file of one symbol, "10", is not two steps, 1 and 0: the run remembers that its symbols were words.
TEST_F(SequencesCli, NewSymbolsAreReadAsTheRunsOwn) {
  const std::string run = folder_.file("run"), out = folder_.file("out.csv");
  const std::string data = folder_.write("s.txt", "0 10 10 2\n2 2 0 10\n10 0 0 2 2\n");
  const Outcome trained = vem({"train", "hmm", "--data", data, "--out", run, "--set", "data.sequence_format=symbols",
                               "--set", "model.observation.kind=categorical", "--set", "model.num_components=1"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string config = read_bytes(run + "/config.toml");
  EXPECT_NE(config.find("symbol_unit = \"words\""), std::string::npos) << config;
  done({"encode", run, "--method", "log_prob", "--out", out, "--force", "--data", folder_.write("one.txt", "10\n")});
  const Tensor one = read_csv(out, ',').values;
  // One state, so the posterior is Dirichlet(1 + 4, 1 + 4, 1 + 5), and 10 is the second of 0, 10, 2.
  EXPECT_EQ(one.sizes(), at::IntArrayRef({1, 1}));
  EXPECT_LT(one.item<double>(), std::log(5. / 16) + 0.01);
  EXPECT_GT(one.item<double>(), std::log(5. / 16) - 0.2);
  const std::string other = folder_.write("other.txt", "10 7\n");
  const Outcome refused = vem({"encode", run, "--method", "log_prob", "--out", out, "--force", "--data", other});
  EXPECT_EQ(refused.code, 65);
  EXPECT_NE(refused.err.find("has the symbol '7', which the model was not trained on"), std::string::npos)
      << refused.err;
  done({"encode", run, "--method", "log_prob", "--out", out, "--force", "--data", other, "--unseen", "missing"});
  EXPECT_NEAR(read_csv(out, ',').values.item<double>(), one.item<double>(), 1e-12);  // as if 7 were not there
  EXPECT_EQ(vem({"encode", run, "--out", out, "--force", "--data", other, "--unseen", "x"}).code, 64);
  const Outcome table = vem({"encode", run, "--out", out, "--force", "--data", folder_.write("t.svm", "1 1:1 2:1\n")});
  EXPECT_EQ(table.code, 65) << table.err;
}

// The alphabet that was read says how many symbols there are; an option that has too few is named.
TEST_F(SequencesCli, SymbolsAndWordsThatAreTakenForNumbersAreSaid) {
  const std::string symbols = folder_.write("s.txt", "a b b a\nb a a c\nc c a b\n");
  const std::string words = folder_.write("w.csv", "a,w\n1,x\n2,y\n4,x\n3,y\n");
  const auto trained = [&](const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"train"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.insert(all.end(), {"--set", "model.num_components=1", "--force", "--out", folder_.file("run")});
    const Outcome outcome = vem(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.err;
  };
  const std::vector<std::string> chain{"hmm", "--data", symbols, "--set", "data.sequence_format=symbols"};
  EXPECT_NE(trained(chain).find("hmm: symbols are numbered in alphabetical order and taken for real numbers"),
            std::string::npos);
  std::vector<std::string> categorical = chain;
  categorical.insert(categorical.end(), {"--set", "model.observation.kind=categorical"});
  EXPECT_EQ(trained(categorical).find("taken for real numbers"), std::string::npos);
  EXPECT_NE(
      trained({"gmm", "--data", words, "--set", "data.categories=w"}).find("\"w\" holds words, which are numbered"),
      std::string::npos);
}

TEST_F(SequencesCli, TheAlphabetSetsTheNumberOfSymbols) {
  const std::string run = folder_.file("run"), data = folder_.write("d.fa", ">a\nACGTTGCA\n>b\nAACC\n");
  done({"train", "hmm", "--data", data, "--out", run, "--set", "model.observation.kind=categorical"});
  const std::string config = read_bytes(run + "/config.toml");
  for (const char* line : {"sequence_format = \"fasta\"", "alphabet = \"dna\""})
    EXPECT_NE(config.find(line), std::string::npos) << config;
  EXPECT_EQ(vem({"evaluate", run, "--data", folder_.write("e.fa", ">c\nGATTACA\n")}).code, 0);
  const Outcome small = vem({"train", "hmm", "--data", data, "--out", folder_.file("no"), "--set",
                             "model.observation={kind=\"categorical\",num_symbols=3}"});
  EXPECT_EQ(small.code, 78);
  EXPECT_NE(small.err.find("num_symbols = 3 is too small: the data have 4 symbols"), std::string::npos) << small.err;
  const Outcome numbers = vem({"train", "hmm", "--data", folder_.write("n.csv", "a\n0\n1\n5\n"), "--out",
                               folder_.file("no"), "--set", "model.observation.kind=categorical"});
  EXPECT_EQ(numbers.code, 65);
  EXPECT_NE(numbers.err.find("num_symbols = 2"), std::string::npos) << numbers.err;
}

}  // namespace sequences_cli_test
}  // namespace vem
