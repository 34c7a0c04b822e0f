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
  Tensor components, count, bound;
  TensorMap sums;
  std::map<std::string, std::vector<Tensor>> local;
};

/// Adds a part to a total of its own; the sums of components are too large to be copied a chunk.
void merge(Part& total, const Part& part) {
  if (total.components.defined())
    total.components.add_(part.components);
  else
    total.components = part.components.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  total.count = plus(total.count, part.count);
  total.bound = plus(total.bound, part.bound);
  for (const auto& [key, value] : part.sums) total.sums[key] = plus(total.sums[key], value);
  for (const auto& [key, values] : part.local) {
    std::vector<Tensor>& all = total.local[key];
    all.insert(all.end(), values.begin(), values.end());
  }
}

}  // namespace

Factored::Factored(const std::string& prefix, int64_t num_components, Estimate estimate,
                   std::shared_ptr<Allocation> allocation, std::shared_ptr<Observation> observation)
    : allocation_(std::move(allocation)),
      observation_(std::move(observation)),
      components_(
          std::make_shared<ConjugateBlock>(prefix + "components", observation_->family(), num_components, estimate)) {}

std::vector<std::shared_ptr<ConjugateBlock>> Factored::blocks() const {
  std::vector<std::shared_ptr<ConjugateBlock>> blocks = allocation_->blocks();
  blocks.push_back(components_);
  return blocks;
}

void Factored::set_priors(const Moments& moments) {
  allocation_->set_priors();
  components_->set_prior(observation_->prior(num_components(), moments));
}

Tensor Factored::log_norm(const Tensor& s, const Batch& batch, const TensorMap& globals) const {
  const Tensor log_lik = observation_->log_lik(s, globals.at(components_->key()));
  return allocation_->log_norm(log_lik.to(at::kDouble), batch, globals);
}

Expectation Factored::expect(const Tensor& x, const Batch& batch, const TensorMap& globals) const {
  return expect([&](int64_t begin, int64_t end) { return x.slice(0, begin, end); }, batch, globals);
}

Expectation Factored::expect(const RowReader& rows, const Batch& batch, const TensorMap& globals) const {
  const auto kernel = observation_->kernel(globals.at(components_->key()).detach());
  return sum_rows(rows, batch, globals, *kernel,
                  [&](const Tensor& features, int64_t, int64_t) { return kernel->log_lik(features); });
}

Expectation Factored::assign(const Tensor& x, const Batch& batch, const Tensor& responsibilities) const {
  const bool hard = responsibilities.dim() == 1;
  if (responsibilities.size(0) != x.size(0) || (!hard && responsibilities.size(1) != num_components()))
    fail<Error>("factored.assign: responsibilities have shape [{}] but [{}, {}] is expected",
                fmt::join(responsibilities.sizes(), ", "), x.size(0), num_components());
  TensorMap globals;
  for (const auto& block : blocks()) globals.merge(block->globals());
  const auto kernel = observation_->kernel(globals.at(components_->key()).detach(), true);
  // Where the allocation prefers no component, the posterior of log r is r.
  const auto log_r = [&](const Tensor&, int64_t begin, int64_t end) {
    const Tensor r = responsibilities.slice(0, begin, end);
    return (hard ? at::one_hot(r, num_components()) : r).to(at::kDouble).log().clamp_min(kLogZero);
  };
  const RowReader rows = [&](int64_t begin, int64_t end) { return x.slice(0, begin, end); };
  Expectation e = sum_rows(rows, batch, globals, *kernel, log_r);
  e.bound = at::zeros_like(e.bound);
  return e;
}

Expectation Factored::sum_rows(const RowReader& rows, const Batch& batch, const TensorMap& globals,
                               const RowKernel& kernel, const LogLik& log_lik) const {
  at::NoGradGuard no_grad;
  TensorMap at_point;
  for (const auto& [key, value] : globals) at_point[key] = value.detach();
  const std::vector<int64_t> bounds = chunk_bounds(batch);
  const auto num_chunks = static_cast<int64_t>(bounds.size()) - 1;
  const auto sum_chunk = [&](int64_t c) {
    const Chunk chunk = chunk_of(batch, bounds[static_cast<size_t>(c)], bounds[static_cast<size_t>(c + 1)]);
    const Tensor features = kernel.features(rows(chunk.first_row, chunk.last_row));
    const Tensor log_likelihoods = log_lik(features, chunk.first_row, chunk.last_row);
    Allocation::Counts counts = allocation_->expect(log_likelihoods, chunk.batch, at_point);
    Part part{kernel.sums(features, counts.marginals), chunk.batch.weight.sum(), counts.bound, counts.sums, {}};
    for (auto& [key, value] : counts.local) part.local[key] = {value};
    return part;
  };
  const auto sum_group = [&](int64_t first, int64_t last) {
    Part sum;
    for (int64_t c = first; c < last; ++c) merge(sum, sum_chunk(c));
    return sum;
  };
  Part total;
  const int64_t numel = at_point.at(components_->key()).numel();
  for (const Part& part : map_groups(num_chunks, num_groups(num_chunks, numel), sum_group))
    if (part.count.defined()) merge(total, part);
  Expectation e{total.count, total.bound, std::move(total.sums), {}, {}};
  e.sums[components_->key()] = kernel.statistics(total.components);
  for (const auto& [key, values] : total.local) e.local[key] = at::cat(values);
  return e;
}

void Factored::start(const Tensor& x, const Batch& batch, const Tensor& responsibilities) {
  const Expectation total = assign(x, batch, responsibilities);
  for (const auto& block : blocks()) block->m_step(total, Step(), Rng(0));
}

std::pair<Tensor, Tensor> Factored::sample(int64_t n, const Rng& rng) const {
  at::NoGradGuard no_grad;
  TensorMap globals;
  for (const auto& block : blocks()) globals.merge(block->globals());
  const Tensor component = allocation_->sample(n, globals, rng);
  const bool predictive = components_->estimate() == Estimate::posterior;
  return {predictive ? observation_->sample_predictive(component, components_->eta(), rng)
                     : observation_->sample(component, components_->t().detach(), rng),
          component};
}

}  // namespace vem
