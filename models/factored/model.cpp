// Rows are taken about a centre that is fixed in initialize(), and with `standardize` in units of each column's
// standard deviation; densities come back in the user's units. Counts and categories are taken as they are.
#include "model.h"

#include "vem/core/error.h"
#include "vem/core/target_clones.h"
#include "vem/infer/one_thread.h"
#include "vem/infer/scaling.h"

namespace vem {
namespace {

constexpr int64_t kPeriod = 256;

using Start = FactoredOptions::Start;
constexpr std::initializer_list<std::pair<const char*, Start>> kStarts{
    {"auto", Start::automatic},  {"kmeans++", Start::kmeans}, {"random", Start::random}, {"segments", Start::segments},
    {"ordered", Start::ordered}, {"labels", Start::labels},   {"run", Start::run}};

/// out = (x - center) / scale, both of which come again after `period` numbers: scaled() in one pass over memory.
/// Returns whether some number is NaN.
VEM_CLONES bool standardize(const double* x, const double* center, const double* scale, int64_t period, double* out,
                            int64_t numbers) {
  int64_t missing = 0;
  for (int64_t begin = 0; begin < numbers; begin += period) {
    const int64_t count = std::min(period, numbers - begin);
#pragma omp simd reduction(+ : missing)
    for (int64_t i = 0; i < count; ++i) {
      out[begin + i] = (x[begin + i] - center[i]) / scale[i];
      missing += x[begin + i] != x[begin + i] ? 1 : 0;
    }
  }
  return missing > 0;
}

}  // namespace

void FactoredOptions::visit(OptionVisitor& v) {
  v("num_components", num_components, {1, 4096}, "components of a mixture, states of a chain");
  v("estimate", estimate,
    {{"ml", Estimate::ml}, {"map", Estimate::map}, {"posterior", Estimate::posterior}, {"gibbs", Estimate::gibbs}},
    "maximum likelihood, maximum a posteriori, a posterior over all parameters, or draws from it by Gibbs sampling");
  visit_precision(v, precision);
  visit_part(v, "observation", observation, "family of a component");
  visit_part(v, "allocation", allocation, "which component a row belongs to");
  v("start", start, kStarts,
    "first assignment of rows: k-means, the nearest of random rows, runs of neighbours dealt at random, each sequence "
    "cut into equal parts in the order of the states, the label column; or where another run ended. auto: k-means, but "
    "of small sequences those of these that suit them compete");
  v.when(start == Start::run, "start is run", [&] {
    v("start_from", start_from, "that run: its folder, a checkpoint, or what `vem export RUN --format json` wrote");
  });
  v.when(real_valued() && start != Start::run, "the observation is real-valued and start is not run", [&] {
    v("standardize", standardize, "divide columns by their standard deviations; densities stay in the data's units");
  });
  const bool drawn = start != Start::ordered && start != Start::labels && start != Start::run;
  v.when(drawn, "start is auto, kmeans++, random or segments", [&] {
    v("restarts", restarts, {1, 1000},
      "starts (of each kind) that compete; the best bound wins, without floored variances if it can");
    v.when(restarts > 1, "restarts is above 1", [&] {
      v("restart_passes", restart_passes, {1, 10000}, "passes of each start before bounds are compared");
    });
  });
}

const char* FactoredOptions::word(Start start) {
  return std::find_if(kStarts.begin(), kStarts.end(), [&](const auto& entry) { return entry.second == start; })->first;
}

void FactoredOptions::visit_part(OptionVisitor& v, const char* name, Choice& choice, const char* help) const {
  ConjugateOptions::tell(choice, estimate);
  v(name, choice, help);
  ConjugateOptions::tell(choice, estimate);  // to options that were made on the way
}

bool FactoredOptions::real_valued() const {
  const auto* options = dynamic_cast<const ConjugateOptions*>(observation.options.get());
  return !options || options->real_valued();
}

Factored make_part(const Choice& allocation, const Choice& observation, Observation::Context context) {
  const Registry& registry = *context.registry;
  const auto states =
      registry.create<Allocation>(allocation, {context.prefix, context.num_components, context.estimate});
  context.num_components *= states->per_state();
  const auto rows = registry.create<Observation>(observation, context);
  if (rows->lags() > 0 && states->independent_rows())
    fail<ConfigError>("{}: it looks back at earlier rows of a sequence, and {} has none; use a markov-chain",
                      observation.name, allocation.name);
  return {states, rows};
}

FactoredModel::FactoredModel(std::string name, const FactoredOptions& options, const Context& context)
    : name_(std::move(name)),
      options_(options),
      schema_(context.schema),
      scaling_(std::make_shared<ConstantBlock>("scaling")),
      part_(make_part(options.allocation, options.observation,
                      {context.schema.num_features(), scalar_type(options.precision), options.estimate,
                       options.num_components, "", context.schema.feature_names, &context.registry})) {
  const int64_t D = schema_.num_features();
  scaling_->add("scaling.center", at::zeros({D}, at::kDouble));
  scaling_->add("scaling.scale", at::ones({D}, at::kDouble));
  blocks_ = {scaling_};
  for (const auto& block : part_.blocks()) blocks_.push_back(block);
}

const Tensor& FactoredModel::rows_of(const Batch& batch) const {
  const Tensor& x = batch.at("x");
  if (x.dim() != 2 || x.size(1) != schema_.num_features())
    fail<DataError>("{}: x has shape [{}] but [rows, {}] is expected", name_, fmt::join(x.sizes(), ", "),
                    schema_.num_features());
  return x;
}

RowReader FactoredModel::scaled_rows(const Batch& batch, std::atomic<bool>* gaps) const {
  const Tensor& x = rows_of(batch);
  // Several rows of each, so that a loop over them is long.
  const Shape times{std::max<int64_t>(1, kPeriod / std::max<int64_t>(1, x.size(1)))};
  return [x, gaps, center = center().repeat(times), scale = scale().repeat(times)](int64_t begin, int64_t end) {
    const Tensor rows = x.slice(0, begin, end).to(at::kDouble).contiguous(), out = at::empty_like(rows);
    if (standardize(rows.data_ptr<double>(), center.data_ptr<double>(), scale.data_ptr<double>(), center.numel(),
                    out.data_ptr<double>(), rows.numel()) &&
        gaps)
      *gaps = true;
    return out;
  };
}

void FactoredModel::set_scaling(const Moments& moments, at::ScalarType read_as) {
  const Tensor real = part_.observation().real_columns(), zero = at::zeros_like(moments.mean);
  scaling_->set("scaling.center", at::where(real, moments.mean, zero));
  if (!options_.standardize) return;
  const Tensor deviation = at::where(real, moments.variance.sqrt(), zero);
  scaling_->set("scaling.scale", scales_of(moments.mean, deviation, read_as, name_,
                                           [this](int64_t column) { return column_name(column); }));
}

void FactoredModel::initialize(const Dataset& train, const Rng& rng) {
  at::NoGradGuard no_grad;
  const Batch batch = train.batch(at::arange(train.size, at::kLong), 0, at::ScalarType::Undefined);
  require_support(rows_of(batch));
  const Tensor weight = batch.row_weight();
  if (!(weight.sum().item<double>() > 0)) fail<DataError>("{}: the training data have no rows of any weight", name_);
  if (options_.estimate == Estimate::gibbs && !batch.weight.eq(1).all().item<bool>())
    fail<DataError>("{}: estimate = \"gibbs\" takes items of weight 1: it draws a component for each", name_);
  const Moments moments = vem::moments(batch.at("x"), weight);
  require_values(moments, batch.at("x"));
  warn_of_symbols();
  const bool warm = options_.start == Start::run;
  notes_ = {{"start", FactoredOptions::word(options_.start)}};
  const TensorMap previous = warm ? previous_run() : TensorMap();
  if (warm)
    scaling_->load(previous);
  else
    set_scaling(moments, batch.at("x").scalar_type());
  const Moments ours = moments.scaled(center(), scale());
  part_.set_priors(ours);
  if (warm)
    continue_from(previous, rng);
  else if (options_.start == Start::labels)
    start(batch, label_column(batch), rng);
  else
    search(batch, ours, rng);
  if (const double bound = one_component(batch, ours, rng); std::isfinite(bound))
    notes_["one component"] = fmt::format("{:.17g}", bound);
}

std::map<std::string, double> FactoredModel::diagnostics() const {
  std::map<std::string, double> all = Model::diagnostics();
  all.merge(part_.observation().diagnostics());
  const Tensor occupancy = part_.allocation().occupancy();
  const int64_t empty = occupancy.defined() ? (occupancy < kEmpty).sum().item<int64_t>() : 0;
  if (empty > 0) all["components.empty"] = static_cast<double>(empty);
  return all;
}

/// What the unit of a row's cells adds to its log density: -sum of log scale over those that are there. Rows that lack
/// a part of their history have no density.
Tensor FactoredModel::log_unit(const Tensor& rows) const {
  const Tensor there = rows.isnan().logical_not().to(at::kDouble);
  if (part_.observation().lags() == 0) return -there.mv(scale().log());
  return -std::get<0>(there.min(1)) * scale().log().sum();
}

Tensor FactoredModel::log_units(const Batch& batch, const Tensor& count, bool gaps) const {
  const Tensor& x = batch.at("x");
  const int64_t lags = part_.observation().lags();
  if (lags == 0 && gaps) {
    const Tensor weight = batch.row_weight(), units = at::empty_like(weight);
    for_parts(x.size(0), [&](int64_t begin, int64_t end) {
      units.slice(0, begin, end).copy_(on_one_thread([&] { return log_unit(x.slice(0, begin, end)); }));
    });
    return on_one_thread([&] { return (weight * units).sum(); });
  }
  const Tensor whole = -on_one_thread([&] { return scale().log().sum(); });
  if (!batch.offsets.defined()) return whole * count;
  const Tensor lengths = batch.offsets.slice(0, 1) - batch.offsets.slice(0, 0, -1);
  return whole * on_one_thread([&] { return (batch.weight * (lengths - lags).clamp_min(0)).sum(); });
}

Expectation FactoredModel::e_step(const Batch& batch, const Step& step, const Rng& rng) const {
  at::NoGradGuard no_grad;
  const Tensor& x = rows_of(batch);
  if (!step.training) require_support(x);
  const bool draw = step.training && options_.estimate == Estimate::gibbs;
  std::atomic<bool> gaps{false};
  Expectation e = part_.expect(scaled_rows(batch, &gaps), batch, globals(), draw ? &rng : nullptr);
  e.bound = e.bound + log_units(batch, e.count, gaps);
  if (!std::isfinite(e.bound.item<double>())) {  // not before: it costs passes over the data
    require_support(x);
    if (std::isnan(e.bound.item<double>())) fail_not_a_number(x, step);
  }
  return e;
}

}  // namespace vem
