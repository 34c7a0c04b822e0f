// What a closed-form model refuses of its data or warns of, naming the column and what may be done.
#include "model.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/core/warning.h"
#include "vem/data/sequences.h"

namespace vem {
namespace {

/// A column's values that are there: the largest and the smallest, and the largest without its sign and where it is.
struct Extent {
  double most = -kInfinity, least = -most, largest = 0;
  int64_t row = 0;
};
Extent extent_of(const Tensor& column) {
  Extent all;
  for_parts(column.size(0), [&](int64_t begin, int64_t end) {
    const Tensor part = column.slice(0, begin, end).to(at::kDouble), there = part.index({part.isnan().logical_not()});
    if (there.numel() == 0) return;
    all.most = std::max(all.most, there.max().item<double>());
    all.least = std::min(all.least, there.min().item<double>());
    const Tensor size = part.nan_to_num(0).abs();
    const int64_t place = size.argmax().item<int64_t>();
    if (const double largest = size[place].item<double>(); largest > all.largest) {
      all.largest = largest;
      all.row = begin + place;
    }
  });
  return all;
}

}  // namespace

std::string FactoredModel::column_name(int64_t column) const {
  const auto place = static_cast<size_t>(column);
  return place < schema_.feature_names.size() ? "\"" + schema_.feature_names[place] + "\"" : fmt::format("{}", column);
}

void FactoredModel::require_support(const Tensor& x) const {
  for_parts(x.size(0), [&](int64_t begin, int64_t end) {
    const Tensor bad = part_.observation().supported(x.slice(0, begin, end)).logical_not().nonzero();
    if (bad.size(0) == 0) return;
    const int64_t row = begin + bad[0][0].item<int64_t>(), column = bad[0][1].item<int64_t>();
    fail<DataError>("{}: x is {} in row {}, column {}; {} is expected", name_, x[row][column].item<double>(), row,
                    column_name(column), part_.observation().support(column));
  });
}

void FactoredModel::require_values(const Moments& moments, const Tensor& x) const {
  const Tensor empty = moments.mean.isnan().nonzero();
  if (empty.size(0) > 0 && x.select(1, empty[0][0].item<int64_t>()).isnan().all().item<bool>())
    fail<DataError>("{}: column {} has no value in any row of the training data; leave it out", name_,
                    column_name(empty[0][0].item<int64_t>()));
  const Tensor real = part_.observation().real_columns();
  const Tensor beyond = moments.mean.isfinite().logical_and(real.logical_not().logical_or(moments.variance.isfinite()));
  if (const Tensor bad = beyond.logical_not().nonzero(); bad.size(0) > 0) {
    const int64_t column = bad[0][0].item<int64_t>();
    const Extent extent = extent_of(x.select(1, column));
    fail<DataError>(
        "{}: column {} holds {:.6g} in row {}: sums of such numbers or of their squares are beyond the range of "
        "numbers; "
        "divide the column by a power of ten, or mark the cell as missing (empty)",
        name_, column_name(column), x[extent.row][column].item<double>(), extent.row);
  }
  const Tensor still = real.logical_and(moments.variance.eq(0)).nonzero();
  for (int64_t i = 0; i < still.size(0); ++i) {
    const int64_t column = still[i][0].item<int64_t>();
    if (const Extent extent = extent_of(x.select(1, column)); extent.least < extent.most)
      fail<DataError>(
          "{}: column {} lies between {:.6g} and {:.6g}: squares of such differences are below the range of numbers, "
          "as if the column were constant; multiply it by a power of ten",
          name_, column_name(column), extent.least, extent.most);
  }
}

void FactoredModel::warn_of_symbols() const {
  const Tensor real = part_.observation().real_columns();
  const bool sequences = !symbols_of(schema_.feature_names).empty();
  for (int64_t d = 0; d < real.size(0); ++d) {
    const auto place = static_cast<size_t>(d);
    const bool words =
        place < schema_.feature_names.size() && schema_.categories.count(schema_.feature_names[place]) > 0;
    if ((sequences || words) && real[d].item<bool>())
      warn(
          "{}: {} {} numbered in alphabetical order and taken for real numbers; model.observation.kind = "
          "\"categorical\" "
          "gives each a probability instead",
          name_, sequences ? "symbols" : column_name(d), sequences ? "are" : "holds words, which are");
  }
}

void FactoredModel::fail_not_a_number(const Tensor& x, const Step& step) const {
  int64_t column = 0;
  Extent extent;
  const Tensor own = scale();
  for (int64_t d = 0; d < x.size(1); ++d) {
    Extent other = extent_of((x.select(1, d).to(at::kDouble) - center()[d]) / own[d]);
    if (other.largest <= extent.largest) continue;
    extent = other;
    column = d;
  }
  if (extent.largest == 0)
    fail<NumericError>(
        "{}: the bound is not a number (NaN) at iteration {}, and no number in the rows can be why: parameters are not "
        "numbers; was a damaged checkpoint loaded?",
        name_, step.iteration);
  const bool real = part_.observation().real_columns()[column].item<bool>();
  fail<NumericError>(
      "{}: the bound is not a number (NaN) at iteration {}; the largest number is {:.6g} in row {}, column "
      "{}; {}",
      name_, step.iteration, x[extent.row][column].item<double>(), extent.row, column_name(column),
      real && !options_.standardize ? "model.standardize = true brings columns to one scale"
                                    : "is it meant, or a mark of a missing cell?");
}

}  // namespace vem
