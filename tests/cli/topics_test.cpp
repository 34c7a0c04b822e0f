// Topic models from the command line: a text corpus in, topics, proportions, completion, samples and files out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "support/command_line.h"
#include "vem/data/corpus.h"
#include "vem/data/readers.h"

namespace vem {
namespace topics_test {

/// 120 documents, half about fruit and half about tools; every line begins with a word that is everywhere.
std::string two_themes() {
  const char* const words[2][6] = {{"apple", "banana", "cherry", "grape", "lemon", "melon"},
                                   {"chisel", "drill", "file", "hammer", "plane", "saw"}};
  std::string text;
  uint64_t state = 1;
  for (int d = 0; d < 120; ++d) {
    text += "Every";
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += std::string(" ") + words[d % 2][(state >> 33) % 6];
    }
    text += "\n";
  }
  return text;
}

class TopicsOfARun : public testing::Test {
 protected:
  void SetUp() override {
    corpus_ = folder_.write("themes.txt", two_themes());
    const Outcome outcome = train(run_, "1");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  Outcome train(const std::string& out, const std::string& seed) const {
    return vem({"train", "lda", "--data", corpus_, "--out", out, "--seed", seed, "--set", "model.num_topics=2", "--set",
                "train.epochs=30", "--set", "data.max_document_frequency=0.9", "--set", "data.test=0.25"});
  }
  nlohmann::json evaluation() const { return nlohmann::json::parse(read_bytes(run_ + "/evaluation.json")); }

  TemporaryFolder folder_;
  const std::string run_ = folder_.file("run");
  std::string corpus_;
};

TEST_F(TopicsOfARun, DescribeShowsThemAndMatchesAnotherRuns) {
  const Outcome outcome = vem({"describe", run_, "--words", "6"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("2 topics of 12 words"), std::string::npos) << outcome.out;
  for (const char* pair : {"apple", "chisel"}) EXPECT_NE(outcome.out.find(pair), std::string::npos);
  ASSERT_EQ(train(folder_.file("other"), "2").code, 0);
  const Outcome matched = vem({"describe", run_, "--other", folder_.file("other")});
  EXPECT_EQ(matched.code, 0) << matched.err;
  const size_t at = matched.out.find("mean cosine ");
  ASSERT_NE(at, std::string::npos) << matched.out;
  EXPECT_GT(std::stod(matched.out.substr(at + 12)), 0.99);  // two clean themes: any start finds them
  EXPECT_EQ(vem({"describe", run_, "--words", "1"}).code, 64);
  ASSERT_EQ(train(folder_.file("third"), "3").code, 0);
  const Outcome stable = vem({"describe", run_, "--other", folder_.file("other"), "--other", folder_.file("third")});
  EXPECT_NE(stable.out.find("stability: mean cosine with the 2 other runs 0.99"), std::string::npos) << stable.out;
}

// A reference corpus in which fruit and tools never meet, with labels: each topic is all of one class.
TEST_F(TopicsOfARun, DescribeTakesAReferenceCorpusAndItsLabels) {
  const std::string reference =
      folder_.write("reference.mallet",
                    "a fruit apple banana cherry grape lemon melon\nb tools chisel drill file hammer "
                    "plane saw\n");
  const Outcome outcome = vem({"describe", run_, "--words", "6", "--data", reference});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("coherence in 2 documents of " + reference), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("mean NPMI 1.0000"), std::string::npos) << outcome.out;  // always together
  for (const char* label : {"     0 ", "     1 "}) EXPECT_NE(outcome.out.find(label), std::string::npos) << outcome.out;
}

TEST_F(TopicsOfARun, DocumentsOfAFileWatchTheBound) {
  const std::string watched = folder_.write("watched.txt", "apple unknown lemon\nsaw hammer\nplane\n");
  const Outcome outcome =
      vem({"train", "lda", "--data", corpus_, "--out", run_, "--force", "--set", "model.num_topics=2", "--set",
           "data.validation_file=" + watched, "--set", "train.patience=3"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("120 items of 13 words, 3 for validation"), std::string::npos) << outcome.err;
  EXPECT_EQ(vem({"evaluate", run_, "--split", "validation"}).code, 0);
  EXPECT_EQ(vem({"train", "lda", "--data", corpus_, "--out", folder_.file("no"), "--set",
                 "data.validation_file=" + folder_.write("zebra.txt", "zebra\n")})
                .code,
            65);
}

TEST_F(TopicsOfARun, EvaluateCompletesDocuments) {
  ASSERT_EQ(vem({"evaluate", run_}).code, 0);
  // six words a theme: log 6 nats a token where the theme is known
  EXPECT_NEAR(evaluation()["completion_nats_per_token"].get<double>(), std::log(6.), 0.2);
  EXPECT_NEAR(evaluation()["completion_perplexity"].get<double>(),
              std::exp(evaluation()["completion_nats_per_token"].get<double>()), 1e-9);
  EXPECT_EQ(evaluation()["completion_tokens"].get<int64_t>(), 30 * 6);
  const std::string seen = folder_.write("seen.txt", "apple banana\nsaw\n"),
                    held = folder_.write("held.txt", "cherry zebra grape\nhammer\n");
  ASSERT_EQ(vem({"evaluate", run_, "--data", seen, "--held-out", held}).code, 0);
  EXPECT_EQ(evaluation()["completion_tokens"].get<int64_t>(), 3);  // zebra is not in the model's vocabulary
  EXPECT_NEAR(evaluation()["completion_nats_per_token"].get<double>(), std::log(6.), 0.3);
  EXPECT_EQ(vem({"evaluate", run_, "--data", seen, "--held-out", folder_.write("one.txt", "apple\n")}).code, 65);
}

TEST_F(TopicsOfARun, EncodeSampleAndExportWriteFiles) {
  const std::string theta = folder_.file("theta.npy");
  ASSERT_EQ(vem({"encode", run_, "--data", folder_.write("new.txt", "apple lemon apple\ndrill saw saw\n"), "--out",
                 theta, "--force"})
                .code,
            0);
  const Tensor proportions = read_npy(theta);
  EXPECT_EQ(proportions.sizes(), (at::IntArrayRef{2, 2}));
  EXPECT_GT(std::abs(proportions[0][0].item<double>() - proportions[1][0].item<double>()), 0.8);
  const std::string sparse = folder_.file("theta.mtx");
  ASSERT_EQ(vem({"encode", run_, "--data", folder_.file("new.txt"), "--out", sparse, "--force", "--least", "0.5"}).code,
            0);
  EXPECT_EQ(read_bytes(sparse),
            fmt::format("%%MatrixMarket matrix coordinate real general\n2 2 2\n1 {} {}\n2 {} {}\n",
                        proportions[0].argmax().item<int64_t>() + 1, proportions[0].max().item<double>(),
                        proportions[1].argmax().item<int64_t>() + 1, proportions[1].max().item<double>()));
  const std::string drawn = folder_.file("drawn.ldac");
  ASSERT_EQ(vem({"sample", run_, "-n", "5", "--out", drawn, "--force"}).code, 0);
  const Dataset sampled = read_corpus(drawn, {});
  EXPECT_EQ(sampled.size, 5);
  EXPECT_EQ(sampled.columns.at("count").sum().item<int64_t>(), 5 * 12);
  ASSERT_EQ(vem({"export", run_, "--format", "json"}).code, 0);
  const auto json = nlohmann::json::parse(read_bytes(run_ + "/export/topics.json"));
  EXPECT_EQ(json["topics"].size(), 2u);
  EXPECT_EQ(json["topics"][0]["words"].size(), 12u);
  ASSERT_EQ(vem({"export", run_, "--format", "npy"}).code, 0);
  EXPECT_EQ(read_npy(run_ + "/export/topics.npy").sizes(), (at::IntArrayRef{2, 12}));
  EXPECT_EQ(vem({"export", run_}).code, 0);
}

/// A neural topic model: documents as rows of counts, as many as a batch has.
class DocumentsInAVae : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(train(run_, 300).code, 0); }
  Outcome train(const std::string& out, int epochs) const {
    return vem({"train",  "vae",
                "--data", corpus_,
                "--out",  out,
                "--set",  "model.latent_dim=2",
                "--set",  "model.likelihood=multinomial",
                "--set",  "model.encoder=embedding-bag",
                "--set",  "model.decoder=embedding-bag",
                "--set",  "model.optimizer.learning_rate=0.02",
                "--set",  "train.batch_size=30",
                "--set",  "data.max_document_frequency=0.9",
                "--set",  "data.test=0.25",
                "--set",  fmt::format("train.epochs={}", epochs)});
  }
  nlohmann::json evaluation(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"evaluate", run_, "--samples", "50"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(vem(arguments).code, 0);
    return nlohmann::json::parse(read_bytes(run_ + "/evaluation.json"));
  }

