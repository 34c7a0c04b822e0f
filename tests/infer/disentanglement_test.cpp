// Scores of disentanglement where they are known: codes that are the factors, rotated ones, codes that know nothing;
// and golden values (golden/disentanglement.py).
#include "vem/infer/disentanglement.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "../src/infer/classification_tree.h"
#include "support/places.h"
#include "vem/core/error.h"

namespace vem {
namespace disentanglement_test {

/// All combinations of so many values, `repeats` times.
Factors grid(const Shape& sizes, int64_t repeats = 1) {
  int64_t n = repeats;
  for (const int64_t size : sizes) n *= size;
  Factors factors;
  std::vector<Tensor> columns;
  int64_t stride = 1;
  for (const int64_t size : sizes) {
    factors.names.push_back(fmt::format("f{}", columns.size()));
    columns.push_back(at::floor_divide(at::arange(n, at::kLong), stride).remainder(size));
    stride *= size;
  }
  factors.values = at::stack(columns, 1);
  factors.numbers = factors.values.to(at::kDouble);
  return factors;
}

Factors in_words(Factors factors) {
  factors.numbers = at::full_like(factors.numbers, std::nan(""));
  return factors;
}

struct Scores {
  double mig, sap, disentanglement, completeness, informativeness, factor_vae;
};

Scores scores(const Tensor& z, const Factors& factors, uint64_t seed = 0) {
  const DciScores dci = dci_scores(z, factors, Rng(seed));
  return {mutual_information_gap(z, factors),
          attribute_predictability(z, factors),
          dci.disentanglement,
          dci.completeness,
          dci.informativeness,
          factor_vae_score(z, factors, Rng(seed))};
}

void expect_near(const Scores& a, const Scores& b, double tolerance) {
  EXPECT_NEAR(a.mig, b.mig, tolerance);
  EXPECT_NEAR(a.sap, b.sap, tolerance);
  EXPECT_NEAR(a.disentanglement, b.disentanglement, tolerance);
  EXPECT_NEAR(a.completeness, b.completeness, tolerance);
  EXPECT_NEAR(a.informativeness, b.informativeness, tolerance);
  EXPECT_NEAR(a.factor_vae, b.factor_vae, tolerance);
}

Tensor noise(int64_t n, int64_t columns, const std::string& stream) {
  return Rng(7).normal(at::arange(n, at::kLong), {columns}, stream);
}

constexpr Scores kPerfect{1, 1, 1, 1, 1, 1};

TEST(Disentanglement, CodesThatAreTheFactorsArePerfect) {
  const Factors factors = grid({4, 5, 3}, 10);
  expect_near(scores(factors.numbers * at::tensor({-2.0, 0.3, 10.0}, at::kDouble) + 5, factors), kPerfect, 1e-12);
}

TEST(Disentanglement, OfWordsTheBestIsOneLessChance) {
  const Factors factors = grid({4, 5, 3}, 10);
  const double chance = (1. / 4 + 1. / 5 + 1. / 3) / 3;
  EXPECT_NEAR(attribute_predictability(factors.numbers, in_words(factors)), 1 - chance, 1e-12);
}

// (a + b, a - b) with a and b uniform on a square: both have the same law given a, or given b.
TEST(Disentanglement, RotatedCodesHaveNoGap) {
  const Factors factors = grid({6, 6}, 10);
  const Tensor rotation = at::tensor({1.0, 1.0, 1.0, -1.0}, at::kDouble).view({2, 2});
  const Scores rotated = scores(at::mm(factors.numbers, rotation), factors);
  EXPECT_NEAR(rotated.mig, 0, 1e-12);
  EXPECT_NEAR(rotated.sap, 0, 1e-12);
  EXPECT_NEAR(attribute_predictability(at::mm(factors.numbers, rotation), in_words(factors)), 0, 1e-12);
  EXPECT_LT(rotated.disentanglement, 0.05);  // a tree needs both for each factor
  EXPECT_LT(rotated.completeness, 0.05);
  EXPECT_GT(rotated.informativeness, 0.95);  // but knows the factors from them
  EXPECT_NEAR(rotated.factor_vae, 0.5, 0.05);
}

// Factors and codes as one product design: each code has the same law whatever the factors are.
TEST(Disentanglement, CodesThatKnowNothingScoreNothing) {
  const Factors all = grid({4, 3, 5, 7}, 4);
  Factors factors{{"a", "b"}, all.values.slice(1, 0, 2), all.numbers.slice(1, 0, 2)};
  const Tensor z = all.numbers.slice(1, 2);
  const Scores none = scores(z, factors);
  EXPECT_NEAR(none.mig, 0, 1e-12);
  EXPECT_NEAR(none.sap, 0, 1e-12);
  EXPECT_NEAR(attribute_predictability(z, in_words(factors)), 0, 1e-12);
  EXPECT_NEAR(none.informativeness, (1. / 4 + 1. / 3) / 2, 0.06);  // three standard errors of 840 guesses
  EXPECT_LT(none.factor_vae, 0.6);                                 // two factors
}

// One code serves two factors, the other none: completeness without disentanglement.
TEST(Disentanglement, TreesTellServiceFromNeed) {
  const Factors factors = grid({4, 4}, 40);
  const Tensor both = factors.numbers.select(1, 0) + 4 * factors.numbers.select(1, 1);
  const DciScores dci = dci_scores(at::stack({both, at::zeros_like(both)}, 1), factors, Rng(0));
  EXPECT_NEAR(dci.disentanglement, 0, 1e-12);
  EXPECT_NEAR(dci.completeness, 1, 1e-12);
  EXPECT_EQ(dci.informativeness, 1);
}

TEST(Disentanglement, OrderSignAndScaleOfDimensionsDoNotMatter) {
  const Factors factors = grid({4, 5, 3}, 12);
  const Tensor z = factors.numbers + 0.8 * noise(720, 3, "z");
  const Tensor turned =
      z.index_select(1, at::tensor({2, 0, 1}, at::kLong)) * at::tensor({-0.01, 5.0, 300.0}, at::kDouble);
  const Scores a = scores(z, factors), b = scores(turned, factors);
  EXPECT_NEAR(a.mig, b.mig, 1e-9);
  EXPECT_NEAR(a.sap, b.sap, 1e-9);
  EXPECT_EQ(a.factor_vae, b.factor_vae);
  EXPECT_NEAR(a.disentanglement, b.disentanglement, 0.02);  // small nodes have splits that are equally good
  EXPECT_NEAR(a.completeness, b.completeness, 0.02);
  EXPECT_NEAR(a.informativeness, b.informativeness, 0.02);
}

TEST(Disentanglement, ConstantDimensionsCountForNothing) {
  const Factors factors = grid({4, 5, 3}, 12);
  const Tensor z = factors.numbers + 0.8 * noise(720, 3, "z"), constant = at::full({720, 2}, 0.1, at::kDouble);
  Scores with = scores(at::cat({constant, z}, 1), factors);
  const Scores without = scores(z, factors);
  // Completeness is relative to the entropy of all dimensions being needed alike.
  EXPECT_NEAR((1 - with.completeness) * std::log(5), (1 - without.completeness) * std::log(3), 1e-9);
  with.completeness = without.completeness;
  expect_near(with, without, 1e-9);
  const Scores collapsed = scores(constant, factors);
  EXPECT_EQ(collapsed.mig, 0);
  EXPECT_NEAR(collapsed.sap, 0, 1e-12);
  EXPECT_EQ(collapsed.disentanglement, 0);
  EXPECT_EQ(collapsed.completeness, 0);
  EXPECT_EQ(collapsed.factor_vae, 0);
}

TEST(Disentanglement, OneDimensionIsComparedWithNone) {
  const Factors factors = grid({4, 5}, 10);
  const Tensor z = factors.numbers.slice(1, 0, 1);
  EXPECT_NEAR(mutual_information_gap(z, factors), 0.5, 1e-12);  // all of one factor and nothing of the other
  EXPECT_NEAR(attribute_predictability(z, factors), 0.5, 1e-12);
}

TEST(Disentanglement, IsWithinItsBoundsAndAFunctionOfTheSeed) {
  const Factors factors = grid({2, 3, 9}, 4);
  for (const double share : {0.0, 0.3, 3.0}) {
    const Tensor z = share * factors.numbers + noise(216, 3, "bounds");
    const Scores s = scores(z, factors, 4);
    for (const double score : {s.mig, s.sap, s.disentanglement, s.completeness, s.informativeness, s.factor_vae}) {
      EXPECT_GE(score, -1e-12);
      EXPECT_LE(score, 1 + 1e-12);
    }
    expect_near(s, scores(z, factors, 4), 0);
  }
  const Tensor z = noise(216, 3, "bounds");
  EXPECT_NE(factor_vae_score(z, factors, Rng(4)), factor_vae_score(z, factors, Rng(5)));
}

TEST(Disentanglement, ErrorsNameTheFactor) {
  const auto message = [](const Tensor& z, const Factors& factors) -> std::string {
    try {
      mutual_information_gap(z, factors);
    } catch (const DataError& e) {
      return e.what();
    }
    return "";
  };
  const Factors factors = grid({4, 1}, 3);
  EXPECT_EQ(message(factors.numbers, factors), "disentanglement: factor 'f1' has the same value for all 12 items");
  EXPECT_EQ(message(at::zeros({6, 2}), grid({6, 1})),
            "disentanglement: factor 'f0' has 6 values for 6 items; values that occur twice or more are expected");
  EXPECT_EQ(message(at::zeros({11, 2}), factors),
            "disentanglement: z has shape [11, 2] and factors have [12, 2]; [items, dimensions] and [items, factors] "
            "are expected");
  EXPECT_EQ(message(at::zeros({12, 2}), grid({4}, 3)), "disentanglement: two factors or more are expected, got 1");
  EXPECT_EQ(message(at::full({16, 2}, INFINITY), grid({4, 2}, 2)),
            "disentanglement: z has numbers that are not finite");
}

// ---- golden values ----

/// The data of golden/disentanglement.py.
struct Formula {
  Formula() {
    factors = grid({4, 5, 3}, 10);
    factors.numbers.select(1, 1).square_();
    factors.numbers.select(1, 2).fill_(std::nan(""));
    const Tensor n = at::arange(600, at::kDouble), v = factors.values.to(at::kDouble);
    const auto wave = [&](double d) { return (1.7 * (n + 1) * (d + 1)).sin() + (2.3 * n * (d + 2) + d).cos(); };
    const Tensor a = v.select(1, 0), b = v.select(1, 1), c = v.select(1, 2);
    z = at::stack(
        {a + 0.7 * wave(0), b - 0.5 * a + 0.9 * wave(1), (c == 1).to(at::kDouble) + 0.3 * b + 0.4 * wave(2), wave(3)},
        1);
    z = (z * 1024).round() / 1024;
    const Tensor first = a.to(at::kLong), second = (b > 1).to(at::kLong);
    labels = {first, second + (z.select(1, 2) > 0.5).to(at::kLong), (first > 1).to(at::kLong) + 2 * second};
  }
  Factors factors;
  Tensor z;
  std::vector<Tensor> labels;
};

TEST(Disentanglement, GoldenValues) {
  const Formula data;
  std::ifstream file(tests_folder() + "/golden/disentanglement.txt");
  size_t trees = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    std::string name;
    in >> name;
    const std::vector<double> wanted{std::istream_iterator<double>(in), {}};
    const double ours = name == "mig"   ? mutual_information_gap(data.z, data.factors)
                        : name == "sap" ? attribute_predictability(data.z, data.factors)
                                        : factor_vae_score(data.z, data.factors, Rng(0));
    // Of draws: four standard errors of 5,000 guesses.
    if (name != "tree") {
      EXPECT_NEAR(ours, wanted[0], name == "factor_vae" ? 0.006 : 1e-12) << line;
    }
    if (name != "tree") continue;
    const Tensor& label = data.labels.at(trees++);
    const TreeFit fit = classification_tree({data.z.slice(0, 0, 400), label.slice(0, 0, 400)},
                                            {data.z.slice(0, 400), label.slice(0, 400)});
    for (int64_t l = 0; l < 4; ++l) EXPECT_NEAR(fit.importance[l].item<double>(), wanted[l], 1e-12) << line;
    EXPECT_NEAR(fit.accuracy, wanted[4], 1e-12) << line;
  }
  EXPECT_EQ(trees, 3u);
}

}  // namespace disentanglement_test
}  // namespace vem
