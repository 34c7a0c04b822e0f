// k-means: blobs are recovered, weights are repetitions, emptied clusters move, threads change no bit.
#include "vem/infer/kmeans.h"

#include <gtest/gtest.h>

#include "vem/core/error.h"

namespace vem {
namespace kmeans_test {

Tensor index(int64_t n) { return at::arange(n, at::kLong); }
Tensor ones(int64_t n) { return at::ones({n}, at::kDouble); }

/// Rows n with n mod 5 around five corners, ten standard deviations apart.
Tensor corners(int64_t n) {
  const Tensor centers = at::tensor({0., 0., 10., 0., 0., 10., 10., 10., 20., 20.}, at::kDouble).view({5, 2});
  return centers.index_select(0, index(n).remainder(5)) + Rng(1).normal(index(n), {2}, "x");
}

TEST(KMeans, RecoversBlobsFromEverySeed) {
  const Tensor x = corners(1000), truth = index(1000).remainder(5);
  int recovered = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const KMeans result = kmeans(x, ones(1000), 5, Rng(seed));
    EXPECT_EQ(result.centers.size(0), 5);
    bool pure = true;
    for (int64_t k = 0; k < 5; ++k) {
      const Tensor members = truth.index_select(0, result.labels.eq(k).nonzero().squeeze(-1));
      pure = pure && members.numel() > 0 && at::equal(members, members[0].expand_as(members));
    }
    recovered += pure ? 1 : 0;
  }
  EXPECT_GE(recovered, 40);  // D^2 seeding may still put two seeds into one blob
}

TEST(KMeans, IsAFixedPointOfLloyd) {
  const Tensor x = corners(500);
  const KMeans result = kmeans(x, ones(500), 7, Rng(2));
  EXPECT_TRUE(at::equal(result.labels, nearest_center(x, x.size(0), result.centers)));
  double inertia = 0;
  for (int64_t k = 0; k < 7; ++k) {
    const Tensor rows = x.index_select(0, result.labels.eq(k).nonzero().squeeze(-1));
    EXPECT_TRUE(at::allclose(rows.mean(0), result.centers[k], 1e-12, 1e-12));
    inertia += (rows - result.centers[k]).square().sum().item<double>();
  }
  EXPECT_NEAR(result.inertia, inertia, 1e-9 * inertia);
}

TEST(KMeans, WholeWeightsAreRepeatedRows) {
  const Tensor x = corners(300), times = index(300).remainder(3);
  const Tensor rows = at::repeat_interleave(times);
  const KMeans a = kmeans(x, times.to(at::kDouble), 5, Rng(3)),
               b = kmeans(x.index_select(0, rows), ones(rows.size(0)), 5, Rng(3));
  EXPECT_TRUE(at::equal(a.labels.index_select(0, rows), b.labels));
  EXPECT_TRUE(at::allclose(a.centers, b.centers, 1e-12, 1e-12));
  EXPECT_NEAR(a.inertia, b.inertia, 1e-9 * a.inertia);
}

TEST(KMeans, EveryDistinctRowCanBeACentre) {
  const Tensor x = at::tensor({0., 0., 1., 1., 5., 5., 5., 9.}, at::kDouble).view({8, 1});
  for (uint64_t seed = 0; seed < 20; ++seed) EXPECT_EQ(kmeans(x, ones(8), 4, Rng(seed)).inertia, 0);
}

TEST(KMeans, TooFewDistinctRowsAreAnError) {
  try {
    kmeans(at::zeros({10, 2}, at::kDouble), ones(10), 3, Rng(1));
    FAIL() << "no error";
  } catch (const DataError& e) {
    EXPECT_STREQ(e.what(), "k-means: 1 distinct rows are too few for 3 clusters");
  }
}

TEST(KMeans, ThreadsChangeNoBit) {
  const Tensor x = corners(20000);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const KMeans one = kmeans(x, ones(20000), 6, Rng(4), 5);
  at::set_num_threads(2);
  const KMeans two = kmeans(x, ones(20000), 6, Rng(4), 5);
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(one.centers, two.centers));
  EXPECT_TRUE(at::equal(one.labels, two.labels));
  EXPECT_EQ(one.inertia, two.inertia);
}

}  // namespace kmeans_test
}  // namespace vem
