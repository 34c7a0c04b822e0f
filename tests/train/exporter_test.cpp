// Exports: names and methods of the file, any number of rows, fresh processes in C++ and Python, faults and their
// words.
#include "vem/train/exporter.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <csignal>
#include <set>

#include "support/export_check.h"
#include "support/export_model.h"
#include "support/models.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/infer/factored.h"
#include "vem/models/registry.h"
#include "vem/train/fit.h"
#include "vem/train/safetensors.h"

namespace vem {
namespace exporter_test {

Tensor rows(int64_t n, int64_t columns, at::ScalarType dtype = at::kFloat) {
  return Rng(8).normal(at::arange(n, at::kLong), {columns}, "rows", dtype);
}

class Exporter : public testing::Test {
 protected:
  torch::jit::Module exported(const Model& model, torch::jit::ExtraFilesMap* extra = nullptr) const {
    export_torchscript(model, "seed = 5\n", path());
    torch::jit::ExtraFilesMap none;
    return torch::jit::load(path(), {}, extra ? *extra : none);
  }
  std::string path() const { return folder_.file("model.pt"); }

  TemporaryFolder folder_;
  std::shared_ptr<Model> model_ = make_export_model();
};

TEST_F(Exporter, TellsParametersFromBuffersByTheModelsNames) {
  const torch::jit::Module module = exported(*model_);
  std::set<std::string> parameters, buffers;
  for (const auto& p : module.named_parameters()) parameters.insert(p.name);
  for (const auto& b : module.named_buffers()) buffers.insert(b.name);
  EXPECT_EQ(parameters, (std::set<std::string>{"encoder.hidden.0.weight", "encoder.hidden.0.bias", "decoder.weight",
                                               "decoder.bias"}));
  EXPECT_EQ(buffers, (std::set<std::string>{"scaling.center", "weights.eta", "weights.eta_prior", "weights.t"}));
  const TensorMap state = model_->state();
  for (const auto& p : module.named_parameters()) EXPECT_TRUE(at::equal(p.value, state.at("model/" + p.name)));
  for (const auto& b : module.named_buffers()) {
    EXPECT_TRUE(at::equal(b.value, state.at("model/" + b.name)));
    EXPECT_FALSE(b.value.requires_grad()) << b.name;
  }
}

TEST_F(Exporter, LeavesTheModelAsItWas) {
  const TensorMap globals = model_->globals();
  exported(*model_);
  for (const auto& [name, tensor] : model_->globals()) {
    EXPECT_TRUE(tensor.is_same(globals.at(name))) << name;
    EXPECT_TRUE(tensor.requires_grad()) << name;
  }
}

TEST_F(Exporter, MethodsReadTheFilesOwnTensors) {
  const torch::jit::Module module = exported(*model_);
  const Tensor z = rows(3, 2), before = module.get_method("decode")({z}).toTensor();
  const at::NoGradGuard no_grad;
  for (const auto& p : module.named_parameters())
    if (p.name == "decoder.bias") p.value.add_(1);
  EXPECT_TRUE(at::allclose(module.get_method("decode")({z}).toTensor(), before + 1));
}

TEST_F(Exporter, HasTheMethodsWithAnExampleTheDrawsAndForward) {
  const torch::jit::Module module = exported(*model_);
  std::set<std::string> names;
  for (const auto& method : module.get_methods()) names.insert(method.name());
  EXPECT_EQ(names, (std::set<std::string>{"encode", "decode", "reconstruct", "weigh", "weights_of_latents", "sample",
                                          "sample_at", "forward"}));
  const Tensor x = rows(6, 3);
  const Method reconstruct = *Model::find(model_->methods(), "reconstruct");
  torch::jit::Module callable = module;
  EXPECT_TRUE(at::allclose(callable.forward({x}).toTensor(), reconstruct.call({x}, Rng(0))[0]));
  EXPECT_EQ(module.get_method("sample")({int64_t{9}}).toTensor().sizes(), (Shape{9, 3}));
}

TEST_F(Exporter, DrawsAnewForAnyNumberOfRows) {
  const torch::jit::Module module = exported(*model_);
  at::manual_seed(1);
  const auto draw = [&](int64_t n) { return module.get_method("sample")({n}).toTensor(); };
  EXPECT_EQ(draw(0).sizes(), (Shape{0, 3}));
  EXPECT_FALSE(at::equal(draw(4), draw(4)));
  const int64_t n = 20000;
  const Tensor theirs = draw(n),
               ours = Model::find(model_->methods(), "sample")->call({at::scalar_tensor(n, at::kLong)}, Rng(2))[0];
  EXPECT_EQ(theirs.scalar_type(), at::kFloat);
  const Tensor error = (2 * ours.var(0) / static_cast<double>(n)).sqrt();
  EXPECT_LT(((theirs.mean(0) - ours.mean(0)).abs() / error).max().item<double>(), 4.5);
  EXPECT_LT((theirs.std(0) / ours.std(0) - 1).abs().max().item<double>(), 4.5 / std::sqrt(static_cast<double>(n)));
}

TEST_F(Exporter, HoldsTheConfiguration) {
  torch::jit::ExtraFilesMap extra{{"config.toml", ""}};
  exported(*model_, &extra);
  EXPECT_EQ(extra["config.toml"], "seed = 5\n");
}

TEST_F(Exporter, FreshProcessesComputeTheSame) {
  expect_export_matches(model_, {{"x", rows(7, 3)}, {"z", rows(7, 2)}});
}

TEST_F(Exporter, RefusesWhatAFileCanNotDo) {
  const auto words = [&](ExportFault fault) {
    return message_of<NumericError>([&] { export_torchscript(*make_export_model(fault), "", path()); });
  };
  EXPECT_EQ(words(ExportFault::name_of_a_tensor), "export: method encoder has the name of a tensor");
  EXPECT_EQ(words(ExportFault::frozen_draws),
            "export: method sample_at gives other numbers for 1 rows than the model; is a size frozen?");
  EXPECT_EQ(words(ExportFault::unseen_loop),
            "export: method sample_at fills memory in a loop, which a trace does not see");
  EXPECT_EQ(words(ExportFault::unknown_method).rfind("export: method encode can not be compiled: ", 0), 0u)
      << words(ExportFault::unknown_method);
  // What LibTorch says of the frozen size follows, and is its own.
  EXPECT_EQ(words(ExportFault::frozen_rows)
                .rfind("export: method decode can not be run for other rows than its example: ", 0),
            0u)
      << words(ExportFault::frozen_rows);
  EXPECT_EQ(folder_.num_entries(), 0);
}

TEST_F(Exporter, FullDiskLeavesTheOldFile) {
  folder_.write("model.pt", "old");
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};  // bytes: a write fails as on a full disk
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string torchscript = message_of<OutputError>([&] { export_torchscript(*model_, "", path()); });
  const std::string safetensors =
      message_of<OutputError>([&] { export_safetensors(*model_, std::string(2000, ' '), path()); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(torchscript, path() + ": can not be written: File too large");
  EXPECT_EQ(safetensors, path() + ": can not be written: File too large");
  EXPECT_EQ(read_bytes(path()), "old");
  EXPECT_EQ(folder_.num_entries(), 1);
}

TEST_F(Exporter, NamesTheFolderThatIsNotThere) {
  const std::string nowhere = folder_.file("none") + "/model.pt";
  EXPECT_EQ(message_of<OutputError>([&] { export_torchscript(*model_, "", nowhere); }),
            nowhere + ": can not be written: there is no folder " + folder_.file("none"));
}

TEST_F(Exporter, SafetensorsHasTheModelEntriesOnly) {
  export_safetensors(*model_, "seed = 5\n", path());
  const Safetensors file = load_safetensors(path());
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"config", "seed = 5\n"}, {"format", "vem-model"}}));
  TensorMap wanted;
  for (const auto& [key, tensor] : model_->state())
    if (key.rfind("model/", 0) == 0) wanted[key.substr(6)] = tensor;
  EXPECT_EQ(wanted.size(), 8u);
  EXPECT_EQ(difference(file.tensors, wanted), 0);
}

