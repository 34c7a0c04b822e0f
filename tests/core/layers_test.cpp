// The direction of the arrows: core <- data, dist <- infer <- train <- models <- cli, read from the includes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "support/places.h"

namespace layers_test {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"core", {"core"}},
    {"data", {"core", "data"}},
    {"dist", {"core", "dist"}},
    {"infer", {"core", "data", "dist", "infer"}},
    {"train", {"core", "data", "dist", "infer", "train"}},
    {"models", {"core", "data", "dist", "infer", "train", "models"}},
    {"cli", {"core", "data", "dist", "infer", "train", "models", "cli"}},
};

/// The layer of a source file: the first folder below include/vem or src, or "models".
std::string layer_of(const fs::path& file, const fs::path& root) {
  const fs::path relative = file.lexically_relative(root);
  auto part = relative.begin();
  if (*part == "models") return "models";
  std::advance(part, *part == "include" ? 2 : 1);
  return part->string();
}

TEST(Layers, NoArrowPointsBack) {
  const fs::path root = fs::path(vem::tests_folder()).parent_path();
  const std::regex include("^#include \"vem/([a-z]+)/");
  int files = 0;
  for (const char* top : {"include", "src", "models"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const fs::path& path = entry.path();
      if (path.extension() != ".h" && path.extension() != ".cpp") continue;
      const std::string layer = layer_of(path, root);
      ASSERT_TRUE(kMayInclude.count(layer)) << path << " is in no known layer: " << layer;
      ++files;
      std::ifstream in(path);
      std::smatch match;
      for (std::string line; std::getline(in, line);) {
        if (!std::regex_search(line, match, include)) continue;
        EXPECT_TRUE(kMayInclude.at(layer).count(match[1])) << path << " (" << layer << ") includes " << match[1];
      }
    }
  }
  EXPECT_GT(files, 40);
}

// <torch/torch.h> costs 13 seconds a file; public headers pay 1.6 for <ATen/core/Tensor.h>.
TEST(Layers, NoPublicHeaderIncludesAllOfTorch) {
  const fs::path root = fs::path(vem::tests_folder()).parent_path() / "include";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".h") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      EXPECT_EQ(line.find("#include <torch/"), std::string::npos) << entry.path();
      EXPECT_EQ(line.find("#include <ATen/ATen.h"), std::string::npos) << entry.path();
    }
  }
}

}  // namespace layers_test
