// Before training: which factors go together, and what the amortised model learns of its data: scales, support, where
// the networks begin.
#include "vae.h"
#include "vem/core/error.h"
#include "vem/infer/one_thread.h"
#include "vem/infer/scaling.h"

namespace vem {
namespace {

constexpr int64_t kLookedAt = 2000;             // rows a look at the training data
constexpr int64_t kNumbers = int64_t{1} << 23;  // of which these may hold so many: documents have wide rows
constexpr double kLeastSpread = 0.01;           // variance that a decoder expects at first of what hardly varies
constexpr int64_t kFewest = 500;                // rows that a prior begins from, of wide ones

/// "numbers", "numbers >= 0", "numbers in [0, 1]".
std::string wanted(const Range& support) {
  if (std::isinf(support.min)) return "numbers";
  if (std::isinf(support.max)) return fmt::format("numbers >= {}", support.min);
  return fmt::format("numbers in [{}, {}]", support.min, support.max);
}

}  // namespace

void Vae::check_combination() const {
  for (const Choice* network : {&o_.encoder, &o_.decoder})
    if (o_.precision == Precision::bf16 && network->name != "mlp")
      fail<ConfigError>("vae: precision = \"bf16\" is for networks of kind mlp, got {}", network->name);
  if (!encoder_ && prior_->uses_encoder())
    fail<ConfigError>("vae: prior {} needs an encoder, and e_step = \"local\" has none", o_.prior.name);
  if (posterior_->flows() && prior_->uses_encoder())
    fail<ConfigError>(
        "vae: prior {} takes posteriors whose density is known everywhere, posterior {} has it along draws only",
        o_.prior.name, o_.posterior.name);
  if (posterior_->discrete() != prior_->discrete())
    fail<ConfigError>("vae: posterior {} has {} latents, prior {} has {} ones", o_.posterior.name,
                      posterior_->discrete() ? "discrete" : "real", o_.prior.name,
                      prior_->discrete() ? "discrete" : "real");
  if (of_sequences()) {
    for (const auto& [network, choice] : {std::pair{encoder_.get(), &o_.encoder}, {decoder_.get(), &o_.decoder}})
      if (network && !network->sequences())
        fail<ConfigError>(
            "vae: latents = \"sequences\" needs networks that read and write sequences, such as gru, got {}",
            choice->name);
    if (!prior_->independent_rows() || prior_->uses_encoder())
      fail<ConfigError>("vae: latents = \"sequences\" does not go with prior {}, which {}", o_.prior.name,
                        prior_->uses_encoder() ? "reads rows" : "is of the rows of a sequence");
  }
  if (posterior_->discrete()) {
    const Objective::Discrete use = objective_->discrete();
    if (use == Objective::Discrete::none)
      fail<ConfigError>(
          "vae: objective {}, as it is set, does not go with posterior {}, whose draws have no derivative; elbo with "
          "kl = \"analytic\" and iwae with gradient = \"standard\" do",
          o_.objective.name, o_.posterior.name);
    if (use == Objective::Discrete::weights && posterior_->states_are() == Posterior::States::all)
      fail<ConfigError>(
          "vae: objective {} weighs draws, and posterior {} with gradient = \"enumerate\" has every state instead; "
          "elbo is exact there, and score-function has draws",
          o_.objective.name, o_.posterior.name);
  }
  posterior_->check_samples(objective_->group_size());
  const Objective::Needs needs = objective_->needs();
  if (posterior_->flows() && needs != Objective::Needs::draws)
    fail<ConfigError>("vae: objective {} needs the density of any z, posterior {} has that of its draws only",
                      o_.objective.name, o_.posterior.name);
  if (needs == Objective::Needs::independent && !posterior_->independent())
    fail<ConfigError>("vae: objective {} needs a posterior with independent dimensions, such as diagonal, got {}",
                      o_.objective.name, o_.posterior.name);
  if (objective_->standard_prior() && o_.prior.name != "standard")
    fail<ConfigError>("vae: objective {} pulls the latents towards prior standard, got {}", o_.objective.name,
                      o_.prior.name);
}

void Vae::initialize(const Dataset& train, const Rng& rng) {
  if (!objective_->additive() && train.offsets.defined())
    fail<ConfigError>("vae: objective {} takes items of one row, these are sequences", o_.objective.name);
  if (of_sequences() && !train.offsets.defined())
    fail<DataError>(
        "vae: latents = \"sequences\" needs sequences, these are single rows; data.sequence names the column of "
        "theirs");
  if (!of_sequences() && train.offsets.defined() && o_.e_step != EStep::amortized)
    fail<ConfigError>("vae: e_step = \"{}\" takes one z an item: single rows, or latents = \"sequences\"",
                      encoder_ ? "semi-amortized" : "local");
  if (of_sequences()) scaling_->set(kLength, train.offsets.diff().to(dtype_).mean().round());
  const auto [mean, variance] = moments(train);
  set_scaling(mean, variance, train);
  if (encoder_) encoder_->initialize(rng);
  decoder_->initialize(rng);
  posterior_->initialize(rng.fold("posterior"));
  set_output_bias(mean, variance);
  const int64_t first = std::min(train.size, std::max(chunk(), kFewest));
  const Tensor order = at::arange(first, at::kLong);
  prior_->initialize(seen(scaled(train.batch(order, 0, dtype()).at("x"))), rng.fold("prior"));
}

void Vae::set_scaling(const Tensor& mean, const Tensor& variance, const Dataset& train) {
  const auto scales = [&](const Tensor& center, const Tensor& deviation) {
    const at::ScalarType read_as = train.batch(at::zeros({1}, at::kLong), 0, dtype()).at("x").scalar_type();
    return scales_of(center, deviation, read_as, "vae", [this](int64_t i) { return feature_name(i); });
  };
  if (!standardized_) require_digits(mean, variance.sqrt());
  if (seen_as_ == Cells::real) {
    scaling_->set(kInputCenter, mean);
    scaling_->set(kInputScale, scales(mean, variance.sqrt()));
  }
  if (!standardized_) return;
  const auto [center, square] = by_channel(mean, variance);
  scaling_->set("scaling.center", center);
  scaling_->set("scaling.scale", scales(center, square.sqrt()));
}

std::pair<Tensor, Tensor> Vae::by_channel(const Tensor& mean, const Tensor& variance) const {
  if (schema_.item_shape.size() != 3) return {mean, variance};
  const auto pooled = [&](const Tensor& x) {
    const Tensor channels = x.view({schema_.item_shape[0], -1});
    return channels.mean(1, true).expand_as(channels).reshape({-1});
  };
  const Tensor center = pooled(mean);
  return {center, pooled(variance + (mean - center).square())};
}

void Vae::set_output_bias(const Tensor& mean, const Tensor& variance) {
  Tensor start = mean, spread = variance;
  if (standardized_) {
    const Tensor& scale = scaling_->get("scaling.scale");
    start = (mean - scaling_->get("scaling.center")) / scale;
    spread = (variance / scale.square()).clamp_min(kLeastSpread);
  }
  decoder_->output_bias().detach().copy_(likelihood_->output_bias(start.to(dtype_), spread.to(dtype_)));
}

Tensor Vae::scaled(const Tensor& x) const {
  if (!standardized_) return x.to(dtype_);
  return ((x.to(at::kDouble) - scaling_->get("scaling.center")) / scaling_->get("scaling.scale")).to(dtype_);
}

Tensor Vae::unscaled(const Tensor& x) const {
  return standardized_ ? x * scaling_->get("scaling.scale") + scaling_->get("scaling.center") : x;
}

Tensor Vae::seen(const Tensor& x, bool gaps) const {
  Tensor input = x;
  if (seen_as_ == Cells::counts) input = at::log1p(x);
  if (seen_as_ == Cells::symbols) input = x / likelihood_->support().max;
  if (seen_as_ == Cells::real) input = ((x - scaling_->get(kInputCenter)) / scaling_->get(kInputScale)).to(dtype_);
  return gaps ? input.masked_fill(input.isnan(), 0) : input;
}

Range Vae::seen(const Range& range) const {
  if (seen_as_ == Cells::real) return {};
  if (seen_as_ == Cells::unit) return range;
  Range now = range;
  now.min = seen(at::scalar_tensor(range.min, at::kDouble)).item<double>();
  now.max = seen(at::scalar_tensor(range.max, at::kDouble)).item<double>();
  return now;
}

void Vae::check_first_step(const Tensor& bound, const Tensor& x, const Step& step) const {
  if (!step.training || step.iteration > 0 || skips_outliers() || std::isfinite(bound.item<double>())) return;
  const Tensor input = encoder_ ? seen(x) : x.masked_fill(x.isnan(), 0);
  const Tensor largest = input.abs().amax(0), column = largest.argmax();
  const char* remedy = "a lower learning rate or precision = \"float64\" may help";
  if (o_.cells() == Cells::real && !standardized_)
    remedy = "model.standardize = true brings columns to one scale";
  else if (o_.has_encoder_inputs() && seen_as_ == Cells::unit)
    remedy = "model.encoder_inputs = \"scaled\" brings them to one scale";
  fail<NumericError>("vae: the bound is {} at iteration 0; the largest number that {} is {:.4g}, of {}; {}",
                     bound.item<double>(), encoder_ ? "the encoder sees" : "the likelihood sees",
                     largest[column].item<double>(), feature_name(column.item<int64_t>()), remedy);
}

// Of the cells that are there.
Tensor Vae::log_jacobian(const Tensor& x) const {
  const Tensor log_scale = scaling_->get("scaling.scale").to(at::kDouble).log();
  return -at::mv(x.isnan().logical_not().to(at::kDouble), log_scale);
}

// Moments are taken about a value of each column, where the first rows have one: far from zero, squares would lose the
// variance.
std::pair<Tensor, Tensor> Vae::moments(const Dataset& train) const {
  const auto rows_from = [&](int64_t begin, int64_t end) {
    return train.batch(at::arange(begin, end, at::kLong), 0, at::kDouble);
  };
  Tensor sum = at::zeros({features_}, at::kDouble), square = sum.clone(), total = sum.clone();
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

void Vae::require_digits(const Tensor& mean, const Tensor& deviation) const {
  const Tensor spacing = number_spacing(mean, dtype_),
               lost = (deviation > 0).logical_and(deviation < spacing).nonzero();
  if (dtype_ != at::kFloat || lost.size(0) == 0) return;
  const int64_t i = lost[0][0].item<int64_t>();
  fail<DataError>(
      "vae: {} has standard deviation {:.3g} about {:.10g}, where neighbouring float32 numbers are {:.3g} apart; "
      "standardize = true centres it first, precision = \"float64\" has more digits",
      feature_name(i), deviation[i].item<double>(), mean[i].item<double>(), spacing[i].item<double>());
}

int64_t Vae::chunk() const { return std::clamp<int64_t>(kNumbers / features_, 1, kLookedAt); }

std::string Vae::feature_name(int64_t i) const {
  return schema_.feature_names.empty() ? fmt::format("feature {}", i) : schema_.feature_names[static_cast<size_t>(i)];
}

void Vae::require_support(const Batch& batch) const {
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
