// Batches and subsets of a data set: what is selected, how it is scaled and binarised.
#include "vem/data/dataset.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "vem/core/error.h"

namespace vem {
namespace dataset_test {

Tensor ints(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

Dataset grey_images(int64_t n = 40) {
  Dataset data;
  data.columns["x"] = (at::arange(n * 16) % 256).to(at::kByte).view({n, 16});
  data.columns["label"] = at::arange(n, at::kLong) % 3;
  data.schema.item_shape = {1, 4, 4};
  data.schema.num_classes = 3;
  data.pixel_scale = 255;
  data.size = n;
  return data;
}

/// Three items of 2, 0 and 3 rows.
Dataset ragged() {
  Dataset data;
  data.columns["x"] = at::arange(10, at::kDouble).view({5, 2});
  data.columns["label"] = ints({7, 8, 9, 10, 11});
  data.offsets = ints({0, 2, 2, 5});
  data.size = 3;
  return data;
}

TEST(Dataset, ABatchOfNoTypeIsAsItWasRead) {
  Dataset data = ragged();
  const auto x = [&] { return data.batch(ints({1, 2}), 0, at::ScalarType::Undefined).at("x"); };
  data.columns["x"] = data.columns["x"].to(at::kFloat);
  EXPECT_EQ(x().data_ptr(), data.columns["x"][2].data_ptr());  // nothing is copied
  data.pixel_scale = 10;
  EXPECT_EQ(x().scalar_type(), at::kDouble);
  EXPECT_DOUBLE_EQ(x()[0][0].item<double>(), 0.4);
}

TEST(Dataset, BatchSelectsAndScales) {
  const Batch batch = grey_images().batch(ints({3, 0}), 0, at::kDouble);
  EXPECT_EQ(batch.size(), 2);
  EXPECT_EQ(batch.at("x").scalar_type(), at::kDouble);
  EXPECT_DOUBLE_EQ(batch.at("x")[0][1].item<double>(), 49.0 / 255);
  EXPECT_TRUE(at::equal(batch.at("label"), ints({0, 0})));
  EXPECT_TRUE(at::equal(batch.index, ints({3, 0})));
  EXPECT_TRUE(at::equal(batch.weight, at::ones({2}, at::kDouble)));
  EXPECT_FALSE(batch.offsets.defined());
}

TEST(Dataset, ConsecutivePositionsGiveTheSameNumbersAsScatteredOnes) {
  const Dataset data = grey_images();
  const Batch run = data.batch(ints({5, 6, 7}), 0, at::kFloat);
  const Batch scattered = data.batch(ints({7, 5, 6}), 0, at::kFloat);
  EXPECT_TRUE(at::equal(run.at("x"), scattered.at("x").index_select(0, ints({1, 2, 0}))));
  EXPECT_TRUE(at::equal(run.at("label"), scattered.at("label").index_select(0, ints({1, 2, 0}))));
}

TEST(Dataset, EmptyBatchKeepsEveryColumn) {
  for (const Dataset& data : {grey_images(), ragged()}) {
    const Batch batch = data.batch(at::empty({0}, at::kLong), 0, at::kFloat);
    EXPECT_EQ(batch.size(), 0);
    EXPECT_EQ(batch.at("x").size(0), 0);
    EXPECT_EQ(batch.at("x").size(1), data.columns.at("x").size(1));
    EXPECT_EQ(batch.at("label").numel(), 0);
  }
}

TEST(Dataset, PositionsMustBeIntegers) {
  EXPECT_EQ(message_of<DataError>([] { grey_images().batch(at::ones({2}, at::kFloat), 0, at::kFloat); }),
            "dataset: positions must be [items] int64, got 1 dimensions of Float");
  EXPECT_ANY_THROW(grey_images().batch(ints({40}), 0, at::kFloat));
  EXPECT_ANY_THROW(grey_images().batch(ints({-1}), 0, at::kFloat));
}

TEST(Dataset, DynamicBinarisationDependsOnlyOnSeedEpochAndItem) {
  Dataset data = grey_images();
  data.binarize = Binarize::dynamic;
  data.binarize_seed = 4;
  const Tensor all = data.batch(at::arange(40, at::kLong), 3, at::kFloat).at("x");
  EXPECT_TRUE(at::equal(all, all.round()));
  const Tensor some = ints({9, 2, 31});
  EXPECT_TRUE(at::equal(data.batch(some, 3, at::kFloat).at("x"), all.index_select(0, some)));
  EXPECT_TRUE(at::equal(data.batch(some, 3, at::kDouble).at("x"), all.index_select(0, some).to(at::kDouble)));
  EXPECT_TRUE(at::equal(data.subset(some).batch(ints({1}), 3, at::kFloat).at("x")[0], all[2]));
  EXPECT_FALSE(at::equal(data.batch(some, 4, at::kFloat).at("x"), all.index_select(0, some)));
  data.binarize_seed = 5;
  EXPECT_FALSE(at::equal(data.batch(some, 3, at::kFloat).at("x"), all.index_select(0, some)));
}

TEST(Dataset, FixedBinarisationIsTheDynamicOneOfEpochZero) {
  Dataset data = grey_images();
  data.binarize = Binarize::dynamic;
  const Tensor first = data.batch(ints({4, 8}), 0, at::kFloat).at("x");
  data.binarize = Binarize::fixed;
  EXPECT_TRUE(at::equal(data.batch(ints({4, 8}), 0, at::kFloat).at("x"), first));
  EXPECT_TRUE(at::equal(data.batch(ints({4, 8}), 7, at::kFloat).at("x"), first));
}

TEST(Dataset, BinarisedPixelsHaveTheirGreyLevelAsMean) {
  Dataset data;
  data.columns["x"] = ints({0, 51, 128, 255}).to(at::kByte).expand({20000, 4}).contiguous();
  data.size = 20000;
  data.pixel_scale = 255;
  data.binarize = Binarize::dynamic;
  const Tensor mean = data.batch(at::arange(20000, at::kLong), 1, at::kDouble).at("x").mean(0);
  EXPECT_EQ(mean[0].item<double>(), 0);
  EXPECT_EQ(mean[3].item<double>(), 1);
  // The standard error is at most sqrt(.25 / 20000) = .0035; four of them.
  EXPECT_NEAR(mean[1].item<double>(), 51.0 / 255, .014);
  EXPECT_NEAR(mean[2].item<double>(), 128.0 / 255, .014);
}

TEST(Dataset, SubsetKeepsIdentitiesAndWeights) {
  Dataset data = grey_images();
  data.weight = at::arange(40, at::kDouble);
  EXPECT_DOUBLE_EQ(data.total_weight(), 780);
  const Dataset twice = data.subset(ints({10, 20, 30})).subset(ints({2, 0}));
  EXPECT_EQ(twice.size, 2);
  EXPECT_TRUE(at::equal(twice.index, ints({30, 10})));
  EXPECT_DOUBLE_EQ(twice.total_weight(), 40);
  EXPECT_TRUE(at::equal(twice.columns.at("x"), data.columns.at("x").index_select(0, ints({30, 10}))));
  EXPECT_EQ(twice.columns.at("x").scalar_type(), at::kByte);
  const Batch batch = twice.batch(ints({0}), 0, at::kFloat);
  EXPECT_TRUE(at::equal(batch.index, ints({30})));
  EXPECT_TRUE(at::equal(batch.weight, at::full({1}, 30, at::kDouble)));
}

TEST(Dataset, RaggedItemsAreConcatenated) {
  const Batch batch = ragged().batch(ints({2, 1, 0}), 0, at::kDouble);
  EXPECT_TRUE(at::equal(batch.offsets, ints({0, 3, 3, 5})));
  EXPECT_TRUE(at::equal(batch.at("label"), ints({9, 10, 11, 7, 8})));
  EXPECT_TRUE(at::equal(batch.row_item(), ints({0, 0, 0, 2, 2})));
  EXPECT_TRUE(at::equal(batch.per_item(at::arange(1, 6, at::kDouble)), at::tensor({6., 0., 9.}, at::kDouble)));
  EXPECT_EQ(batch.per_item(at::ones({5, 4}), 0).sizes(), (at::IntArrayRef{3, 4}));
  const Dataset last = ragged().subset(ints({2}));
  EXPECT_TRUE(at::equal(last.offsets, ints({0, 3})));
  EXPECT_TRUE(at::equal(last.batch(ints({0}), 0, at::kDouble).at("label"), ints({9, 10, 11})));
}

TEST(Batch, PerItemOfOneRowItemsIsTheIdentity) {
  const Batch batch = grey_images().batch(ints({1, 2}), 0, at::kFloat);
  const Tensor rows = at::ones({3, 2});
  EXPECT_TRUE(batch.per_item(rows).is_same(rows));
  EXPECT_TRUE(at::equal(batch.row_item(), ints({0, 1})));
}

TEST(Batch, PerItemPassesGradients) {
  const Batch batch = ragged().batch(ints({0, 1, 2}), 0, at::kDouble);
  const Tensor rows = at::ones({5}, at::kDouble).requires_grad_();
  const Tensor sum = (batch.per_item(rows) * at::tensor({2., 3., 5.}, at::kDouble)).sum();
  EXPECT_TRUE(at::equal(torch::autograd::grad({sum}, {rows})[0], at::tensor({2., 2., 5., 5., 5.}, at::kDouble)));
}

TEST(Batch, NoiseOfAnItemDoesNotDependOnItsBatch) {
  const Rng rng(1);
  for (const Dataset& data : {grey_images(3), ragged()}) {
    const Batch all = data.batch(ints({0, 1, 2}), 0, at::kDouble), last = data.batch(ints({2}), 0, at::kDouble);
    const Tensor noise = all.normal(rng, {2}, "z", at::kDouble);
    EXPECT_EQ(noise.size(0), all.at("x").size(0));
    const int64_t rows = last.at("x").size(0);
    EXPECT_TRUE(at::equal(last.normal(rng, {2}, "z", at::kDouble), noise.narrow(0, noise.size(0) - rows, rows)));
  }
  const Tensor rows = ragged().batch(ints({2}), 0, at::kDouble).normal(rng, {1}, "z", at::kDouble);
  EXPECT_NE(rows[0].item<double>(), rows[1].item<double>());
}

TEST(Batch, MissingColumnIsNamed) {
  const Batch batch = grey_images().batch(ints({0}), 0, at::kFloat);
  EXPECT_EQ(message_of<DataError>([&] { batch.at("count"); }),
            "batch: there is no column 'count'; the data have label, x");
  EXPECT_EQ(message_of<DataError>([] { Batch().at("x"); }), "batch: there is no column 'x'; the data have none");
}

TEST(Schema, ComparesEveryField) {
  const Schema one{"a.csv", {"u", "v"}, {2}, 3};
  EXPECT_EQ(one.num_features(), 2);
  EXPECT_TRUE(one == one);
  EXPECT_FALSE(one == (Schema{"a.csv", {"u", "w"}, {2}, 3}));
  EXPECT_FALSE(one == (Schema{"a.csv", {"u", "v"}, {1, 1, 2}, 3}));
  EXPECT_EQ((Schema{"", {}, {3, 8, 8}, 0}).num_features(), 192);
}

}  // namespace dataset_test
}  // namespace vem
