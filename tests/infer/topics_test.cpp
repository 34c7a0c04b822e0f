// Scores of topics against values worked out by hand, and matches against all permutations.
#include "vem/infer/topics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/lda_reference.h"
#include "support/models.h"

namespace vem {
namespace topics_test {

Batch all_of(const Dataset& data) { return data.batch(at::arange(data.size, at::kLong), 0, at::kDouble); }

/// Five documents; word 0 in {2, 3, 4}, word 1 in {3, 5}, word 2 in {1}, word 3 nowhere (documents counted from 1).
Batch five() {
  return all_of(documents_of_counts(
      at::tensor({0, 0, 1, 0, 2, 0, 0, 0, 1, 3, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0}, at::kDouble).view({5, 4})));
}

double only(const Tensor& score) { return score.item<double>(); }

TEST(Topics, CoherenceOfTwoWords) {
  const Coherence c = coherence(at::tensor({1, 0}, at::kLong).view({1, 2}), five());
  EXPECT_NEAR(only(c.umass), 0, 1e-12);  // log (1 + 1) / 2
  EXPECT_NEAR(only(c.pmi), -0.182321557, 1e-9);
  EXPECT_NEAR(only(c.npmi), -0.113282753, 1e-9);
  EXPECT_NEAR(only(coherence(at::tensor({0, 1}, at::kLong).view({1, 2}), five()).umass), std::log(2. / 3), 1e-12);
}

TEST(Topics, CoherenceOfWordsThatAreNeverTogetherOrNowhere) {
  const Coherence never = coherence(at::tensor({0, 2}, at::kLong).view({1, 2}), five());
  EXPECT_EQ(only(never.npmi), -1);
  EXPECT_NEAR(only(never.umass), std::log(1. / 3), 1e-12);
  EXPECT_NEAR(only(never.pmi), std::log(1e-12 * 25 / 3), 1e-9);
  const Coherence three = coherence(at::tensor({1, 0, 3}, at::kLong).view({1, 3}), five());
  EXPECT_NEAR(only(three.pmi), -0.182321557, 1e-9);  // pairs with word 3 are left out
  EXPECT_TRUE(std::isnan(only(coherence(at::tensor({1, 3}, at::kLong).view({1, 2}), five()).npmi)));
}

TEST(Topics, TopWordsAndDiversity) {
  const Tensor topics = at::tensor({.1, .6, .3, 0., .2, .3, .4, .1}, at::kDouble).view({2, 4});
  const Tensor words = top_words(topics, 2);
  EXPECT_TRUE(at::equal(words, at::tensor({1, 2, 2, 1}, at::kLong).view({2, 2})));
  EXPECT_EQ(topic_diversity(words), 0.5);
  EXPECT_EQ(topic_diversity(top_words(topics, 1)), 1);
  EXPECT_EQ(topic_diversity(top_words(topics, 4)), 0.5);
}

TEST(Topics, TheMatchIsTheBestOfAllPermutations) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Tensor a = Rng(seed).uniform(at::arange(5, at::kLong), {4}, "a"),
                 b = Rng(seed).uniform(at::arange(5, at::kLong), {4}, "b");
    const TopicMatch match = match_topics(a, b);
    double best = 0, ours = 0;
    std::vector<int64_t> order{0, 1, 2, 3, 4};
    const Tensor cosines = at::matmul(a / a.norm(2, {1}, true), (b / b.norm(2, {1}, true)).t());
    do {
      double sum = 0;
      for (int64_t k = 0; k < 5; ++k) sum += cosines[k][order[static_cast<size_t>(k)]].item<double>();
      best = std::max(best, sum);
    } while (std::next_permutation(order.begin(), order.end()));
    for (const double cosine : match.cosine) ours += cosine;
    EXPECT_NEAR(ours, best, 1e-12);
    std::vector<int64_t> sorted = match.partner;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, (std::vector<int64_t>{0, 1, 2, 3, 4}));
  }
}

// Another run's vocabulary may share no word with some of its topics: their rows are zero.
TEST(Topics, WithoutAWordInCommonAreLikeNoOther) {
  const Tensor a = at::eye(2, 3, at::kDouble), b = at::tensor({0., 0., 0., 1., 0., 0.}, at::kDouble).view({2, 3});
  const TopicMatch match = match_topics(a, b);
  EXPECT_EQ(match.partner, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(match.cosine, (std::vector<double>{1, 0}));
}

TEST(Topics, HalvesAddUpAndDependOnItemsAlone) {
  const Dataset data = sample_data(Sample::documents);
  const Batch batch = all_of(data);
  const Halves halves = halves_of(batch, Rng(3));
  const Tensor seen = dense_counts(halves.seen, 12), held = dense_counts(halves.held, 12),
               whole = dense_counts(batch, 12);
  EXPECT_EQ(difference(seen + held, whole), 0);
  EXPECT_EQ(difference((whole.sum(1) / 2).ceil(), seen.sum(1)), 0);
  EXPECT_GT((seen - held).abs().sum().item<double>(), 0);
  const Tensor some = at::tensor({17, 3, 40}, at::kLong);
  const Halves alone = halves_of(data.batch(some, 0, at::kDouble), Rng(3));
  EXPECT_EQ(difference(dense_counts(alone.seen, 12), seen.index_select(0, some)), 0);
  EXPECT_GT(difference(dense_counts(halves_of(batch, Rng(4)).seen, 12), seen), 0);
}

// Two documents whose tokens could not be listed: a billion of each of two words.
TEST(Topics, HalvesOfCountsInTheBillions) {
  Batch batch = all_of(documents_of_counts(at::ones({2, 2}, at::kDouble)));
  batch.columns["count"] = at::full({4}, 1000000001, at::kInt);
  const Halves halves = halves_of(batch, Rng(3));
  const Tensor seen = dense_counts(halves.seen, 2), held = dense_counts(halves.held, 2);
  EXPECT_EQ(difference(seen + held, at::full({2, 2}, 1000000001, at::kDouble)), 0);
  EXPECT_EQ(difference(seen.sum(1), at::full({2}, 1000000001, at::kDouble)), 0);
  // hypergeometric: a deviation of sqrt(1e9 / 8) = 11180; six of them, and not the mean itself in both documents
  EXPECT_LT((seen - 500000000.5).abs().max().item<double>(), 6 * 11181);
  EXPECT_GT((seen - 500000000.5).abs().max().item<double>(), 100);
}

}  // namespace topics_test
}  // namespace vem
