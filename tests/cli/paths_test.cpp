// Files and folders that are called anything: what is given on the command line is taken as it is, by every verb, and
// what a run writes down reads back.
#include <gtest/gtest.h>

#include "support/command_line.h"
#include "support/temporary_folder.h"
#include "vem/core/config.h"
#include "vem/core/names.h"
#include "vem/data/writers.h"

namespace vem {
namespace paths_test {

namespace fs = std::filesystem;

// Quotes, blanks, a line end, an escape character, UTF-8, and a byte that is none.
const std::string kAwkward = "it's \"a b\" = [1] # \xc3\xbc,\n; $x\x1b\xff";

class AwkwardPaths : public testing::Test {
 protected:
  AwkwardPaths() : folder_(top_.file(kAwkward)) { fs::create_directories(folder_); }
  std::string path(const std::string& end) const { return folder_ + "/" + kAwkward + end; }
  std::string write(const std::string& end, const std::string& bytes) const {
    std::ofstream(path(end), std::ios::binary) << bytes;
    return path(end);
  }
  /// A verb that writes a file; the file is there.
  void makes(std::vector<std::string> arguments, const std::string& option, const std::string& file) const {
    arguments.insert(arguments.end(), {option, file});
    done(arguments);
    EXPECT_TRUE(fs::exists(file)) << arguments[0];
  }

