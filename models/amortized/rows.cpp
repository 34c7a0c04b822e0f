// What is learned of rows before training: scales, support, moments.
#include "rows.h"

#include "vem/core/error.h"
#include "vem/infer/one_thread.h"
#include "vem/infer/scaling.h"

namespace vem {
namespace {

constexpr const char *kCenter = "scaling.center", *kScale = "scaling.scale";  // of standardised rows
// Where an encoder sees real numbers scaled that the likelihood takes as they are.
constexpr const char *kInputCenter = "inputs.center", *kInputScale = "inputs.scale";
constexpr int64_t kLookedAt = 2000;             // rows a look at the training data
constexpr int64_t kNumbers = int64_t{1} << 23;  // of which these may hold so many: documents have wide rows
constexpr double kLeastSpread = 0.01;           // variance that a decoder expects at first of what hardly varies

/// "numbers", "numbers >= 0", "numbers in [0, 1]".
std::string wanted(const Range& support) {
  if (std::isinf(support.min)) return "numbers";
  if (std::isinf(support.max)) return fmt::format("numbers >= {}", support.min);
  return fmt::format("numbers in [{}, {}]", support.min, support.max);
}

}  // namespace

Rows::Rows(const AmortizedOptions& options, const Schema& schema, std::shared_ptr<const Likelihood> likelihood,
           std::shared_ptr<ConstantBlock> constants)
    : o_(options),
      schema_(schema),
      dtype_(scalar_type(options.precision)),
      num_features_(schema.num_features()),
      standardized_(options.standardizes()),
      has_encoder_(options.e_step != EStep::local),
      seen_as_(options.has_encoder_inputs() && options.encoder_inputs == EncoderInputs::scaled ? options.cells()
                                                                                               : Cells::unit),
      likelihood_(std::move(likelihood)),
      constants_(std::move(constants)) {
  constants_->add(kCenter, at::zeros({num_features_}, at::kDouble));
  constants_->add(kScale, at::ones({num_features_}, at::kDouble));
  if (seen_as_ != Cells::real) return;
  constants_->add(kInputCenter, at::zeros({num_features_}, at::kDouble));
  constants_->add(kInputScale, at::ones({num_features_}, at::kDouble));
}

Tensor Rows::scaled(const Tensor& x) const {
  if (!standardized_) return x.to(dtype_);
  return ((x.to(at::kDouble) - constants_->get(kCenter)) / constants_->get(kScale)).to(dtype_);
}

Tensor Rows::unscaled(const Tensor& x) const {
  return standardized_ ? x * constants_->get(kScale) + constants_->get(kCenter) : x;
}

Tensor Rows::log_jacobian(const Tensor& x) const {
  if (!standardized_) return {};
  const Tensor log_scale = constants_->get(kScale).to(at::kDouble).log();
  return -at::mv(x.isnan().logical_not().to(at::kDouble), log_scale);
}

Tensor Rows::seen(const Tensor& x, bool gaps) const {
  Tensor input = x;
  if (seen_as_ == Cells::counts) input = at::log1p(x);
  if (seen_as_ == Cells::symbols) input = x / likelihood_->support().max;
  if (seen_as_ == Cells::real) input = ((x - constants_->get(kInputCenter)) / constants_->get(kInputScale)).to(dtype_);
  return gaps ? input.masked_fill(input.isnan(), 0) : input;
}

double Rows::seen_number(double x) const { return seen(at::scalar_tensor(x, at::kDouble)).item<double>(); }

Range Rows::seen_range() const {
  if (standardized_ || seen_as_ == Cells::real) return {};
  Range range = likelihood_->support();
  if (seen_as_ == Cells::unit) return range;
  range.min = seen_number(range.min);
  range.max = seen_number(range.max);
  return range;
}

std::pair<Tensor, Tensor> Rows::learn(const Dataset& train) {
  const auto [mean, variance] = moments(train);
  const at::ScalarType read_as = train.batch(at::zeros({1}, at::kLong), 0, read_type()).at("x").scalar_type();
  const auto scales = [&](const Tensor& center, const Tensor& deviation) {
    return scales_of(center, deviation, read_as, "vae", [this](int64_t i) { return feature_name(i); });
  };
  if (!standardized_) require_digits(mean, variance.sqrt());
  if (seen_as_ == Cells::real) {
    constants_->set(kInputCenter, mean);
    constants_->set(kInputScale, scales(mean, variance.sqrt()));
  }
  if (!standardized_) return {mean, variance};
  const auto [center, square] = by_channel(mean, variance);
  constants_->set(kCenter, center);
  const Tensor scale = scales(center, square.sqrt());
  constants_->set(kScale, scale);
  return {(mean - center) / scale, (variance / scale.square()).clamp_min(kLeastSpread)};
}

std::pair<Tensor, Tensor> Rows::by_channel(const Tensor& mean, const Tensor& variance) const {
  if (schema_.item_shape.size() != 3) return {mean, variance};
  const auto pooled = [&](const Tensor& x) {
    const Tensor channels = x.view({schema_.item_shape[0], -1});
    return channels.mean(1, true).expand_as(channels).reshape({-1});
  };
  const Tensor center = pooled(mean);
  return {center, pooled(variance + (mean - center).square())};
}

void Rows::check_first_bound(double bound, const Tensor& x) const {
  if (std::isfinite(bound)) return;
  const Tensor input = has_encoder_ ? seen(x) : x.masked_fill(x.isnan(), 0);
  const Tensor largest = input.abs().amax(0), column = largest.argmax();
  const char* remedy = "a lower learning rate or precision = \"float64\" may help";
  if (o_.cells() == Cells::real && !standardized_)
    remedy = "model.standardize = true brings columns to one scale";
  else if (o_.has_encoder_inputs() && seen_as_ == Cells::unit)
    remedy = "model.encoder_inputs = \"scaled\" brings them to one scale";
  fail<NumericError>("vae: the bound is {} at iteration 0; the largest number that {} is {:.4g}, of {}; {}", bound,
                     has_encoder_ ? "the encoder sees" : "the likelihood sees", largest[column].item<double>(),
                     feature_name(column.item<int64_t>()), remedy);
}

// Moments are taken about a value of each column, where the first rows have one: far from zero, squares would lose the
// variance.
std::pair<Tensor, Tensor> Rows::moments(const Dataset& train) const {
  const auto rows_from = [&](int64_t begin, int64_t end) {
    return train.batch(at::arange(begin, end, at::kLong), 0, at::kDouble);
  };
  Tensor sum = at::zeros({num_features_}, at::kDouble), square = sum.clone(), total = sum.clone();
  const Tensor head = rows_from(0, std::min(train.size, chunk())).at("x");
  const Tensor first = head.isnan().logical_not().to(at::kLong).argmax(0, true),
               center = at::nan_to_num(head.gather(0, first)[0]);
  for (int64_t begin = 0; begin < train.size; begin += chunk()) {
    const Batch batch = rows_from(begin, std::min(train.size, begin + chunk()));
    require_support(batch);
    const Tensor& x = batch.at("x");
    const Tensor missing = x.isnan(), difference = (x - center).masked_fill(missing, 0), weight = batch.row_weight();
    const auto weighted = [&](const Tensor& cells) { return on_one_thread([&] { return at::mv(cells.t(), weight); }); };
    total = total + weighted(missing.logical_not().to(at::kDouble));
    sum = sum + weighted(difference);
    square = square + weighted(difference * difference);
  }
  if (const Tensor empty = (total <= 0).nonzero(); empty.size(0) > 0)
    fail<DataError>("vae: {} has no value in any row", feature_name(empty[0][0].item<int64_t>()));
  const Tensor shift = sum / total;
  return {center + shift, (square / total - shift * shift).clamp_min(0)};
}

void Rows::require_digits(const Tensor& mean, const Tensor& deviation) const {
  const Tensor spacing = number_spacing(mean, dtype_),
               lost = (deviation > 0).logical_and(deviation < spacing).nonzero();
  if (dtype_ != at::kFloat || lost.size(0) == 0) return;
  const int64_t i = lost[0][0].item<int64_t>();
  fail<DataError>(
      "vae: {} has standard deviation {:.3g} about {:.10g}, where neighbouring float32 numbers are {:.3g} apart; "
      "standardize = true centres it first, precision = \"float64\" has more digits",
      feature_name(i), deviation[i].item<double>(), mean[i].item<double>(), spacing[i].item<double>());
}

int64_t Rows::chunk() const { return std::clamp<int64_t>(kNumbers / num_features_, 1, kLookedAt); }

std::string Rows::feature_name(int64_t i) const {
  return schema_.feature_names.empty() ? fmt::format("feature {}", i) : schema_.feature_names[static_cast<size_t>(i)];
}

void Rows::require_support(const Batch& batch) const {
  const Range support = likelihood_->support();
  const bool whole = likelihood_->whole_numbers();
  const Tensor& x = batch.at("x");
  const Tensor infinite = (standardized_ ? x : x.to(dtype_)).isinf();
  Tensor bad = (x < support.min).logical_or(x > support.max).logical_or(infinite);  // NaN is missing
  if (whole) bad = bad.logical_or((x - x.round()).abs() > 0);
  if (!bad.any().item<bool>()) return;
  const Tensor where = bad.nonzero()[0];
  const int64_t row = where[0].item<int64_t>(), column = where[1].item<int64_t>();
  fail<DataError>("vae: {} is {} in row {}, but likelihood {} needs {}{}", feature_name(column),
                  x[row][column].item<double>(), batch.index[row].item<int64_t>() + 1, o_.likelihood.name,
                  whole                     ? "whole "
                  : std::isinf(support.min) ? "finite "
                                            : "",
                  wanted(support));
}

}  // namespace vem
