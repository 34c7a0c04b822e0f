// vem export, and that Python reads both of its formats as experiments/python shows.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/command_line.h"
#include "support/places.h"
#include "vem/train/checkpoint.h"

namespace vem {
namespace export_test {

constexpr const char* kPython = "/usr/bin/python3";

int python(const std::vector<std::string>& arguments) { return wait_for_program(start_program(kPython, arguments)); }

/// Exports a run in both formats and gives them to the script.
void expect_python_reads(const std::string& run) {
  for (const std::string format : {"torchscript", "safetensors"}) {
    const Outcome outcome = vem({"export", run, "--format", format});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
  const std::string script = tests_folder() + "/../experiments/python/load_model.py";
  EXPECT_EQ(python({script, run + "/export/model.safetensors", run + "/export/model.pt"}), 0);
}

class Export : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kPython) || python({"-c", "import numpy, torch, tomllib"}) != 0)
      GTEST_SKIP() << "apt: python3-torch is not installed";
  }
  TemporaryFolder folder_;
};

TEST_F(Export, PythonReadsAMixture) {
  const std::string run = folder_.file("run"), table = folder_.write("table.csv", clusters_csv(60));
  const Outcome outcome = vem({"train", "gmm", "--data", table, "--out", run, "--set", "data.label=species"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_python_reads(run);
}

TEST_F(Export, PythonReadsAVaeWithAverages) {
  const std::string run = folder_.file("run");
  const Outcome outcome =
      vem({"train", "vae", "--data", write_images(folder_, "images.npy", 100), "--out", run, "--set",
           "data.binarize=dynamic", "--set", "train.epochs=2", "--set", "train.batch_size=20", "--set",
           "model.optimizer.average=0.9", "--set", "model.encoder.widths=[8]", "--set", "model.decoder.widths=[8]"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expect_python_reads(run);
  EXPECT_NE(vem({"export", run}).err.find("using the average of parameters (optimizer.average)"), std::string::npos);
  const TensorMap state = load_checkpoint(run + "/checkpoints/best.safetensors").state;
  const std::string name = "decoder.hidden.0.weight";
  const Tensor exported = load_safetensors(run + "/export/model.safetensors").tensors.at(name);
  EXPECT_TRUE(at::equal(exported, state.at("optimizer/average/" + name)));
  EXPECT_FALSE(at::equal(exported, state.at("model/" + name)));
}

}  // namespace export_test
}  // namespace vem
