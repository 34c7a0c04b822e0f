// Golden values: sklearn.metrics 1.9.1, normalized_mutual_info_score and adjusted_rand_score.
#include "vem/infer/clustering.h"

#include <gtest/gtest.h>

#include "vem/core/error.h"

namespace vem {
namespace clustering_test {

Tensor groups(std::initializer_list<int64_t> values) { return at::tensor(std::vector<int64_t>(values), at::kLong); }

TEST(Clustering, NamesOfClustersMeanNothing) {
  const auto scores = clustering_scores(groups({2, 2, 0, 0, 1, 1}), groups({0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(scores.accuracy, 1);
  EXPECT_NEAR(scores.mutual_information, 1, 1e-12);
  EXPECT_EQ(scores.rand_index, 1);
}

TEST(Clustering, GoldenValues) {
  const auto scores = clustering_scores(groups({0, 0, 0, 1, 1, 1, 2, 2, 3, 3}), groups({0, 0, 1, 1, 1, 2, 2, 2, 2, 0}));
  EXPECT_NEAR(scores.mutual_information, 0.46301296975168893, 1e-12);
  EXPECT_NEAR(scores.rand_index, 0.11016949152542373, 1e-12);
  EXPECT_NEAR(scores.accuracy, .6, 1e-12);  // 0 with 0, 1 with 1, 2 with 2: two of each
  const auto more_classes = clustering_scores(groups({0, 0, 1, 1, 1, 0}), groups({0, 1, 2, 3, 2, 0}));
  EXPECT_NEAR(more_classes.mutual_information, 0.6853314789615865, 1e-12);
  EXPECT_NEAR(more_classes.rand_index, 0.375, 1e-12);
  EXPECT_NEAR(more_classes.accuracy, 4. / 6, 1e-12);
}

TEST(Clustering, ItemsWithoutAClassAreLeftOut) {
  const auto scores = clustering_scores(groups({5, 0, 0, 1}), groups({-1, 1, 1, 0}));
  EXPECT_EQ(scores.accuracy, 1);
  EXPECT_THROW(clustering_scores(groups({0, 1}), groups({-1, -1})), DataError);
  EXPECT_THROW(clustering_scores(groups({0, 1}), groups({1})), DataError);
}

TEST(Clustering, OneGroupSaysNothing) {
  const auto scores = clustering_scores(groups({0, 0, 0, 0}), groups({0, 1, 0, 1}));
  EXPECT_EQ(scores.accuracy, .5);
  EXPECT_NEAR(scores.mutual_information, 0, 1e-12);
  EXPECT_NEAR(scores.rand_index, 0, 1e-12);
  EXPECT_EQ(clustering_scores(groups({0, 0}), groups({0, 0})).mutual_information, 1);
}

}  // namespace clustering_test
}  // namespace vem
