// Exported hidden Markov models against the program: densities and best paths of sequences of other lengths.
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include "support/amortised.h"
#include "support/models.h"
#include "support/temporary_folder.h"
#include "vem/train/exporter.h"

namespace vem {
namespace hmm_export_test {

TEST(HmmExport, DensitiesAndPathsAreTheSameElsewhere) {
  const Dataset data = sample_data(Sample::sequences);
  const Batch batch = data.batch(at::arange(data.size, at::kLong), 0, at::kDouble);
  const TemporaryFolder folder;
  for (const std::string estimate : {"ml", "posterior"})
    for (const std::string chain : {"", ", topology = \"left-right\", max_step = 1, start = \"first\"",
                                    ", topology = \"left-right\", start = \"uniform\"", ", state_components = 2",
                                    "}\nobservation = {kind = \"autoregressive\", order = 2"}) {
      const auto model = make_model("[model]\nkind = \"hmm\"\nnum_components = 3\nestimate = \"" + estimate +
                                        "\"\nallocation = {kind = \"markov-chain\"" + chain + "}\n",
                                    data);
      FitOptions options;
      options.epochs = 5;
      fit(*model, data, options, {plugins()});
      const std::string path = folder.file("model.pt");
      export_torchscript(*model, "", path);
      const torch::jit::Module module = torch::jit::load(path);
      const at::NoGradGuard off;
      for (const std::string name : {"log_prob", "predict"}) {
        const auto methods = model->methods();
        const Tensor ours = Model::find(methods, name)->call({batch.at("x"), batch.offsets}, Rng(0))[0];
        const Tensor theirs = module.get_method(name)({batch.at("x"), batch.offsets}).toTensor();
        EXPECT_LT(difference(ours, theirs), 1e-9) << name << chain << estimate;
      }
      const auto drawn = module.get_method("sample")({int64_t{20}}).toTuple();
      EXPECT_EQ(drawn->elements()[0].toTensor().sizes(), at::IntArrayRef({20, 3}));
      EXPECT_LT(drawn->elements()[1].toTensor().max().item<int64_t>(), 3);
    }
}

// Exported normal rows take complete ones: from a row with a gap on there is no path.
TEST(HmmExport, ARowWithAGapEndsThePath) {
  const Dataset data = sample_data(Sample::sequences);
  const auto model = make_model("[model]\nkind = \"hmm\"\nnum_components = 3\n", data);
  FitOptions options;
  options.epochs = 2;
  fit(*model, data, options, {plugins()});
  const TemporaryFolder folder;
  const std::string path = folder.file("model.pt");
  export_torchscript(*model, "", path);
  const torch::jit::Module module = torch::jit::load(path);
  const at::NoGradGuard off;
  const Tensor x = data.columns.at("x").slice(0, 0, 6).to(at::kDouble).clone(),
               offsets = at::tensor({0, 4, 6}, at::kLong);
  const Tensor whole = module.get_method("predict")({x, offsets}).toTensor();
  x[2][1] = std::nan("");
  const Tensor cut = module.get_method("predict")({x, offsets}).toTensor();
  EXPECT_TRUE(at::equal(cut.lt(0), at::tensor({0, 0, 1, 1, 0, 0}, at::kLong).to(at::kBool))) << cut;
  EXPECT_TRUE(at::equal(cut.slice(0, 4), whole.slice(0, 4)));
}

}  // namespace hmm_export_test
}  // namespace vem
