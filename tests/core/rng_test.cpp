// Random numbers: known answers, moments, and independence of everything but the key.
#include "vem/core/rng.h"

#include <gtest/gtest.h>

#include "../src/core/unit_interval.h"

namespace vem {
namespace rng_test {

Tensor items(int64_t n) { return at::arange(n, at::kLong); }

// Known answers published with Random123 (kat_vectors: philox4x32 10).
TEST(Rng, PhiloxGivesTheKnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffffull),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, ADrawDependsOnTheItemAndNotOnTheBatch) {
  const Rng rng(7);
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Tensor all = rng.normal(items(100), {3, 7}, "noise", type);
    const Tensor some = at::tensor({42, 3, 99}, at::kLong);
    EXPECT_TRUE(at::equal(rng.normal(some, {3, 7}, "noise", type), all.index_select(0, some)));
    const Tensor uniform = rng.uniform(items(100), {5}, "u", type);
    EXPECT_TRUE(at::equal(rng.uniform(some, {5}, "u", type), uniform.index_select(0, some)));
  }
}

TEST(Rng, StreamsEpochsFoldsAndPlacesDiffer) {
  const Rng rng(7);
  const Tensor base = rng.uniform(items(50), {4}, "a");
  EXPECT_FALSE(at::equal(base, rng.uniform(items(50), {4}, "b")));
  EXPECT_FALSE(at::equal(base, rng.at(1).uniform(items(50), {4}, "a")));
  EXPECT_FALSE(at::equal(base, rng.fold(1).uniform(items(50), {4}, "a")));
  EXPECT_FALSE(at::equal(base, Rng(8).uniform(items(50), {4}, "a")));
  EXPECT_FALSE(at::equal(base, rng.uniform(items(50), {4}, "a", at::kDouble, at::ones({50}, at::kLong))));
  EXPECT_TRUE(at::equal(base, rng.at(0).uniform(items(50), {4}, "a", at::kDouble, at::zeros({50}, at::kLong))));
}

TEST(Rng, TheNumberOfThreadsDoesNotMatter) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const Tensor one = Rng(3).normal(items(2000), {300}, "x", at::kFloat);
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(one, Rng(3).normal(items(2000), {300}, "x", at::kFloat)));
  at::set_num_threads(before);
}

// The bits at either end, since no test can wait for one draw in 2^53: log u and log (1 - u) have to be finite.
TEST(Rng, UniformNumbersAreInsideTheUnitInterval) {
  const uint64_t last = (1ull << 53) - 1;
  EXPECT_EQ(unit_53(0), 0x1.0p-54);
  EXPECT_EQ(unit_53(last), 1 - 0x1.0p-53);
  EXPECT_EQ(unit_53(last - 1), 1 - 0x1.0p-52);  // the middle lies half way, and the even neighbour is taken
  EXPECT_EQ(unit_53(1ull << 52), 0.5);
  EXPECT_EQ(unit_23(0), 0x1.0p-24f);
  EXPECT_EQ(unit_23((1u << 23) - 1), 1 - 0x1.0p-24f);
}

// 200,000 draws: five standard errors of each moment.
TEST(Rng, MomentsAreRight) {
  at::manual_seed(1);
  for (const Rng& rng : {Rng(1), Rng::recorded()}) {
    const Tensor u = rng.uniform(items(50000), {4}, "u"), z = rng.normal(items(50000), {4}, "z");
    const double n = 200000;
    EXPECT_GT(u.min().item<double>(), 0);
    EXPECT_LT(u.max().item<double>(), 1);
    EXPECT_NEAR(u.mean().item<double>(), 0.5, 5 * std::sqrt(1 / 12. / n));
    EXPECT_NEAR(u.var().item<double>(), 1 / 12., 5 * std::sqrt(1 / 180. / n));
    EXPECT_NEAR(z.mean().item<double>(), 0, 5 / std::sqrt(n));
    EXPECT_NEAR(z.var().item<double>(), 1, 5 * std::sqrt(2 / n));
    EXPECT_NEAR(z.pow(4).mean().item<double>(), 3, 5 * std::sqrt(96 / n));
    const Tensor lag = (z.select(1, 0) * z.select(1, 1)).mean();  // the two numbers of one Box-Muller pair
    EXPECT_NEAR(lag.item<double>(), 0, 5 / std::sqrt(50000.));
  }
}

