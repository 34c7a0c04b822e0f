// Where a closed-form model starts: k-means++, the nearest of random rows, runs of neighbouring rows (symbols have too
// few different ones for k-means), parts of each sequence in order, or a column of labels. Or where another run ended.
#include "model.h"
#include "vem/core/config.h"
#include "vem/core/error.h"
#include "vem/infer/kmeans.h"
#include "vem/train/parameters.h"

namespace vem {
namespace {

// k-means sees a random subset of so many rows or numbers at most; the rows beyond it join their nearest centre.
constexpr int64_t kKMeansRows = 50000, kKMeansNumbers = int64_t{1} << 21;
// Runs of neighbouring rows that each component gets.
constexpr int64_t kSegments = 20;

/// One random place in each of `count` parts of equal length of 0 .. n - 1, which needs no memory for all n.
Tensor spread(int64_t n, int64_t count, const Rng& rng) {
  const Tensor part = at::arange(count, at::kLong);
  const double length = static_cast<double>(n) / static_cast<double>(count);
  return ((part + rng.uniform(part, {}, "rows")) * length).to(at::kLong).clamp_max(n - 1);
}

}  // namespace

FactoredModel::Points FactoredModel::points_of(const Batch& batch) const {
  const auto point = [this](const Tensor& x) { return part_.observation().coordinates(scaled(x)); };
  const Tensor& x = rows_of(batch);
  return {[=](const Tensor& places) { return point(x.index_select(0, places)); },
          [=](int64_t begin, int64_t end) { return point(x.slice(0, begin, end)); }, batch.row_weight()};
}

FactoredModel::Points FactoredModel::part_of(const Points& all, const Tensor& places) {
  return {[=](const Tensor& inner) { return all.at(places.index_select(0, inner)); },
          [=](int64_t begin, int64_t end) { return all.at(places.slice(0, begin, end)); },
          all.weight.index_select(0, places)};
}

/// Labels in 0 .. K - 1 by k-means.
Tensor FactoredModel::clusters(const Points& points, int64_t K, const Rng& rng) {
  const int64_t N = points.weight.size(0), D = points.rows(0, std::min<int64_t>(1, N)).size(1);
  const int64_t rows = std::max(std::min(kKMeansRows, kKMeansNumbers / std::max<int64_t>(D, 1)), 10 * K);
  if (N <= rows) return kmeans(points.rows(0, N), points.weight, K, rng).labels;
  const Tensor some = spread(N, rows, rng);
  return nearest_center(points.rows, N, kmeans(points.at(some), points.weight.index_select(0, some), K, rng).centers);
}

Tensor FactoredModel::label_column(const Batch& batch) const {
  const Tensor& labels = batch.at("label");
  const Tensor bad = (labels.lt(0) + labels.ge(options_.num_components)).nonzero();
  if (bad.size(0) > 0)
    fail<DataError>("{}: start = \"labels\" needs labels in [0, {}], got {} in row {}", name_,
                    options_.num_components - 1, labels[bad[0][0]].item<int64_t>(), bad[0][0].item<int64_t>());
  return labels;
}

/// Each sequence cut into as many equal parts as there are states, in their order; all rows where there are none.
Tensor FactoredModel::ordered_labels(const Batch& batch) const {
  const int64_t K = options_.num_components, rows = batch.at("x").size(0);
  const Tensor row = at::arange(rows, at::kLong);
  if (!batch.offsets.defined()) return (row * K).div(rows, "floor");
  const Tensor item = batch.row_item(), begin = batch.offsets.slice(0, 0, -1);
  const Tensor length = (batch.offsets.slice(0, 1) - begin).index_select(0, item);
  return ((row - begin.index_select(0, item)) * K).div(length, "floor");
}

Tensor FactoredModel::start_labels(FactoredOptions::Start kind, const Points& points, const Batch& batch,
                                   const Rng& rng) const {
  const int64_t K = options_.num_components, N = points.weight.size(0);
  if (N < K) fail<DataError>("{}: {} rows are too few for {} components", name_, N, K);
  if (kind == FactoredOptions::Start::segments) {
    const int64_t length = std::max<int64_t>(1, N / (kSegments * K)), segments = (N + length - 1) / length;
    const Tensor dealt = rng.permutation(segments).remainder(K);
    return dealt.index_select(0, at::arange(N, at::kLong).div(length, "floor"));
  }
  if (kind == FactoredOptions::Start::ordered) return ordered_labels(batch);
  if (kind == FactoredOptions::Start::random) {
    const Tensor order = rng.permutation(N), centers = points.at(order.slice(0, 0, K)), gaps = centers.isnan();
    if (!gaps.any().item<bool>()) return nearest_center(points.rows, N, centers);
    const Tensor typical = at::nanmean(points.at(std::get<0>(order.slice(0, 0, kKMeansRows).sort())), 0);
    return nearest_center(points.rows, N, at::where(gaps, typical, centers));
  }
  return clusters(points, K, rng);
}

Tensor FactoredModel::component_labels(const Points& points, const Tensor& states, const Rng& rng) const {
  const int64_t M = part_.allocation().per_state();
  if (M == 1) return states;
  Tensor labels = states * M;
  for (int64_t k = 0; k < options_.num_components; ++k) {
    const Tensor rows = states.eq(k).nonzero().squeeze(-1);
    Tensor inner = at::arange(rows.size(0), at::kLong).remainder(M);
    try {
      inner = clusters(part_of(points, rows), M, rng.fold("inner").fold(static_cast<uint64_t>(k)));
    } catch (const DataError&) {  // fewer different rows than components: dealt in turn
    }
    labels = labels.index_add(0, rows, inner);
  }
  return labels;
}

void FactoredModel::start(const Batch& batch, const Tensor& states, const Rng& rng) {
  part_.start(scaled_rows(batch), batch, component_labels(points_of(batch), states, rng), rng);
}

TensorMap FactoredModel::previous_run() const {
  const std::string& path = options_.start_from;
  if (path.empty())
    fail<ConfigError>("{}: start = \"run\" needs start_from, the folder or the exported parameters of a run", name_);
  const Checkpoint run = load_parameters(path);
  const std::string theirs = Config::parse(run.config, path).text("model.observation.kind");
  if (theirs != options_.observation.name)
    fail<DataError>("{}: start_from = \"{}\" has the observation \"{}\", this run has \"{}\"", name_, path, theirs,
                    options_.observation.name);
  if (run.schema.feature_names != schema_.feature_names)
    fail<DataError>("{}: start_from = \"{}\" has the columns {}, this run has {}", name_, path,
                    fmt::join(run.schema.feature_names, ", "), fmt::join(schema_.feature_names, ", "));
  if (run.schema.categories != schema_.categories)
    fail<DataError>("{}: start_from = \"{}\" has other words in its categories than this run", name_, path);
  for (const auto& [key, ours] : state()) {
    const auto it = run.state.find(key);
    const bool fits = it != run.state.end() && it->second.sizes() == ours.sizes();
    const bool derived = key.size() > 2 && key.compare(key.size() - 2, 2, ".t") == 0;
    if (fits || derived) continue;
    const std::string found =
        it == run.state.end() ? "no " + key : fmt::format("{} of shape [{}]", key, fmt::join(it->second.sizes(), ", "));
    fail<DataError>(
        "{}: start_from = \"{}\" has {}, [{}] is expected; a start has the num_components, the covariance and the "
        "allocation of this run",
        name_, path, found, fmt::join(ours.sizes(), ", "));
  }
  return run.state;
}

void FactoredModel::continue_from(const TensorMap& state, const Rng& rng) {
  Expectation total;
  for (const auto& block : part_.blocks()) {
    const std::string prefix = "model/" + block->name();
    total.sums[block->key()] = state.at(prefix + ".eta") - state.at(prefix + ".eta_prior");
    if (!state.count(prefix + ".t")) continue;
    const Tensor prior = block->eta_prior().clone();
    block->load(state);  // for the t of a family that goes on from it
    block->replace_prior(prior);
  }
  for (const auto& block : part_.blocks()) block->m_step(total, Step(), rng);
}

}  // namespace vem
