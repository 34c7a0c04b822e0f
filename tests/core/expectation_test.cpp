// Expectations add up, and survive the trip through flat buffers.
#include "vem/core/expectation.h"

#include <gtest/gtest.h>

#include "vem/core/error.h"

namespace vem {
namespace expectation_test {

Expectation example(double x) {
  Expectation e;
  e.count = at::full({}, x, at::kDouble);
  e.bound = at::full({}, -x, at::kDouble);
  e.sums["a"] = at::full({2, 3}, x, at::kDouble);
  e.sums["b"] = at::full({4}, 2 * x, at::kFloat);
  e.metrics["kl"] = at::full({5}, 3 * x, at::kDouble);
  return e;
}

TEST(Expectation, AddsAndTakesAway) {
  Expectation e;
  e += example(1);
  e += example(2);
  EXPECT_EQ(e.count.item<double>(), 3);
  EXPECT_TRUE(at::equal(e.sums.at("b"), at::full({4}, 6, at::kFloat)));
  e -= example(2);
  EXPECT_TRUE(at::equal(e.metrics.at("kl"), at::full({5}, 3, at::kDouble)));
  EXPECT_EQ(e.bound.item<double>(), -1);
}

TEST(Expectation, LocalStateMustBeTakenOutFirst) {
  Expectation e = example(1), other = example(1);
  other.local["q"] = at::zeros({2});
  EXPECT_THROW(e += other, Error);
}

TEST(Expectation, PacksOneBufferADtypeAndBack) {
  const Expectation e = example(2);
  const auto buffers = e.pack();
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(buffers.at(at::kDouble).numel(), 1 + 1 + 6 + 5);
  EXPECT_EQ(buffers.at(at::kFloat).numel(), 4);
  Expectation back = example(0);
  back.unpack(buffers);
  EXPECT_TRUE(at::equal(back.sums.at("a"), e.sums.at("a")));
  EXPECT_TRUE(at::equal(back.sums.at("b"), e.sums.at("b")));
  EXPECT_TRUE(at::equal(back.metrics.at("kl"), e.metrics.at("kl")));
  EXPECT_TRUE(at::equal(back.bound, e.bound));
}

}  // namespace expectation_test
}  // namespace vem
