// The closed-form E-step of any allocation x observation: chunks of about 256 rows (whole items where items are
// ragged), whose statistics are formed once and used for both matrix products, the log-likelihoods and the sums.
#include "vem/infer/factored.h"

#include "row_groups.h"
#include "vem/core/error.h"

namespace vem {
namespace {

// Stands for log 0 in a start: far enough for a weight of zero, and finite.
constexpr double kLogZero = -1e4;

Tensor plus(const Tensor& a, const Tensor& b) { return a.defined() ? a + b : b; }

/// The items that each chunk begins with, and their number at the end: [0, 0] for an empty batch.
std::vector<int64_t> chunk_bounds(const Batch& batch) {
  const int64_t items = batch.size();
  std::vector<int64_t> bounds{0};
  const Tensor offsets = batch.offsets.defined() ? batch.offsets.contiguous() : batch.offsets;
  const int64_t* rows = offsets.defined() ? offsets.data_ptr<int64_t>() : nullptr;
  for (int64_t item = 1; item < items; ++item) {
    const int64_t begin = bounds.back();
    if ((rows ? rows[item] - rows[begin] : item - begin) >= kRowsPerChunk) bounds.push_back(item);
  }
  bounds.push_back(items);
  return bounds;
}

struct Chunk {
  Batch batch;  // without the column of rows
  int64_t first_row, last_row;
};

Chunk chunk_of(const Batch& batch, int64_t begin, int64_t end) {
  Chunk chunk{{}, begin, end};
  if (batch.offsets.defined()) {
    const Tensor offsets = batch.offsets.slice(0, begin, end + 1);
    chunk.first_row = offsets[0].item<int64_t>();
    chunk.last_row = offsets[end - begin].item<int64_t>();
    chunk.batch.offsets = offsets - chunk.first_row;
  }
  for (const auto& [name, column] : batch.columns)
    if (name != "x") chunk.batch.columns[name] = column.slice(0, chunk.first_row, chunk.last_row);
  chunk.batch.index = batch.index.slice(0, begin, end);
  chunk.batch.weight = batch.weight.slice(0, begin, end);
  for (const auto& [name, state] : batch.local) chunk.batch.local[name] = state.slice(0, begin, end);
  return chunk;
}

/// The sums of one group of chunks.
struct Part {
  Tensor components;  // sums of the features of complete chunks
  Tensor incomplete;  // of chunks with missing cells
  Tensor count, bound;
  TensorMap sums;
  std::map<std::string, std::vector<Tensor>> local;
};

/// In place: the sums of components are too large to be copied a chunk.
void add(Tensor& total, const Tensor& part) {
  if (!part.defined()) return;
  if (total.defined())
    total.add_(part);
  else
    total = part.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
}

/// Adds a part to a total of its own.
void merge(Part& total, const Part& part) {
  add(total.components, part.components);
  add(total.incomplete, part.incomplete);
  total.count = plus(total.count, part.count);
  total.bound = plus(total.bound, part.bound);
  for (const auto& [key, value] : part.sums) total.sums[key] = plus(total.sums[key], value);
  for (const auto& [key, values] : part.local) {
    std::vector<Tensor>& all = total.local[key];
    all.insert(all.end(), values.begin(), values.end());
  }
}

}  // namespace

std::vector<std::shared_ptr<ConjugateBlock>> Factored::blocks() const {
  std::vector<std::shared_ptr<ConjugateBlock>> blocks = allocation_->blocks();
  for (const auto& block : observation_->blocks()) blocks.push_back(block);
  return blocks;
}

TensorMap Factored::point() const {
  TensorMap point;
  for (const auto& block : blocks()) point[block->key()] = block->t().detach();
  return point;
}

void Factored::set_priors(const Moments& moments) {
  allocation_->set_priors();
  observation_->set_priors(moments);
}

Tensor Factored::log_norm(const Tensor& s, const Batch& batch, const TensorMap& globals) const {
  const Tensor log_lik = observation_->log_lik(s, observation_->point(globals));
  return allocation_->log_norm(log_lik.to(at::kDouble), batch, globals);
}

Expectation Factored::expect(const Tensor& x, const Batch& batch, const TensorMap& globals, const Rng* draw) const {
  return expect([&](int64_t begin, int64_t end) { return x.slice(0, begin, end); }, batch, globals, draw);
}

Expectation Factored::expect(const RowReader& rows, const Batch& batch, const TensorMap& globals,
                             const Rng* draw) const {
  return sum_rows(rows, batch, globals, nullptr, draw);
}

Expectation Factored::assign(const Tensor& x, const Batch& batch, const Tensor& responsibilities) const {
  const bool hard = responsibilities.dim() == 1;
  if (responsibilities.size(0) != x.size(0) || (!hard && responsibilities.size(1) != num_components()))
    fail<Error>("factored.assign: responsibilities have shape [{}] but [{}, {}] is expected",
                fmt::join(responsibilities.sizes(), ", "), x.size(0), num_components());
  // Where the allocation prefers no component, the posterior of log r is r; what it prefers among rows is taken off.
  const TensorMap at_point = point();
  const Tensor preferred = allocation_->independent_rows()
                               ? allocation_->log_joint(at::zeros({1, num_components()}, at::kDouble), at_point)
                               : at::zeros({1, num_components()}, at::kDouble);
  const auto log_r = [&](int64_t begin, int64_t end) {
    const Tensor r = responsibilities.slice(0, begin, end);
    return (hard ? at::one_hot(r, num_components()) : r).to(at::kDouble).log().clamp_min(kLogZero) - preferred;
  };
  const RowReader rows = [&](int64_t begin, int64_t end) { return x.slice(0, begin, end); };
  Expectation e = sum_rows(rows, batch, at_point, log_r, nullptr);
  e.bound = at::zeros_like(e.bound);
  return e;
}

Expectation Factored::sum_rows(const RowReader& rows, const Batch& batch, const TensorMap& globals, const LogR& log_r,
                               const Rng* draw) const {
  at::NoGradGuard no_grad;
  TensorMap at_point;
  for (const auto& [key, value] : globals) at_point[key] = value.detach();
  const Tensor t = observation_->point(at_point);
  const auto complete = observation_->kernel(t, log_r != nullptr), incomplete = observation_->incomplete_kernel(t);
  const std::vector<int64_t> bounds = chunk_bounds(batch);
  const auto num_chunks = static_cast<int64_t>(bounds.size()) - 1;
  const auto sum_chunk = [&](int64_t c) {
    const Chunk chunk = chunk_of(batch, bounds[static_cast<size_t>(c)], bounds[static_cast<size_t>(c + 1)]);
    const Tensor x = rows(chunk.first_row, chunk.last_row);
    const bool gaps = incomplete && std::isnan(x.sum().item<double>());
    const RowKernel& kernel = gaps ? *incomplete : *complete;
    const Tensor features = kernel.features(x);
    const Tensor log_lik = log_r ? log_r(chunk.first_row, chunk.last_row) : kernel.log_lik(features);
    Allocation::Counts counts = draw ? allocation_->draw(log_lik, chunk.batch, at_point, *draw)
                                     : allocation_->expect(log_lik, chunk.batch, at_point);
    Part part;
    (gaps ? part.incomplete : part.components) = draw
                                                     ? kernel.drawn_sums(features, counts.marginals, chunk.batch, *draw)
                                                     : kernel.sums(features, counts.marginals);
    part.count = chunk.batch.weight.sum();
    part.bound = counts.bound;
    part.sums = counts.sums;
    for (auto& [key, value] : counts.local) part.local[key] = {value};
    return part;
  };
  const auto sum_group = [&](int64_t first, int64_t last) {
    Part sum;
    for (int64_t c = first; c < last; ++c) merge(sum, sum_chunk(c));
    return sum;
  };
  Part total;
  for (const Part& part : map_groups(num_chunks, num_groups(num_chunks, t.numel()), sum_group))
    if (part.count.defined()) merge(total, part);
  Tensor statistics;
  if (total.components.defined()) add(statistics, complete->statistics(total.components));
  if (total.incomplete.defined()) add(statistics, incomplete->statistics(total.incomplete));
  Expectation e{total.count, total.bound, std::move(total.sums), {}, {}};
  e.sums.merge(observation_->spread(statistics));
  for (const auto& [key, values] : total.local) e.local[key] = at::cat(values);
  return e;
}

void Factored::start(const Tensor& x, const Batch& batch, const Tensor& responsibilities, const Rng& rng) {
  const Expectation total = assign(x, batch, responsibilities);
  for (const auto& block : blocks()) block->m_step(total, Step(), rng);
}

std::pair<Tensor, Tensor> Factored::sample(int64_t n, const Rng& rng) const {
  at::NoGradGuard no_grad;
  const Tensor component = allocation_->sample(n, point(), rng);
  const bool predictive = observation_->context().estimate == Estimate::posterior;
  return {predictive ? observation_->sample_predictive(component, rng)
                     : observation_->sample(component, observation_->point(), rng),
          component};
}

}  // namespace vem
