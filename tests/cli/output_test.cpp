// What verbs write: never over what they read, over what a run needs, or unasked over a file that is there; and whether
// it can be written is known before the work.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/command_line.h"

namespace vem {
namespace output_test {

namespace fs = std::filesystem;

class Output : public testing::Test {
 protected:
  Output() : table_(folder_.write("table.csv", clusters_csv(20))), run_(folder_.file("run")) {
    done({"train", "gmm", "--data", table_, "--out", run_, "--set", "data.label=species", "--set", "train.epochs=2"});
  }
  /// The verb is refused as an output (73), with these words, and the file stays as it is.
  void expect_refused(const std::vector<std::string>& command, const std::string& words,
                      const std::string& file) const {
    const std::string before = read_bytes(file);
    const Outcome outcome = vem(command);
    EXPECT_EQ(outcome.code, 73) << fmt::format("{}", fmt::join(command, " "));
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "") << "the work had begun";
    EXPECT_EQ(read_bytes(file), before);
  }

  TemporaryFolder folder_;
  std::string table_, run_;
};

TEST_F(Output, ReplacesAFileThatIsThereOnlyWhenTold) {
  const std::string file = folder_.write("z.csv", "mine\n");
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"encode", run_, "--out", file},
        {"impute", run_, "--out", file},
        {"sample", run_, "--out", file},
        {"describe", run_, "--json", file},
        {"export", run_, "--out", file},
        {"select", "gmm", "--data", table_, "--set", "data.label=species", "--components", "1..2", "--json", file}})
    expect_refused(command, "--force replaces it", file);
  done({"encode", run_, "--out", file, "--force"});
  EXPECT_NE(read_bytes(file), "mine\n");
  struct stat about {};
  ASSERT_EQ(stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0640u);
}

TEST_F(Output, NeverReplacesWhatIsRead) {
  const std::string link = folder_.file("link.csv");
  fs::create_symlink(table_, link);
  for (const std::string& file : {table_, link}) {
    expect_refused({"encode", run_, "--out", file, "--force"}, "it is read from", table_);
    expect_refused({"impute", run_, "--data", table_, "--out", file, "--force"}, "it is read from", table_);
    expect_refused({"select", "gmm", "--data", table_, "--set", "data.label=species", "--components", "1..2", "--json",
                    file, "--force"},
                   "it is read from", table_);
  }
}

TEST_F(Output, NeverReplacesWhatARunNeeds) {
  for (const std::string name : {"config.toml", "metrics.jsonl", "checkpoints/best.safetensors", ".vem-run"}) {
    const std::string file = run_ + "/" + name;
    expect_refused({"export", run_, "--out", file, "--force"}, "the run in that folder needs it", file);
    expect_refused({"describe", run_, "--json", run_ + "/export/../" + name, "--force"}, "needs it", file);
  }
}

TEST_F(Output, OfAVerbInTheFolderOfARunIsWrittenAgain) {
  for (int times = 0; times < 2; ++times) {
    done({"sample", run_, "-n", "3"});
    done({"export", run_});
    done({"sample", run_, "-n", "3", "--out", run_ + "/samples.csv"});
  }
}

TEST_F(Output, IsFoundOutBeforeTheWork) {
  const std::string config = run_ + "/config.toml";
  expect_refused({"encode", run_, "--out", folder_.file("nowhere/z.csv")}, "there is no folder", config);
  fs::create_directory(folder_.file("folder.csv"));
  expect_refused({"encode", run_, "--out", folder_.file("folder.csv"), "--force"}, "it is a folder", config);
  EXPECT_EQ(vem({"encode", run_, "--out", folder_.file("z.txt")}).code, 64);
}

TEST_F(Output, TrainingDoesNotTakeItsDataForTheFolderOfTheRun) {
  const std::string texts = folder_.file("texts");
  fs::create_directory(texts);
  folder_.write("texts/a.txt", "a b a\n");
  folder_.write("texts/b.txt", "b c b\n");
  expect_refused({"train", "lda", "--data", texts, "--set", "model.num_topics=2", "--out", texts, "--force"},
                 "is the data itself", texts + "/a.txt");
}

}  // namespace output_test
}  // namespace vem