  TemporaryFolder top_;
  std::string folder_;
};

TEST_F(AwkwardPaths, OfTables) {
  const std::string data = write(".csv", clusters_csv(20)), run = path(""), other = path(" 2");
  const std::vector<std::string> settings{"--set", "data.label=species", "--threads", "1", "--seed", "3"};
  for (const std::string& out : {run, other}) {
    std::vector<std::string> command{"train", "gmm", "--data", data, "--out", out};
    command.insert(command.end(), settings.begin(), settings.end());
    const std::string printed = done(command);
    EXPECT_NE(printed.find("vem evaluate $'" + top_.path().string() + "/it\\'s"), std::string::npos) << printed;
    EXPECT_NE(printed.find(",\\n; $x\\x1B\\xFF"), std::string::npos) << printed;
    EXPECT_EQ(printed.find("\n; $x"), std::string::npos) << printed;
  }
  const Config config = Config::load(run + "/config.toml");
  EXPECT_EQ(config.text("data.source"), data);
  makes({"train", run + "/config.toml"}, "--out", path(" 3"));
  EXPECT_EQ(read_bytes(path(" 3") + "/config.toml"), read_bytes(run + "/config.toml"));
  done({"train", "--resume", run, "--set", "train.epochs=200"});
  done({"evaluate", run, "--data", data, "--against", other});
  makes({"select", "gmm", "--data", data, "--components", "1..2", "--set", "data.label=species"}, "--out",
        path(".scores.json"));
  makes({"encode", run, "--data", data}, "--out", path(".encoded.csv"));
  makes({"encode", run}, "--out", path(".encoded.MTX"));
  makes({"impute", run, "--data", data}, "--out", path(".NPY"));
  makes({"sample", run}, "--out", path(".sample.CSV"));
  makes({"describe", run}, "--json", path(".json"));
  makes({"export", run}, "--out", path(".pt"));
  makes({"export", run, "--format", "json"}, "--out", path(".parameters.json"));
  // --set takes a bare word as it is; a run can be started from one that is called so.
  done({"train", "gmm", "--data", data, "--set", "data.label=species", "--set", "model.start=run", "--set",
        "model.start_from=" + run, "--out", path(" 4")});
  std::vector<std::string> gibbs{
      "train",           "gmm",   "--data",           data,    "--set",   "model.estimate=gibbs", "--set",
      "train.epochs=30", "--set", "train.burn_in=10", "--out", path(" 5")};
  gibbs.insert(gibbs.end(), settings.begin(), settings.end());
  done(gibbs);
  makes({"diagnose", path(" 5"), path(" 5")}, "--json", path(".diagnosis.json"));
}

TEST_F(AwkwardPaths, OfSequencesDocumentsAndImages) {
  const std::string series = write(".csv", "y\n1\n2\n1\n2.5\n8\n9\n8.5\n1\n"), chain = path(" chain");
  done({"train", "hmm", "--data", series, "--set", "data.sequence=*", "--out", chain});
  makes({"forecast", chain, "--data", series}, "--out", path(".forecast.csv"));
  const std::string texts = write(".txt", "cat dog cat\ndog bird cat\nbird bird dog\ncat cat dog\n"),
                    topics = path(" topics");
  done({"train", "lda", "--data", texts, "--set", "model.num_topics=2", "--out", topics});
  done({"evaluate", topics, "--data", texts, "--held-out", texts});
  done({"describe", topics, "--data", texts, "--other", topics});
  const std::string images = path(".npy"), vae = path(" vae");
  write_npy(images, at::arange(40 * 16).remainder(2).view({40, 1, 4, 4}).to(at::kByte));
  done({"train", "vae", "--data", images, "--set", "train.epochs=1", "--set", "model.latent_dim=2", "--set",
        "model.encoder.widths=[4]", "--set", "model.decoder.widths=[4]", "--threads", "1", "--out", vae});
  makes({"reconstruct", vae, "--data", images}, "--out", path(".PNG"));
  makes({"traverse", vae, "--data", images}, "--out", path(".walk.png"));
}

TEST_F(AwkwardPaths, ValuesOfOptionsAreNoToml) {
  const std::string data = write(".csv", "a\n1\n2\n4\n");
  const Outcome seed = vem({"train", "gmm", "--data", data, "--seed", "1 # 2", "--out", path("")});
  EXPECT_EQ(seed.code, 78);
  EXPECT_EQ(seed.err, "vem: --set: seed must be a whole number, got \"1 # 2\"\n");
  const Outcome none = vem({"train", "gmm", "--data", folder_ + "/O'Brien.csv", "--out", path("")});
  EXPECT_EQ(none.code, 66);
  EXPECT_EQ(none.err.rfind("vem: data.source: no such file: " + one_line(folder_) + "/O'Brien.csv;", 0), 0u)
      << none.err;
}

// Names that begin with a dash, as options do: behind an option they are its value, elsewhere "./" or "--" helps.
TEST_F(AwkwardPaths, DashesInFront) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  const std::string data = "-data" + kAwkward + ".csv", run = "-run\n\xff";
  std::ofstream(data, std::ios::binary) << clusters_csv(20);
  const std::string printed = done({"train", "gmm", "--data", data, "--set", "data.label=species", "--out", run});
  EXPECT_NE(printed.find("vem evaluate $'./-run\\n\\xFF'"), std::string::npos) << printed;
  done({"evaluate", "./" + run, "--data", data});
  done({"evaluate", "--data=" + data, "--", run});
  done({"encode", "./" + run, "--data", data, "--out", "-out\xff.csv"});
  done({"train", "--resume", run, "--set", "train.epochs=200", "--set", "data.max_memory=1G"});
  done({"describe", "./" + run, "--json", "-d.json"});
  done({"export", "./" + run, "--out", "-m.pt"});
  done({"sample", "./" + run, "--out", "-s.csv"});
  for (const char* name : {"-out\xff.csv", "-d.json", "-m.pt", "-s.csv"}) EXPECT_TRUE(fs::exists(name)) << name;
  const Outcome none = vem({"evaluate", "./-none\n\xff"});
  EXPECT_EQ(none.code, 66);
  EXPECT_EQ(none.err, "vem: ./-none\\n\\xFF: is no run: it has no config.toml; `vem train` makes one\n");
  fs::current_path(before);
}

// A vocabulary, stop words and a validation file that are called so, in a configuration that reads back.
TEST_F(AwkwardPaths, OfFilesBesideTheData) {
  const std::string texts = write(".txt", "cat dog cat\ndog bird cat\nbird bird dog\ncat cat dog\n"),
                    words = write(".words", "cat\ndog\n"), stop = write(".stop", "bird\n"), run = path(" run");
  done({"train", "lda", "--data", texts, "--set", "model.num_topics=2", "--set", "data.vocabulary=" + words, "--set",
        "data.stop_words=" + stop, "--set", "data.validation_file=" + texts, "--out", run});
  const Config config = Config::load(run + "/config.toml");
  EXPECT_EQ(config.text("data.vocabulary"), words);
  EXPECT_EQ(config.text("data.stop_words"), stop);
  EXPECT_EQ(config.text("data.validation_file"), texts);
  done({"train", run + "/config.toml", "--out", path(" again")});
  makes({"export", run, "--format", "npy"}, "--out", path(".topics.npy"));
  makes({"export", run, "--format", "json"}, "--out", path(".topics.json"));
  makes({"export", run, "--format", "safetensors"}, "--out", path(".safetensors"));
}

}  // namespace paths_test
}  // namespace vem