/// Every listed model, trained for a pass so that nothing is at its start.
std::vector<ExportCase> every_model(const std::string& precision) {
  std::vector<ExportCase> cases;
  for (const Variant& variant : variants(precision)) {
    if (variant.sample == Sample::gaps || variant.sample == Sample::gap_sequences) continue;  // the same files
    if (variant.sample == Sample::documents) continue;  // ragged inputs have a test of their own
    const Dataset data = sample_data(variant.sample);
    const auto model = make_model(variant.toml, data);
    FitOptions options;
    options.epochs = 1;
    fit(*model, data, options, {builtin_registry()});
    const Batch batch = data.batch(at::arange(data.size, at::kLong), 0, model->dtype());
    TensorMap inputs = batch.columns;
    inputs.at("x") = inputs.at("x").nan_to_num();  // exported methods of normal rows take complete ones
    for (const Method& method : model->methods())
      if (method.name.rfind("decode", 0) == 0 && !method.example.empty())
        for (const char* latent : {"z", "noise"})
          inputs[latent] = rows(data.size, method.example[0].size(1), method.example[0].scalar_type());
    if (batch.offsets.defined()) {
      inputs["offsets"] = batch.offsets;
      const Tensor x = inputs.at("x");  // autoregressive variants look two rows back
      inputs["rows"] = with_history([&](int64_t begin, int64_t end) { return x.slice(0, begin, end); }, batch.offsets,
                                    0, x.size(0), 2);
    }
    cases.push_back({variant.name, model, inputs});
  }
  return cases;
}

// A preset is its base with other numbers: a variant of either will do.
TEST(ExporterOfEveryModel, EveryListedOneHasAVariant) {
  const Registry registry = builtin_registry();
  const std::string head = "[model]\nkind = \"";
  std::set<std::string> tested;
  for (const Variant& variant : variants("float32")) {
    const std::string kind = variant.toml.substr(head.size(), variant.toml.find('"', head.size()) - head.size());
    tested.insert(registry.resolve("model", kind).name);
  }
  for (const Plugin* plugin : registry.list("model"))
    EXPECT_TRUE(tested.count(registry.resolve("model", plugin->name).name))
        << plugin->name << " needs a row in tests/support/models.cpp";
}

TEST(ExporterOfEveryModel, MatchesInFloat32) { expect_exports_match(every_model("float32")); }
TEST(ExporterOfEveryModel, MatchesInFloat64) { expect_exports_match(every_model("float64")); }

}  // namespace exporter_test
}  // namespace vem