  TemporaryFolder folder_;
  const std::string run_ = folder_.file("run"), corpus_ = folder_.write("themes.txt", two_themes());
};

// Six words a theme: a text costs log 6 nats a token where the theme is known, and more by what the theme itself costs.
TEST_F(DocumentsInAVae, IsJudgedAsTopicsAre) {
  const auto test = evaluation();
  EXPECT_GT(test["perplexity_bound"].get<double>(), 6);
  EXPECT_LT(test["perplexity_bound"].get<double>(), 8);
  EXPECT_EQ(test["tokens"].get<double>(), 12);
  EXPECT_NEAR(test["completion_nats_per_token"].get<double>(), std::log(6.), 0.2);
  EXPECT_EQ(test["completion_tokens"].get<int64_t>(), 30 * 6);
  // words that the model does not know are left out, as are halves of documents that come from files
  const std::string seen = folder_.write("seen.txt", "apple banana\nsaw\n"),
                    held = folder_.write("held.txt", "cherry zebra grape\nhammer\n");
  const auto other = evaluation({"--data", seen, "--held-out", held});
  EXPECT_EQ(other["completion_tokens"].get<int64_t>(), 3);
  EXPECT_EQ(other["tokens"].get<double>(), 1.5);
}

TEST_F(DocumentsInAVae, EncodesExportsAndResumes) {
  const std::string z = folder_.file("z.npy");
  ASSERT_EQ(vem({"encode", run_, "--data",
                 folder_.write("new.txt", "apple lemon apple zebra\ndrill saw saw\ngrape melon\n"), "--out", z})
                .code,
            0);
  const Tensor mean = read_npy(z).slice(1, 0, 2);
  EXPECT_LT((mean[0] - mean[2]).norm().item<double>(), 0.5 * (mean[0] - mean[1]).norm().item<double>());
  EXPECT_EQ(vem({"export", run_}).code, 0);
  EXPECT_EQ(vem({"sample", run_, "-n", "3", "--out", folder_.file("x.csv"), "--force"}).code, 0);
  const Outcome none = vem({"impute", run_, "--out", folder_.file("x.csv"), "--force"});
  EXPECT_NE(none.err.find("impute: documents have no missing cells"), std::string::npos) << none.err;
  const std::string whole = folder_.file("whole"), part = folder_.file("part");
  ASSERT_EQ(train(whole, 3).code, 0);
  ASSERT_EQ(train(part, 2).code, 0);
  ASSERT_EQ(vem({"train", "--resume", part, "--set", "train.epochs=3"}).code, 0);
  expect_equal_states(part + "/checkpoints/last.safetensors", whole + "/checkpoints/last.safetensors");
}

TEST(Topics, AMixtureTakesDocumentsAsRowsOfCounts) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run"), corpus = folder.write("themes.txt", two_themes());
  ASSERT_EQ(vem({"train", "mixture", "--data", corpus, "--out", run, "--set", "model.num_components=2", "--set",
                 "model.observation=multinomial", "--set", "data.max_document_frequency=0.9"})
                .code,
            0);
  const std::string out = folder.file("theme.npy");
  ASSERT_EQ(vem({"encode", run, "--out", out, "--force"}).code, 0);
  const Tensor theme = read_npy(out).argmax(1);
  EXPECT_TRUE((theme == theme[0]).eq(at::arange(120).remainder(2) == 0).all().item<bool>());
}

