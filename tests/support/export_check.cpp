#include "support/export_check.h"
#include "support/places.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <set>

#include "support/temporary_folder.h"
#include "vem/data/writers.h"
#include "vem/train/exporter.h"

namespace vem {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kCount = 3;  // of every input that is a whole number
constexpr const char* kOffsets = "offsets";
constexpr const char* kPython = "/usr/bin/python3";

struct Outcome {
  int status;
  std::string output;
};

Outcome run(const std::string& command) {
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return {-1, "popen failed"};
  std::string output;
  std::array<char, 4096> block{};
  while (const size_t got = std::fread(block.data(), 1, block.size(), pipe)) output.append(block.data(), got);
  return {pclose(pipe), output};
}

bool is_integer(const Method& method, const std::string& input) {
  return std::find(method.integers.begin(), method.integers.end(), input) != method.integers.end();
}

/// The first items: a row each or, of ragged items, the rows up to the next one's offset.
std::vector<Tensor> arguments(const Method& method, const TensorMap& inputs, int64_t items) {
  const bool ragged = std::find(method.inputs.begin(), method.inputs.end(), kOffsets) != method.inputs.end();
  const int64_t rows = ragged ? inputs.at(kOffsets)[items].item<int64_t>() : items;
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < method.inputs.size(); ++i) {
    const std::string& name = method.inputs[i];
    if (is_integer(method, name))
      tensors.push_back(at::scalar_tensor(kCount, at::kLong));
    else if (const auto it = inputs.find(name); it != inputs.end())
      tensors.push_back(it->second.narrow(0, 0, name == kOffsets ? items + 1 : rows));
    else  // a latent of a graph, called as the user likes
      tensors.push_back(Rng(7).normal(at::arange(rows, at::kLong), {method.example.at(i).size(1)}, name,
                                      method.example.at(i).scalar_type()));
  }
  return tensors;
}

int64_t num_items(const TensorMap& inputs) {
  const auto offsets = inputs.find(kOffsets);
  if (offsets != inputs.end()) return offsets->second.size(0) - 1;
  int64_t most = 2;
  for (const auto& entry : inputs) most = std::max(most, entry.second.size(0));
  return most;
}

bool equal(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return at::allclose(x, y, 0, 0, true); });
}

void write_tensors(const fs::path& folder, const std::string& prefix, const std::vector<Tensor>& tensors) {
  for (size_t k = 0; k < tensors.size(); ++k)
    write_npy(folder / fmt::format("{}.{}.npy", prefix, k), tensors[k].detach().contiguous());
}

/// Writes what a method takes and gives; only the shapes where it draws random numbers, which another key tells.
void write_expected(const fs::path& folder, const Method& method, const TensorMap& inputs, int64_t items) {
  const std::vector<Tensor> in = arguments(method, inputs, items), out = method.call(in, Rng(1));
  write_tensors(folder, method.name + ".in", in);
  if (!method.draws || equal(out, method.call(in, Rng(2)))) return write_tensors(folder, method.name + ".out", out);
  std::vector<Tensor> shapes;
  for (const Tensor& tensor : out) shapes.push_back(at::tensor(tensor.sizes(), at::kLong));
  write_tensors(folder, method.name + ".shape", shapes);
}

/// Exports a model beside folders of expected numbers; returns the arguments for the two programs.
std::string write_case(const TemporaryFolder& top, const ExportCase& test) {
  const std::string file = top.file(test.name + ".pt");
  export_torchscript(*test.model, "name = \"" + test.name + "\"\n", file);
  const int64_t most = num_items(test.inputs);
  std::string words = file;
  for (const int64_t items : std::set<int64_t>{1, std::min<int64_t>(3, most), most}) {
    const fs::path folder = top.path() / fmt::format("{}-{}", test.name, items);
    fs::create_directory(folder);
    for (const Method& method : test.model->methods())
      if (method.exported()) write_expected(folder, method, test.inputs, items);
    words += " " + folder.string();
  }
  return words;
}

/// "parameter <file>: <name>" and "buffer <file>: <name>", a line a tensor, as both programs print them.
std::string expected_names(const ExportCase& test) {
  std::set<std::string> lines, parameters;
  for (const auto& block : test.model->blocks())
    if (!block->conjugate())
      for (const auto& entry : block->globals()) parameters.insert(entry.first);
  for (const auto& entry : test.model->state()) {
    if (entry.first.compare(0, 6, "model/") != 0) continue;
    const std::string name = entry.first.substr(6);
    lines.insert(fmt::format("{} {}: {}\n", parameters.count(name) ? "parameter" : "buffer", test.name, name));
  }
  return fmt::format("{}", fmt::join(lines, ""));
}

void expect_accepted(const std::string& command, const std::vector<ExportCase>& cases) {
  const Outcome outcome = run(command);
  EXPECT_EQ(outcome.status, 0) << command << "\n" << outcome.output;
  for (const ExportCase& test : cases)
    EXPECT_NE(outcome.output.find(expected_names(test)), std::string::npos)
        << expected_names(test) << "is expected in\n"
        << outcome.output;
}

}  // namespace

void expect_exports_match(const std::vector<ExportCase>& cases) {
  const TemporaryFolder folder;
  std::string words;
  for (const ExportCase& test : cases) words += " " + write_case(folder, test);
  expect_accepted(load_export_program() + words, cases);
  if (run(fmt::format("{} -c 'import torch, numpy'", kPython)).status != 0)
    GTEST_SKIP() << "apt: python3-torch is not installed, files were read from C++ only";
  expect_accepted(fmt::format("{} {}{}", kPython, tests_folder() + "/support/check_export.py", words), cases);
}

void expect_export_matches(const std::shared_ptr<const Model>& model, const TensorMap& inputs) {
  expect_exports_match({{"model", model, inputs}});
}

}  // namespace vem
