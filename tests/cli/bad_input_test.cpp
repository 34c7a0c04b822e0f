// Bad input: a clear message, the right exit code, and nothing half-written.
#include <gtest/gtest.h>

#include "support/command_line.h"
#include "support/places.h"
#include "vem/data/writers.h"

namespace vem {
namespace bad_input_test {

namespace fs = std::filesystem;

class BadInput : public ::testing::Test {
 protected:
  /// Trains on a file that is no good: the error, and no trace of a run.
  void expect_refused(const std::string& model, const std::string& data, int code, const std::string& text) {
    const Outcome outcome = vem({"train", model, "--data", data, "--out", run()});
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(("\n" + outcome.err).find("\nvem: " + text + "\n"), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(run()));
  }
  std::string run() const { return folder_.file("run"); }
  /// A small mixture, trained.
  std::string trained(const std::string& name) {
    const std::string out = folder_.file(name);
    const Outcome outcome = vem({"train", "gmm", "--data", folder_.write("ok.csv", "a,b\n1,2\n2,1\n4,5\n5,3\n6,1\n"),
                                 "--out", out, "--set", "model.num_components=1"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return out;
  }

  TemporaryFolder folder_;
};

TEST_F(BadInput, MissingFile) {
  const std::string path = folder_.file("none.csv");
  expect_refused("gmm", path, 66,
                 "data.source: no such file: " + path + "; the named sets are fashion-mnist and mnist:DIR");
}

TEST_F(BadInput, TruncatedIdx) {
  const std::string path = folder_.write("idx", idx_bytes({10, 4, 4}).substr(0, 100));
  expect_refused("vae", path, 65, path + ": truncated: got 100 bytes, 176 are wanted");
}

TEST_F(BadInput, TextCellNamesItsLine) {
  const std::string path = folder_.write("t.csv", "a,b\n1,2\n3,four\n");
  expect_refused("gmm", path, 65,
                 path + ":3: column 'b' holds 'four', a number is expected; data.columns names the columns to read");
}

TEST_F(BadInput, RaggedRowNamesItsLine) {
  const std::string path = folder_.write("t.csv", "a,b\n1,2\n3\n");
  expect_refused("gmm", path, 65, path + ":3: has 1 cells, 2 are expected");
}

TEST_F(BadInput, NumbersOutsideTheSupportOfALikelihood) {
  Tensor x = at::full({30, 2}, 0.5, at::kDouble);
  x[3][0] = std::nan("");  // missing
  x[17][1] = -2;
  write_npy(folder_.file("x.npy"), x);
  const Outcome outcome =
      vem({"train", "vae", "--data", folder_.file("x.npy"), "--out", run(), "--set", "data.validation=0"});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_NE(outcome.err.find("vem: vae: feature 1 is -2 in row 18, but likelihood bernoulli needs numbers in [0, 1]"),
            std::string::npos)
      << outcome.err;
  EXPECT_FALSE(fs::exists(run()));
}

TEST_F(BadInput, LabelsAsImages) {
  const std::string path = folder_.write("labels-idx1-ubyte", idx_bytes({10}));
  expect_refused("vae", path, 65, path + ": holds labels (IDX magic 0x00000801), images (0x00000803) are expected");
}

TEST_F(BadInput, ExistingRunAndForce) {
  const std::string out = trained("done");
  const std::string before = read_bytes(out + "/metrics.jsonl");
  const Outcome refused = vem({"train", "gmm", "--data", folder_.file("ok.csv"), "--out", out});
  EXPECT_EQ(refused.code, 73);
  EXPECT_EQ(refused.err, "vem: " + out + ": holds a run already; --resume " + out +
                             " goes on with it, --force replaces it, --out names another folder\n");
  // Bad data leave the old run as it was, --force or not.
  EXPECT_EQ(vem({"train", "gmm", "--data", folder_.file("none.csv"), "--out", out, "--force"}).code, 66);
  EXPECT_EQ(read_bytes(out + "/metrics.jsonl"), before);
  EXPECT_EQ(vem({"train", "gmm", "--data", folder_.file("ok.csv"), "--out", out, "--force"}).code, 0);
}

TEST_F(BadInput, CheckpointOfAnotherModel) {
  const std::string out = trained("one"), images = write_images(folder_, "images.npy", 60);
  ASSERT_EQ(vem({"train", "vae", "--data", images, "--out", folder_.file("two"), "--set", "train.epochs=1"}).code, 0);
  for (const char* name : {"best", "last"}) {
    const std::string file = fmt::format("/checkpoints/{}.safetensors", name);
    fs::copy_file(folder_.file("two") + file, out + file, fs::copy_options::overwrite_existing);
  }
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"evaluate", out}, {"train", "--resume", out}}) {
    const Outcome outcome = vem(arguments);
    EXPECT_EQ(outcome.code, 78) << outcome.err;
    EXPECT_NE(outcome.err.find("config.toml: model.kind is \"mixture\", but "), std::string::npos) << outcome.err;
  }
}

TEST_F(BadInput, TruncatedCheckpoint) {
  const std::string out = trained("one"), file = out + "/checkpoints/best.safetensors";
  fs::resize_file(file, fs::file_size(file) - 9);
  const Outcome outcome = vem({"evaluate", out});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_EQ(outcome.err.rfind("vem: " + file + ": its tensors take ", 0), 0u) << outcome.err;
  EXPECT_NE(outcome.err.find("it is cut off"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(out + "/evaluation.json"));
}

TEST_F(BadInput, UnwritableOutput) {
  const std::string file = folder_.write("file", "x"), data = folder_.write("ok.csv", "a,b\n1,2\n2,1\n4,5\n");
  const Outcome outcome = vem({"train", "gmm", "--data", data, "--out", file + "/run"});
  EXPECT_EQ(outcome.code, 73);
  EXPECT_EQ(outcome.err, "vem: " + file + "/run: can not be created: " + file + " is a file\n");
  const std::string out = trained("one");
  EXPECT_EQ(vem({"sample", out, "--out", file + "/s.csv"}).code, 73);
  EXPECT_EQ(vem({"export", out, "--out", file + "/m.pt"}).code, 73);
}

TEST_F(BadInput, FullDisk) {
  // A file may grow to 4 kB: the checkpoint does not fit. Where a disk is really full the errno differs, the path is
  // the same.
  const std::string images = write_images(folder_, "images.npy", 60);
  const std::string command = fmt::format(
      "trap '' XFSZ; ulimit -f 8; exec '{}' train vae --data '{}' --out '{}' --threads 1 --set train.epochs=1",
      built_program(), images, run());
  const int process = start_program("/bin/sh", {"-c", command});
  EXPECT_EQ(wait_for_program(process), 73);
  EXPECT_TRUE(fs::exists(run() + "/config.toml"));
  EXPECT_TRUE(fs::is_empty(run() + "/checkpoints"));  // no half-written file, no temporary one
}

TEST_F(BadInput, MethodsThatAModelLacksAndPicturesOfTables) {
  const std::string out = trained("one");
  const Outcome outcome = vem({"reconstruct", out});
  EXPECT_EQ(outcome.code, 64);
  EXPECT_EQ(outcome.err.rfind("vem: mixture has no 'reconstruct'; it has: log_prob, ", 0), 0u) << outcome.err;
  const Outcome picture = vem({"sample", out, "--out", folder_.file("s.png")});
  EXPECT_EQ(picture.code, 64);
  EXPECT_EQ(picture.err, "vem: " + folder_.file("s.png") + ": items of shape [2] are no images; write .npy or .csv\n");
  EXPECT_FALSE(fs::exists(folder_.file("s.png")));
}

TEST_F(BadInput, OtherShapes) {
  const std::string out = trained("one");
  write_npy(folder_.file("wide.npy"), at::zeros({4, 3}, at::kDouble));
  const Outcome outcome = vem({"evaluate", out, "--data", folder_.file("wide.npy")});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_EQ(outcome.err, "vem: " + folder_.file("wide.npy") + ": items have shape [3], the model was trained on [2]\n");
}

}  // namespace bad_input_test
}  // namespace vem