// The readers' own tests have every format; here: one line, with the file's line where there is one, and code 65.
TEST(Topics, WrongFilesEndWithOneLineAndCode65) {
  struct Wrong {
    const char *name, *text, *place;
  };
  for (const Wrong& wrong : {Wrong{"a.ldac", "1 0:1\n3 1:1 2:1\n", ":2: announces 3"},
                             {"a.ldac", "1 0:1\n1 0:-2\n", ":2: a count is '-2'"},
                             {"a.ldac", "1 0:0.5\n", ":1: a count is '0.5'"},
                             {"a.ldac", "1 0:99999999999\n", ":1: a count is"},
                             {"a.ldac", "2 1:1 1:1\r\n", ":1: word 1"},
                             {"docword.a.txt", "2\r4\r1\r1 5 1\r", ":4: a word is '5'"},
                             {"docword.a.txt", "2\n4\n9\n1 1 1\n", ":3: truncated: the header announces 9 entries"},
                             {"docword.a.txt", "9000000000000\n4\n1\n1 1 1\n", ":3: the header announces"}}) {
    const TemporaryFolder folder;
    const Outcome outcome =
        vem({"train", "lda", "--data", folder.write(wrong.name, wrong.text), "--out", folder.file("run")});
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    EXPECT_NE(outcome.err.find(wrong.place), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(folder.file("run")));
  }
  const TemporaryFolder folder;
  const std::string whole = read_bytes(folder.write_gzipped("whole.gz", std::string(5000, ' ') + "1 0:1\n"));
  const std::string path = folder.write("cut.ldac.gz", whole.substr(0, whole.size() - 9));
  const Outcome cut = vem({"train", "lda", "--data", path, "--out", folder.file("run")});
  EXPECT_EQ(cut.code, 65);
  EXPECT_NE(cut.err.find("cut.ldac.gz:2: truncated: its gzip data end after"), std::string::npos) << cut.err;
  folder.write("short.vocab", "a\nb\n");
  EXPECT_EQ(vem({"train", "lda", "--data", folder.write("short.ldac", "1 2:1\n"), "--out", folder.file("run")}).code,
            65);
}

