// A run has one writer and one configuration: a second process, an edited config.toml and other data of the same shape
// are refused by name.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "../src/cli/run_directory.h"
#include "support/command_line.h"
#include "vem/core/error.h"

namespace vem {
namespace one_writer_test {

class OneWriter : public testing::Test {
 protected:
  /// Trains for three of the passes that a later resume goes on from.
  void train() const {
    done({"train",     "gmm",
          "--data",    data_,
          "--set",     "data.columns=a, b",
          "--set",     "model.num_components=2",
          "--set",     "train.batch_size=10",
          "--set",     "train.memoised=true",
          "--set",     "train.epochs=3",
          "--set",     "train.tolerance=0",
          "--threads", "1",
          "--out",     run_});
  }
  Outcome resume() const { return vem({"train", "--resume", run_, "--set", "train.epochs=5"}); }
  void replace(const std::string& path, const std::string& from, const std::string& to) const {
    std::string text = read_bytes(path);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    std::ofstream(path) << text.replace(at, from.size(), to);
  }

  TemporaryFolder folder_;
  const std::string data_ = folder_.write("x.csv", clusters_csv(20)), run_ = folder_.file("run");
};

TEST_F(OneWriter, ASecondProcessIsRefusedWithTheNameOfTheFirst) {
  train();
  const std::string bytes = read_bytes(run_ + "/checkpoints/last.safetensors");
  {
    const auto held = RunDirectory::open(run_).lock();
    const Outcome resumed = resume();
    EXPECT_EQ(resumed.code, 73);
    const std::string holder = fmt::format("{}: is being written by another process (process {} on ", run_, getpid());
    EXPECT_NE(resumed.err.find(holder), std::string::npos) << resumed.err;
    const Outcome forced = vem({"train", "gmm", "--data", data_, "--set", "data.columns=a", "--out", run_, "--force"});
    EXPECT_EQ(forced.code, 73);
    EXPECT_NE(forced.err.find(holder), std::string::npos) << forced.err;
    EXPECT_EQ(vem({"evaluate", run_}).code, 0);  // who only reads may
  }
  EXPECT_EQ(read_bytes(run_ + "/checkpoints/last.safetensors"), bytes);
  EXPECT_EQ(resume().code, 0);
}

TEST_F(OneWriter, LeftOversOfKilledProcessesGo) {
  train();
  const std::string left = run_ + "/checkpoints/.0123456789abcdef.vem-tmp", other = run_ + "/checkpoints/mine.tmp";
  std::ofstream(left) << "half";
  std::ofstream(other) << "whole";
  EXPECT_EQ(resume().code, 0);
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(other));
}

// A disk that fills after the mark and before config.toml leaves a folder that --force may still use.
TEST_F(OneWriter, AFolderThatWasOnlyMarkedIsOurs) {
  train();
  std::filesystem::remove(run_ + "/config.toml");
  std::filesystem::remove_all(run_ + "/checkpoints");
  EXPECT_EQ(vem({"train", "gmm", "--data", data_, "--set", "data.columns=a", "--out", run_}).code, 73);
  EXPECT_EQ(vem({"train", "gmm", "--data", data_, "--set", "data.columns=a", "--out", run_, "--force"}).code, 0);
}

TEST_F(OneWriter, AnEditedConfigurationIsRefusedByName) {
  train();
  const std::string config = run_ + "/config.toml";
  replace(config, "batch_size = 10", "batch_size = 5");
  for (const Outcome& outcome : {resume(), vem({"evaluate", run_})}) {
    EXPECT_EQ(outcome.code, 78);
    EXPECT_NE(outcome.err.find("config.toml: train.batch_size is 5, but "), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(".safetensors was written with 10"), std::string::npos) << outcome.err;
  }
  replace(config, "batch_size = 5", "batch_size = 10");
  replace(config, "seed = 0", "seed = 1");
  EXPECT_EQ(resume().code, 78);
  replace(config, "seed = 1", "seed = 0");
  replace(config, "epochs = 3", "epochs = 4");  // may change
  EXPECT_EQ(resume().code, 0);
}

TEST_F(OneWriter, OtherDataOfTheSameShapeAreRefused) {
  train();
  const std::string text = read_bytes(data_);
  const size_t digit = text.find_first_of("123456789", text.find('\n'));
  std::string other = text;
  other[digit] = other[digit] == '1' ? '2' : '1';
  std::ofstream(data_) << other;
  const Outcome outcome = resume();
  EXPECT_EQ(outcome.code, 65);
  EXPECT_NE(outcome.err.find("x.csv: has changed since the run began: as many items of the same shape"),
            std::string::npos)
      << outcome.err;
  std::ofstream(data_) << text;
  EXPECT_EQ(resume().code, 0);
}

TEST_F(OneWriter, ARunWithoutACheckpointSaysNotYet) {
  train();
  std::filesystem::remove_all(run_ + "/checkpoints");
  const Outcome outcome = vem({"evaluate", run_});
  EXPECT_EQ(outcome.code, 66);
  EXPECT_NE(outcome.err.find(run_ + ": has no checkpoint last yet; "), std::string::npos) << outcome.err;
}

}  // namespace one_writer_test
}  // namespace vem