TEST(Rng, RecordedDrawsHaveTheShapesAndTypesOfTheOthers) {
  const Rng rng = Rng::recorded().at(3).fold("purpose");
  EXPECT_TRUE(rng.is_recorded());
  EXPECT_FALSE(Rng(1).fold(2).at(3).is_recorded());
  for (const int64_t n : {0, 1, 7})
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble})
      for (const Shape& shape : {Shape{}, Shape{4}, Shape{2, 3}}) {
        const Tensor u = rng.uniform(items(n), shape, "u", dtype), z = rng.normal(items(n), shape, "z", dtype);
        EXPECT_EQ(u.sizes(), Rng(1).uniform(items(n), shape, "u", dtype).sizes());
        EXPECT_EQ(z.sizes(), u.sizes());
        EXPECT_EQ(u.scalar_type(), dtype);
        EXPECT_EQ(z.scalar_type(), dtype);
      }
  const Tensor coins = rng.bernoulli(items(20000), at::full({20000, 2}, 51, at::kByte), 255, "coin");
  EXPECT_EQ(coins.scalar_type(), at::kFloat);
  EXPECT_NEAR(coins.mean().item<double>(), 0.2, 5 * std::sqrt(.2 * .8 / 40000));
}

// A pair of normal numbers gives back the two 32-bit words that it came from, to a thousandth of their last bit: the
// logarithm, the root, sine and cosine are all exact to rounding.
TEST(Rng, NormalNumbersAreTheBoxMullerTransformOfWords) {
  const Tensor z = Rng(8).normal(items(500), {2, 32}, "z");
  const Tensor a = z.select(1, 0), b = z.select(1, 1),
               words = at::stack({at::exp(-0.5 * (a * a + b * b)), (at::atan2(b, a) / (2 * M_PI)).remainder(1)});
  const Tensor place = words * 4294967296.0 - 0.5;
  EXPECT_LT((place - place.round()).abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(at::equal(Rng(8).normal(items(500), {2, 32}, "z", at::kFloat), z.to(at::kFloat)));
}

TEST(Rng, CoinsAreUniformNumbersBelowAProbability) {
  const Tensor bytes = (Rng(3).uniform(items(40), {3, 29}, "x") * 256).to(at::kByte), place = items(40).remainder(7);
  const Tensor u = Rng(4).uniform(items(40), {3, 29}, "coin", at::kFloat, place);
  const Tensor expected = (u < bytes.to(at::kFloat) / 255).to(at::kFloat);
  EXPECT_TRUE(at::equal(Rng(4).bernoulli(items(40), bytes, 255, "coin", place), expected));
  EXPECT_TRUE(at::equal(Rng(4).bernoulli(items(40), bytes.to(at::kDouble), 255, "coin", place), expected));
}

TEST(Rng, GammaHasItsMeanAndVariance) {
  at::manual_seed(1);
  for (const Rng& rng : {Rng(5), Rng::recorded()})
    for (const double shape : {0.05, 0.4, 1.0, 7.5, 300.0}) {
      const Tensor g = rng.gamma(at::full({40000}, shape, at::kDouble), "g");
      // the variance of a squared deviation of a gamma is 2 a^2 + 6 a
      EXPECT_NEAR(g.mean().item<double>(), shape, 5 * std::sqrt(shape / 40000));
      EXPECT_NEAR(g.var().item<double>(), shape, 5 * std::sqrt((2 * shape * shape + 6 * shape) / 40000));
      EXPECT_GE(g.min().item<double>(), 0);
    }
}

TEST(Rng, APermutationHoldsEveryItemOnce) {
  const Tensor p = Rng(2).permutation(1000);
  EXPECT_TRUE(at::equal(std::get<0>(p.sort()), items(1000)));
  EXPECT_FALSE(at::equal(p, items(1000)));
  EXPECT_TRUE(at::equal(p, Rng(2).permutation(1000)));
  EXPECT_EQ(Rng(2).permutation(0).numel(), 0);
}

}  // namespace rng_test
}  // namespace vem