TEST(Topics, WrongCorporaAndOptionsAreRefused) {
  const TemporaryFolder folder;
  const auto train = [&](const std::string& data, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"train", "lda", "--data", data, "--out", folder.file("run")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return vem(arguments);
  };
  const Outcome wrong = train(folder.write("a.ldac", "1 0:1\n1 0:-2\n"));
  EXPECT_EQ(wrong.code, 65);
  EXPECT_NE(wrong.err.find("a.ldac:2: a count is '-2'"), std::string::npos) << wrong.err;
  EXPECT_EQ(train(folder.file("none.ldac")).code, 66);
  EXPECT_EQ(train(folder.write("t.csv", clusters_csv(5))).code, 65);
  const std::string good = folder.write("b.ldac", "1 0:1\n2 0:1 1:2\n");
  EXPECT_EQ(train(good, {"--set", "data.binarize=fixed"}).code, 78);
  EXPECT_EQ(train(good, {"--set", "model.document_concentration=[0.1,0.2]"}).code, 78);
  EXPECT_FALSE(std::filesystem::exists(folder.file("run")));
}

// Counts of two billion: tokens can not be listed, neither to split documents, nor to sample topics, nor to draw words.
TEST(Topics, CountsInTheBillions) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run"),
                    data = folder.write("a.svmlight", "1 1:2000000000 2:2000000000\n0 1:1 2:2000000000\n");
  for (const char* estimate : {"posterior", "gibbs"}) {
    std::vector<std::string> arguments{"train",
                                       "lda",
                                       "--data",
                                       data,
                                       "--out",
                                       run,
                                       "--force",
                                       "--set",
                                       "model.num_topics=2",
                                       "--set",
                                       "train.epochs=2",
                                       "--set",
                                       std::string("model.estimate=") + estimate};
    if (std::string(estimate) == "gibbs") arguments.insert(arguments.end(), {"--set", "train.burn_in=0"});
    done(arguments);
    done({"evaluate", run});
    const auto result = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
    EXPECT_EQ(result["completion_tokens"].get<double>(), 3e9);  // of 4e9 and of 2e9 + 1, whose larger half is seen
    EXPECT_GT(result["completion_nats_per_token"].get<double>(), 0);
    EXPECT_LT(result["completion_nats_per_token"].get<double>(), std::log(2.));
  }
  // Documents of half that length, since all words of a drawn one may be the same, of which 2^31 - 1 can be written.
  const std::string half = folder.write("b.svmlight", "1 1:1000000000 2:1000000000\n0 1:1 2:1000000000\n");
  done({"train", "lda", "--data", half, "--out", run, "--force", "--set", "model.num_topics=2", "--set",
        "train.epochs=2"});
  done({"sample", run, "-n", "2", "--out", folder.file("drawn.ldac"), "--force"});
  const Dataset drawn = read_corpus(folder.file("drawn.ldac"), {});
  EXPECT_EQ(drawn.columns.at("count").to(at::kLong).sum().item<int64_t>(), 2 * 1500000001LL);
}

