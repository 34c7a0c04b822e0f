// Values and gradients of torch.distributions and mpmath: tests/golden/distributions.txt, written by distributions.py.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/distribution_table.h"
#include "support/places.h"
#include "vem/dist/kl.h"

namespace vem {
namespace golden_test {

/// "case ROW" or "divergence ROW ROW", and its tensors by key.
struct Block {
  std::string title;
  std::vector<std::string> rows;
  TensorMap values;
  bool wide = false;  // sums of terms far larger than themselves: float64 only
};

std::vector<Block> blocks() {
  std::ifstream file(tests_folder() + "/golden/distributions.txt");
  std::vector<Block> result;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    if (key == "case" || key == "divergence") {
      result.push_back({line, {}, {}, false});
      while (words >> word) result.back().rows.push_back(word);
      continue;
    }
    if (key == "wide") {
      result.back().wide = true;
      continue;
    }
    Shape shape;
    std::vector<double> numbers;
    while (words >> word && word != ":") shape.push_back(std::stoll(word));
    while (words >> word) numbers.push_back(std::stod(word));
    result.back().values[key] = at::tensor(numbers, at::kDouble).view(shape);
  }
  return result;
}

Parameters parameters(const Block& block, const std::string& prefix, at::ScalarType dtype) {
  Parameters result;
  for (size_t i = 0; block.values.count(prefix + std::to_string(i)) != 0; ++i)
    result.push_back(block.values.at(prefix + std::to_string(i)).to(dtype, false, true).requires_grad_());
  return result;
}

class Golden : public testing::TestWithParam<at::ScalarType> {
 protected:
  void compare(const Block& block, const std::string& key, const Tensor& got) const {
    const auto wanted = block.values.find(key);
    if (wanted == block.values.end() || !got.defined()) return;
    ++compared_;
    EXPECT_TRUE(at::allclose(got.detach().to(at::kDouble), wanted->second, tolerance(), tolerance(), true))
        << block.title << ", " << key << ":\n"
        << got << "\n"
        << wanted->second << "\n"
        << block.values.at("p0");
  }
  void gradients(const Block& block, const Tensor& value, Parameters inputs, const Parameters& x = {}) const {
    const size_t n = inputs.size();
    inputs.insert(inputs.end(), x.begin(), x.end());
    const auto g = torch::autograd::grad({value.sum()}, inputs, {}, false, false, true);
    for (size_t i = 0; i < g.size(); ++i) compare(block, i < n ? "d_" + std::to_string(i) : "d_x", g[i]);
  }
  // Float64: a dozen roundings. Float32: the same, times what lgamma, log and sums of the far tails amplify.
  double tolerance() const { return GetParam() == at::kDouble ? 1e-10 : 2e-5; }
  mutable int compared_ = 0;
};

TEST_P(Golden, ValuesAndGradients) {
  for (const Block& block : blocks()) {
    if (block.wide && GetParam() == at::kFloat) continue;
    const Parameters p = parameters(block, "p", GetParam());
    const auto q = row(block.rows[0]).make(p);
    if (block.rows.size() == 2) {
      const Parameters other = parameters(block, "q", GetParam());
      const Tensor value = kl(*q, *row(block.rows[1]).make(other));
      ASSERT_TRUE(value.defined()) << block.title;
      compare(block, "kl", value);
      Parameters both(p);
      both.insert(both.end(), other.begin(), other.end());
      gradients(block, value, both);
      continue;
    }
    const Tensor x = block.values.at("x").to(GetParam(), false, true).requires_grad_(), log_prob = q->log_prob(x);
    compare(block, "log_prob", log_prob);
    compare(block, "mean", q->mean());
    compare(block, "variance", q->variance());
    compare(block, "entropy", q->entropy());
    gradients(block, log_prob, p, {x});
  }
  EXPECT_GT(compared_, 150);
}

INSTANTIATE_TEST_SUITE_P(Types, Golden, testing::Values(at::kDouble, at::kFloat), [](const auto& info) {
  return std::string(info.param == at::kDouble ? "float64" : "float32");
});

}  // namespace golden_test
}  // namespace vem
