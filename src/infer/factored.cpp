// The closed-form E-step of any allocation x observation: chunks of 256 rows or more (whole items where items are
// ragged), whose features are formed once, stay in the cache and are used for both matrix products, the
// log-likelihoods and the sums. A long item is taken in blocks of its rows, which needs memory for [rows, K] but never
// for all features.
#include "vem/infer/factored.h"

#include <limits>

#include "row_groups.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/core/missing.h"

namespace vem {
namespace {

// Stands for log 0 in a start: far enough for a weight of zero, and finite.
constexpr double kLogZero = -1e4;
// Stands for the log of a probability of 0 where items are impossible without: below what a possible item reaches.
constexpr double kLogImpossible = -1e9;
// Chunks with so many rows more than are asked for are long: one item whose blocks are worth spreading over threads.
constexpr int64_t kLongRows = 64 * kRowsPerChunk;
// Numbers in the features of a block of rows or in its log-likelihoods, which stay in the cache, and its largest
// number of rows: many blocks of few numbers would cost more in calls than in work.
constexpr int64_t kBlockNumbers = int64_t{1} << 17, kMostBlockRows = 4096;
// Log-likelihoods of a chunk of sequences, which are worked on side by side.
constexpr int64_t kSequenceNumbers = int64_t{1} << 17;

/// Log-likelihoods in the place of those of the rows.
using LogR = RowReader;

Tensor plus(const Tensor& a, const Tensor& b) { return a.defined() ? a + b : b; }

/// t with this number in the place of -infinity.
Tensor without_zeros(const Tensor& t, double log_zero) { return t.masked_fill(t.eq(-kInfinity), log_zero); }
TensorMap without_zeros(TensorMap point, double log_zero) {
  for (auto& entry : point) entry.second = without_zeros(entry.second, log_zero);
  return point;
}

/// Whether a bound, or those of several models side by side, are finite.
bool all_finite(const Tensor& bound) {
  const Tensor numbers = bound.contiguous();
  const double* const begin = numbers.data_ptr<double>();
  return std::all_of(begin, begin + numbers.numel(), [](double x) { return std::isfinite(x); });
}

/// What chunks whose bound is not finite are looked at with: the exact log-likelihoods of rows, -infinity where they
/// are impossible; and the same after every probability of 0 was replaced by a tiny one.
struct CarefulLook {
  RowReader log_lik, log_lik_without_zeros;
  TensorMap point_without_zeros;
};

/// The items that each chunk of at least so many rows begins with, and their number at the end: [0, 0] for an empty
/// batch.
std::vector<int64_t> chunk_bounds(const Batch& batch, int64_t chunk_rows) {
  const int64_t items = batch.size();
  std::vector<int64_t> bounds{0};
  const Tensor offsets = batch.offsets.defined() ? batch.offsets.contiguous() : batch.offsets;
  const int64_t* rows = offsets.defined() ? offsets.data_ptr<int64_t>() : nullptr;
  for (int64_t item = 1; item < items; ++item) {
    const int64_t begin = bounds.back();
    if ((rows ? rows[item] - rows[begin] : item - begin) >= chunk_rows) bounds.push_back(item);
  }
  bounds.push_back(items);
  return bounds;
}

int64_t num_rows(const Batch& batch, const std::vector<int64_t>& bounds, int64_t chunk) {
  const int64_t begin = bounds[static_cast<size_t>(chunk)], end = bounds[static_cast<size_t>(chunk + 1)];
  return batch.offsets.defined() ? (batch.offsets[end] - batch.offsets[begin]).item<int64_t>() : end - begin;
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

/// One E-step's way with a chunk: log-likelihoods, the allocation, sums. Rows of a chunk that is long are taken in
/// blocks whose features are formed anew for the sums, so that no more than a block of them exists at a time.
class ChunkSums {
 public:
  ChunkSums(const Allocation& allocation, const RowKernel& complete, const RowKernel* incomplete, const RowReader& rows,
            const TensorMap& point, const LogR& log_r, const CarefulLook& careful, const Rng* draw,
            int64_t num_components, int64_t numel, int64_t width)
      : allocation_(allocation),
        complete_(complete),
        incomplete_(incomplete),
        rows_(rows),
        point_(point),
        log_r_(log_r),
        careful_(careful),
        draw_(draw),
        K_(num_components),
        numel_(numel),
        block_rows_(std::clamp(kBlockNumbers / std::max({width, K_, int64_t{1}}), kRowsPerChunk, kMostBlockRows)) {}

  /// Numbers in the sums of components.
  int64_t numel() const { return numel_; }
  int64_t chunk_rows() const {
    return allocation_.independent_rows() ? block_rows_ : std::max(kRowsPerChunk, kSequenceNumbers / K_);
  }

  Part operator()(const Chunk& chunk) const {
    const int64_t rows = chunk.last_row - chunk.first_row, num_blocks = std::max<int64_t>(1, rows / block_rows_);
    Block only;
    Tensor log_lik;
    if (num_blocks == 1) {
      only = read(chunk.first_row, chunk.last_row);
      log_lik = log_lik_of(only, chunk.first_row, chunk.last_row);
    } else {
      log_lik = long_log_lik(chunk, num_blocks, [this](int64_t begin, int64_t end) {
        return log_r_ ? log_r_(begin, end) : log_lik_of(read(begin, end), begin, end);
      });
    }
    Allocation::Counts counts = draw_ ? allocation_.draw(log_lik, chunk.batch, point_, *draw_)
                                      : allocation_.expect(log_lik, chunk.batch, point_);
    log_lik = Tensor();
    if (!draw_ && !log_r_ && !all_finite(counts.bound)) counts = careful_counts(chunk, num_blocks);
    Part part;
    if (num_blocks == 1)
      add_block(part, only, counts.marginals, noise(names(chunk.batch), 0, rows));
    else
      part = long_sums(chunk, counts.marginals, num_blocks);
    part.count = chunk.batch.weight.sum();
    part.bound = counts.bound;
    part.sums = counts.sums;
    for (auto& [key, value] : counts.local) part.local[key] = {value};
    return part;
  }

 private:
  struct Block {
    const RowKernel* kernel;
    Tensor features;
  };

  Block read(int64_t begin, int64_t end) const {
    const Tensor x = rows_(begin, end);
    const RowKernel* kernel = incomplete_ && has_missing(x) ? incomplete_ : &complete_;
    return {kernel, kernel->features(x)};
  }
  Tensor log_lik_of(const Block& block, int64_t begin, int64_t end) const {
    return log_r_ ? log_r_(begin, end) : block.kernel->log_lik(block.features);
  }
  /// Adds the sums of a block, whose rows have these marginals.
  void add_block(Part& part, const Block& block, const Tensor& marginals, const RowNoise& noise) const {
    const Tensor own = marginals.to(block.features.scalar_type());
    add(block.kernel == incomplete_ ? part.incomplete : part.components,
        draw_ ? block.kernel->drawn_sums(block.features, own, noise) : block.kernel->sums(block.features, own));
  }
  /// What random numbers know rows by; nothing where none are drawn.
  struct Names {
    Tensor item, place;
  };
  Names names(const Batch& batch) const {
    if (!draw_) return {};
    if (!batch.offsets.defined()) return {batch.index, {}};
    const Tensor item = batch.row_item();
    return {batch.index.index_select(0, item),
            at::arange(item.size(0), at::kLong) - batch.offsets.index_select(0, item)};
  }
  RowNoise noise(const Names& all, int64_t begin, int64_t end) const {
    return [this, all, begin, end](const Shape& shape, std::string_view stream) {
      return draw_->normal(all.item.slice(0, begin, end), shape, stream, at::kDouble,
                           all.place.defined() ? all.place.slice(0, begin, end) : Tensor());
    };
  }

  static std::pair<int64_t, int64_t> block_rows(const Chunk& chunk, int64_t b, int64_t num_blocks) {
    const int64_t rows = chunk.last_row - chunk.first_row;
    return {chunk.first_row + b * rows / num_blocks, chunk.first_row + (b + 1) * rows / num_blocks};
  }
  /// The bound as it is: -infinity where an item is impossible, at these parameters or in the range of numbers. Then
  /// the sums are the limit of those with tiny probabilities in the place of 0: an item that has what no component has
  /// seen yet (in a batch of stochastic EM, in a run that goes on with other data) is learnt from and not left out.
  Allocation::Counts careful_counts(const Chunk& chunk, int64_t num_blocks) const {
    const Allocation::Counts exact =
        allocation_.expect(long_log_lik(chunk, num_blocks, careful_.log_lik), chunk.batch, point_);
    if (!exact.bound.eq(-kInfinity).any().item<bool>()) return exact;
    Allocation::Counts counts = allocation_.expect(long_log_lik(chunk, num_blocks, careful_.log_lik_without_zeros),
                                                   chunk.batch, careful_.point_without_zeros);
    counts.bound = exact.bound;
    return counts;
  }
  Tensor long_log_lik(const Chunk& chunk, int64_t num_blocks, const RowReader& log_lik) const {
    const Tensor all = at::empty({chunk.last_row - chunk.first_row, K_}, at::kDouble);
    at::parallel_for(0, num_blocks, 1, [&](int64_t first, int64_t last) {
      const at::NoGradGuard no_grad;
      const OneThreadOfMkl one_thread;
      for (int64_t b = first; b < last; ++b) {
        const auto [begin, end] = block_rows(chunk, b, num_blocks);
        all.slice(0, begin - chunk.first_row, end - chunk.first_row).copy_(log_lik(begin, end));
      }
    });
    return all;
  }
  Part long_sums(const Chunk& chunk, const Tensor& marginals, int64_t num_blocks) const {
    const Names all = names(chunk.batch);
    Part total;
    for (const Part& part : map_groups(num_blocks, num_groups(num_blocks, numel_), [&](int64_t first, int64_t last) {
           Part sum;
           for (int64_t b = first; b < last; ++b) {
             const auto [begin, end] = block_rows(chunk, b, num_blocks);
             const int64_t from = begin - chunk.first_row, to = end - chunk.first_row;
             add_block(sum, read(begin, end), marginals.slice(0, from, to), noise(all, from, to));
           }
           return sum;
         })) {
      add(total.components, part.components);
      add(total.incomplete, part.incomplete);
    }
    return total;
  }

  const Allocation& allocation_;
  const RowKernel& complete_;
  const RowKernel* const incomplete_;
  const RowReader& rows_;
  const TensorMap& point_;
  const LogR& log_r_;
  const CarefulLook& careful_;
  const Rng* const draw_;
  const int64_t K_, numel_, block_rows_;
};

/// All chunks of a batch: short ones spread over the threads, long ones one after the other with their blocks spread.
Part sum_chunks_of(const Batch& batch, const ChunkSums& sums) {
  const std::vector<int64_t> bounds = chunk_bounds(batch, sums.chunk_rows());
  const auto chunk_at = [&](int64_t c) {
    return chunk_of(batch, bounds[static_cast<size_t>(c)], bounds[static_cast<size_t>(c + 1)]);
  };
  const int64_t num_chunks = static_cast<int64_t>(bounds.size()) - 1, long_rows = sums.chunk_rows() + kLongRows;
  Part total;
  for (int64_t first = 0, last; first < num_chunks; first = last) {
    last = first;
    while (last < num_chunks && num_rows(batch, bounds, last) < long_rows) ++last;
    const auto sum_group = [&](int64_t begin, int64_t end) {
      Part sum;
      for (int64_t c = first + begin; c < first + end; ++c) merge(sum, sums(chunk_at(c)));
      return sum;
    };
    for (const Part& part : map_groups(last - first, num_groups(last - first, sums.numel()), sum_group))
      if (part.count.defined()) merge(total, part);
    if (last < num_chunks) merge(total, sums(chunk_at(last++)));
  }
  return total;
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

Expectation Factored::expect(const RowReader& rows, const Batch& batch, const TensorMap& globals,
                             const Rng* draw) const {
  return sum_rows(rows, batch, globals, nullptr, draw);
}

Expectation Factored::assign(const RowReader& rows, const Batch& batch, const RowReader& responsibilities) const {
  // Where the allocation prefers no component, the posterior of log r is r; what it prefers among rows is taken off.
  const TensorMap at_point = without_zeros(point(), kLogZero);
  const Tensor preferred = allocation_->independent_rows()
                               ? allocation_->log_joint(at::zeros({1, num_components()}, at::kDouble), at_point)
                               : at::zeros({1, num_components()}, at::kDouble);
  const auto log_r = [&](int64_t begin, int64_t end) {
    const Tensor r = responsibilities(begin, end);
    const bool hard = r.dim() == 1;
    if (r.size(0) != end - begin || (!hard && r.size(1) != num_components()))
      fail<Error>("factored.assign: responsibilities of rows {} to {} have shape [{}] but [{}, {}] is expected", begin,
                  end, fmt::join(r.sizes(), ", "), end - begin, num_components());
    return (hard ? at::one_hot(r, num_components()) : r).to(at::kDouble).log().clamp_min(kLogZero) - preferred;
  };
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
  const auto complete = on_one_thread([&] { return observation_->kernel(t, log_r != nullptr); }),
             incomplete = on_one_thread([&] { return observation_->incomplete_kernel(t); });
  const RowReader wide = [&](int64_t begin, int64_t end) {
    return with_history(rows, batch.offsets, begin, end, observation_->lags());
  };
  const int64_t columns = observation_->context().num_features * (1 + observation_->lags());
  const int64_t width = complete->features(at::zeros({0, columns}, at::kDouble)).size(1);
  const auto log_lik_at = [&](const Tensor& at) -> RowReader {
    return [&wide, at, this](int64_t begin, int64_t end) { return observation_->log_prob(wide(begin, end), at); };
  };
  const CarefulLook careful{log_lik_at(t), log_lik_at(without_zeros(t, kLogImpossible)),
                            without_zeros(at_point, kLogImpossible)};
  const ChunkSums sums{*allocation_, *complete, incomplete.get(), wide,      at_point, log_r,
                       careful,      draw,      t.size(0),        t.numel(), width};
  Part total = sum_chunks_of(batch, sums);
  Tensor statistics;
  if (total.components.defined()) add(statistics, complete->statistics(total.components));
  if (total.incomplete.defined()) add(statistics, incomplete->statistics(total.incomplete));
  Expectation e{total.count, total.bound, std::move(total.sums), {}, {}};
  e.sums.merge(on_one_thread([&] { return observation_->spread(statistics); }));
  for (const auto& [key, values] : total.local) e.local[key] = at::cat(values);
  return e;
}

void Factored::start(const RowReader& rows, const Batch& batch, const RowReader& responsibilities, const Rng& rng) {
  const Expectation total = assign(rows, batch, responsibilities);
  for (const auto& block : blocks()) block->m_step(total, Step(), rng);
}

std::pair<Tensor, Tensor> Factored::sample(const Tensor& index, const Rng& rng) const {
  at::NoGradGuard no_grad;
  const Tensor component = allocation_->sample(index, rng);
  const bool predictive = observation_->context().estimate == Estimate::posterior;
  return {predictive ? observation_->sample_predictive(index, component, rng)
                     : observation_->sample(index, component, observation_->point(), rng),
          component};
}

}  // namespace vem
