// Nobody listens any more: standard streams that are full, closed or without a reader end no training, and results that
// could not be written are no success.
#include <gtest/gtest.h>

#include <csignal>

#include "support/command_line.h"
#include "support/places.h"

namespace vem {
namespace streams_test {

class Streams : public testing::Test {
 protected:
  /// The exit code that the shell gives for a command line in which VEM stands for the program.
  int shell(std::string line) const {
    for (size_t at; (at = line.find("VEM")) != std::string::npos;) line.replace(at, 3, built_program());
    const int status = std::system(("cd " + folder_.path().string() + " && { " + line + "; }").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  bool trained(const std::string& run) const {
    return std::filesystem::exists(folder_.path() / run / "checkpoints" / "last.safetensors");
  }

  TemporaryFolder folder_;
  const std::string data_ = folder_.write("x.csv", clusters_csv(10));
};

const std::string kTrain = "VEM train gmm --data x.csv --set data.columns=a --threads 1 --set model.num_components=1 ";

TEST_F(Streams, TrainingGoesOnWithoutStandardError) {
  EXPECT_EQ(shell(kTrain + "--out full >o 2>/dev/full"), 0);
  EXPECT_TRUE(trained("full"));
  EXPECT_EQ(shell(kTrain + "--out closed >o 2>&-"), 0);
  EXPECT_TRUE(trained("closed"));
  EXPECT_EQ(shell("{ " + kTrain + "--out piped 2>&1 >o; echo $? >code; } | true; test $(cat code) = 0"), 0);
  EXPECT_TRUE(trained("piped"));
  // No file of the run was opened in the place of the closed stream, where messages would have gone into it.
  EXPECT_EQ(read_bytes(folder_.file("closed/config.toml")).find("epoch 1/"), std::string::npos);
}

TEST_F(Streams, ResultsThatAreLostAreNoSuccess) {
  EXPECT_EQ(shell("VEM list >/dev/full 2>e"), 73);
  EXPECT_EQ(read_bytes(folder_.file("e")), "vem: standard output: No space left on device\n");
  EXPECT_EQ(shell("VEM list >&- 2>e"), 73);
  EXPECT_EQ(read_bytes(folder_.file("e")), "vem: standard output: Bad file descriptor\n");
  EXPECT_EQ(shell(kTrain + "--out r >/dev/full 2>e"), 73);
  EXPECT_TRUE(trained("r"));
  EXPECT_EQ(shell("VEM frobnicate >o 2>/dev/full"), 64);
}

TEST_F(Streams, AReaderThatHasSeenEnoughIsNoError) {
  EXPECT_EQ(shell("{ VEM list 2>e; echo $? >code; } | true; test $(cat code) = 141 -o $(cat code) = 0"), 0);
  EXPECT_EQ(read_bytes(folder_.file("e")), "");
}

}  // namespace streams_test
}  // namespace vem