// Documents of one word have none to predict: the others are evaluated, and how many these are is said.
TEST(Topics, DocumentsWithOneTokenAreNoError) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run");
  done({"train", "lda", "--data", folder.write("a.txt", "apple\nplum plum\n"), "--out", run, "--set",
        "model.num_topics=1"});
  const std::string some = done({"evaluate", run});
  EXPECT_NE(some.find("over 1 tokens, half of each document drawn; 1 of 2 documents have none to predict"),
            std::string::npos)
      << some;
  auto result = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
  EXPECT_EQ(result["completion_documents"].get<int64_t>(), 1);
  EXPECT_NEAR(result["completion_nats_per_token"].get<double>(), -std::log(2.05 / 3.1), 1e-9);  // eta = 0.05
  const std::string none = done({"evaluate", run, "--data", folder.write("b.txt", "plum\napple\n")});
  EXPECT_NE(none.find("no document has two words"), std::string::npos) << none;
  result = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
  EXPECT_EQ(result["completion_documents"].get<int64_t>(), 0);
  EXPECT_FALSE(result.contains("completion_perplexity"));
  EXPECT_TRUE(result.contains("topic_diversity"));
}

// The tolerance of the E-step stands beside the bound, and may be set.
TEST(Topics, EvaluationsStateTheirTolerance) {
  const TemporaryFolder folder;
  const std::string run = folder.file("run");
  done({"train", "lda", "--data", folder.write("a.txt", "apple plum\nplum nut\n"), "--out", run, "--set",
        "model.num_topics=2", "--set", "model.held_out_tolerance=1e-5", "--set", "model.held_out_iterations=1"});
  done({"evaluate", run});
  const auto result = nlohmann::json::parse(read_bytes(run + "/evaluation.json"));
  EXPECT_EQ(result["held_out_tolerance"].get<double>(), 1e-5);
  EXPECT_EQ(result["unconverged"].get<double>(), 1);  // of every document: one sweep is not enough
}

// A run on text reads new files as text, in its own way, and refuses what is something else.
TEST_F(TopicsOfARun, RemembersHowItsTextWasRead) {
  const std::string config = read_bytes(run_ + "/config.toml");
  for (const char* line : {"format = \"text\"", "tokenization = \"unicode\""})
    EXPECT_NE(config.find(line), std::string::npos) << config;
  const std::string theta = folder_.file("theta.csv");
  // By its content alone this would be a corpus of GibbsLDA: a number, then a line of words for each document.
  done({"encode", run_, "--data", folder_.write("new", "2\napple\nsaw\n"), "--out", theta, "--force"});
  EXPECT_EQ(read_csv(theta, ',').values.size(0), 3);
  const Outcome latin =
      vem({"encode", run_, "--data", folder_.write("latin.txt", "caf\xe9\n"), "--out", theta, "--force"});
  EXPECT_EQ(latin.code, 65);
  EXPECT_NE(latin.err.find("latin.txt:1: is not UTF-8"), std::string::npos) << latin.err;
  EXPECT_NE(latin.err.find("format = \"text\""), std::string::npos) << latin.err;
}

}  // namespace topics_test
}  // namespace vem
