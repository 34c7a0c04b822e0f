// The recursions, written so that the compiler makes vectors of them: products of a few rows with a K x K matrix held
// in registers, then one pass over each row. With b_t the likelihoods of frame t over their maximum,
//   forward:  g_t = b_t (g_t-1 A) / sum g_t-1, filtered_t = g_t / sum g_t, gain_t = b_t / sum g_t;
//   backward: r_t = gain_t v_t, v_t-1 = A r_t, smoothed_t = filtered_t v_t, pairs_t = filtered_t-1,i A_ij r_t,j,
// so that a frame waits for the product of the one before and for nothing else.
#include "chain_sweep.h"

#include <limits>

#include "vem/core/exp_log.h"

namespace vem {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Entries of g_t and (scaled) transitions below this count as zero: even their product is no denormal number, which
// would be slow. The same for likelihoods below exp of the other.
constexpr double kExcluded = 1e-150, kLogExcluded = -345;
// A sequence of which less than this is left at a frame is lost: what was excluded, at most 1e-150 / 1e-60 of a frame,
// might have mattered.
constexpr double kLost = 1e-60;

constexpr int64_t kVector = 8;
// Numbers in each of the arrays of a block.
constexpr int64_t kBlockNumbers = int64_t{1} << 17;
int64_t padded(int64_t K) { return (K + kVector - 1) / kVector * kVector; }

/// Whole vectors, whatever the machine has: the compiler turns loops of a known few numbers into scalars.
using Vector = double __attribute__((vector_size(kVector * sizeof(double)), aligned(sizeof(double)), may_alias));
VEM_INLINE Vector& vector(double* x) { return *reinterpret_cast<Vector*>(x); }
VEM_INLINE const Vector& vector(const double* x) { return *reinterpret_cast<const Vector*>(x); }

/// For kRows rows and kWidth vectors of columns, all sums in registers: done(row, vector, sums). One row alone has two
/// sums a column, of even and of odd terms, so that not every term waits for the one before.
template <int kRows, int kWidth, class Done>
VEM_INLINE void tile(const double* a, const double* m, int64_t K, int64_t P, const Done& done) {
  constexpr int kSums = kRows == 1 ? 2 : 1;
  Vector sum[kRows * kSums][kWidth] = {};
  for (int64_t i = 0; i < K; i += kSums)  // rows beyond K are zeros
    for (int r = 0; r < kRows * kSums; ++r) {
      const int64_t row = kSums == 1 ? r : 0, term = kSums == 1 ? i : i + r;
      const double x = a[row * P + term];
      for (int j = 0; j < kWidth; ++j) sum[r][j] += x * vector(m + term * P + j * kVector);
    }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kWidth; ++j) done(r, j, kSums == 2 ? sum[r][j] + sum[kSums - 1][j] : sum[r][j]);
}

/// Rows a [rows, P] times m [P, P]: done(place in a [rows, P], the vector that belongs there).
template <int kRows, class Done>
VEM_INLINE void rows_times(int64_t row, const double* a, const double* m, int64_t K, int64_t P, const Done& done) {
  int64_t j = 0;
  const auto at = [&](int r, int v, const Vector& sum) { done((row + r) * P + j + v * kVector, sum); };
  for (; j + 2 * kVector <= P; j += 2 * kVector) tile<kRows, 2>(a + row * P, m + j, K, P, at);
  if (j < P) tile<kRows, 1>(a + row * P, m + j, K, P, at);
}
template <class Done>
VEM_INLINE void product(int64_t rows, const double* a, const double* m, int64_t K, int64_t P, const Done& done) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) rows_times<4>(r, a, m, K, P, done);
  for (; r < rows; ++r) rows_times<1>(r, a, m, K, P, done);
}

/// b = row - maximum, -infinity in the padding; returns the maximum (0 where the row is impossible). NaN stays NaN.
VEM_INLINE double subtract_maximum(const double* __restrict row, double* __restrict b, int64_t K, int64_t P) {
  double top = -kInfinity;
#pragma omp simd reduction(max : top)
  for (int64_t k = 0; k < K; ++k) top = row[k] > top ? row[k] : top;
  if (top == -kInfinity) top = 0;
  for (int64_t k = 0; k < K; ++k) b[k] = row[k] - top;
  for (int64_t k = K; k < P; ++k) b[k] = -kInfinity;
  return top;
}

/// The likelihoods of all rows of a block over their maxima, in the place of the gains.
VEM_CLONES void likelihoods(const Frames& f, const double* log_lik) {
  for (int64_t t = f.begin; t < f.end; ++t)
    for (int64_t s = 0, r = f.row(t); s < f.width(t); ++s, ++r)
      f.top[r] = subtract_maximum(log_lik + (f.start[s] + t) * f.K, f.gain + r * f.P, f.K, f.P);
  double* const b = f.gain + f.row(f.begin) * f.P;
  const int64_t numbers = (f.row(f.end) - f.row(f.begin)) * f.P;
#pragma omp simd
  for (int64_t i = 0; i < numbers; ++i) b[i] = b[i] < kLogExcluded ? 0 : exp_of(b[i]);
}

/// filtered = g / sum, gain = b / sum where g is not zero. Returns the sum, and one over it as `scale`.
VEM_INLINE double finish_row(const double* g, const double* b, double* filtered, double* gain, int64_t P,
                             double& scale) {
  Vector part = vector(g);
  for (int64_t k = kVector; k < P; k += kVector) part += vector(g + k);
  const double sum = ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
  scale = sum < kLost ? 0 : 1 / sum;  // NaN stays NaN
  for (int64_t k = 0; k < P; k += kVector) {
    const Vector own = vector(g + k), likelihood = vector(b + k) * scale;
    vector(filtered + k) = own * scale;
    vector(gain + k) = own == 0 ? Vector{} : likelihood;
  }
  return sum;
}

/// g where it is not excluded.
VEM_INLINE void keep(double* out, const Vector& g) { vector(out) = g < kExcluded ? Vector{} : g; }

/// P of whole vectors known to the compiler, or 0.
template <int kP>
VEM_INLINE void filter_rows(const Frames& f, const double* start, const double* matrix) {
  const int64_t P = kP > 0 ? kP : f.P, K = f.K;
  for (int64_t t = f.begin; t < f.end; ++t) {
    const int64_t rows = f.width(t), now = f.row(t), before = t > 0 ? f.row(t - 1) : 0;
    const double *const b = f.gain + now * P, *const scale = f.scale;
    double *const from = (t - f.begin) % 2 == 0 ? f.state : f.to, *const to = (t - f.begin) % 2 == 0 ? f.to : f.state;
    if (t == 0)
      for (int64_t i = 0; i < rows * P; i += kVector) keep(to + i, vector(start + i % P) * vector(b + i));
    else
      product(rows, from, matrix, K, P,
              [&](int64_t i, const Vector& sum) { keep(to + i, sum * (vector(b + i) * scale[i / P])); });
    for (int64_t s = 0; s < rows; ++s)
      f.sum[now + s] =
          finish_row(to + s * P, b + s * P, f.filtered + (now + s) * P, f.gain + (before + s) * P, P, f.scale[s]);
    if (t > 0) std::fill(f.gain + (before + rows) * P, f.gain + now * P, 0.0);  // sequences that end before t
  }
}

VEM_CLONES void filter_frames(const Frames& f, const double* start, const double* matrix) {
  switch (f.P) {
    case 8:
      return filter_rows<8>(f, start, matrix);
    case 16:
      return filter_rows<16>(f, start, matrix);
    case 32:
      return filter_rows<32>(f, start, matrix);
    default:
      return filter_rows<0>(f, start, matrix);
  }
}

/// pairs += filtered' r over `rows` rows.
VEM_INLINE void add_pairs(int64_t rows, const double* filtered, const double* r, double* pairs, int64_t P) {
  for (int64_t i = 0; i < P; i += kVector)
    for (int64_t j = 0; j < P; j += kVector) {
      Vector sum[kVector] = {};
      for (int64_t n = 0; n < rows; ++n)
        for (int a = 0; a < kVector; ++a) sum[a] += filtered[n * P + i + a] * vector(r + n * P + j);
      for (int a = 0; a < kVector; ++a) vector(pairs + (i + a) * P + j) += sum[a];
    }
}

/// The last frame first. f.back holds v of the last frame for the `after` sequences that go on after the block.
template <int kP>
VEM_INLINE void smooth_rows(const Frames& f, int64_t after, const double* transpose, const double* weight,
                            double* marginals, double* pairs) {
  const int64_t P = kP > 0 ? kP : f.P, K = f.K;
  constexpr int64_t kPairRows = 128;  // rows of filtered and r that are still in the nearest cache
  double* const v = f.back;
  int64_t pending = 0;
  for (int64_t t = f.end - 1; t >= f.begin; --t) {
    const int64_t rows = f.width(t), now = f.row(t);
    const double* const filtered = f.filtered + now * P;
    for (int64_t s = after; s < rows; ++s) std::fill_n(v + s * P, P, weight[s]);
    for (int64_t s = 0; s < rows; ++s) {
      double* const out = marginals + (f.start[s] + t) * K;
      for (int64_t k = 0; k < K; ++k) out[k] = filtered[s * P + k] * v[s * P + k];
    }
    after = rows;
    if (t == 0) break;
    const int64_t before = f.row(t - 1);
    double* const r = f.gain + before * P;
    for (int64_t i = 0; i < rows * P; i += kVector) vector(r + i) *= vector(v + i);
    product(rows, r, transpose, K, P, [&](int64_t i, const Vector& sum) { vector(v + i) = sum; });
    pending += now - before;
    if (pending < kPairRows) continue;
    add_pairs(pending, f.filtered + before * P, r, pairs, P);
    pending = 0;
  }
  add_pairs(pending, f.filtered, f.gain, pairs, P);
}

VEM_CLONES void smooth_frames(const Frames& f, int64_t after, const double* transpose, const double* weight,
                              double* marginals, double* pairs) {
  switch (f.P) {
    case 8:
      return smooth_rows<8>(f, after, transpose, weight, marginals, pairs);
    case 16:
      return smooth_rows<16>(f, after, transpose, weight, marginals, pairs);
    default:
      return smooth_rows<0>(f, after, transpose, weight, marginals, pairs);
  }
}

size_t numbers(int64_t rows, int64_t width = 1) { return static_cast<size_t>(rows * width); }

}  // namespace

Transitions::Transitions(const Potentials& p) : K(p.K), P(padded(p.K)) {
  const Tensor& log_a = p.log_transition;
  log_scale = K > 0 ? log_a.max().item<double>() : 0;
  if (log_scale == -kInfinity) log_scale = 0;
  matrix = at::zeros({P, P}, at::kDouble);
  const Tensor scaled = (log_a - log_scale).exp();
  matrix.slice(0, 0, K).slice(1, 0, K).copy_(scaled.masked_fill(scaled < kExcluded, 0));
  transpose = matrix.t().contiguous();
}

Sweep::Sweep(const Potentials& p, const Transitions& transitions, const SideBySide& group)
    : p_(p), transitions_(transitions), group_(group), bounds_{0} {
  const int64_t P = transitions.P, sequences = group.width(0), *const first = group.first.data();
  int64_t rows = 0;  // of a block and of the frame before it
  while (bounds_.back() < group.steps()) {
    const int64_t begin = bounds_.back(), before = first[std::max<int64_t>(begin - 1, 0)];
    int64_t end = begin + 1;
    while (end < group.steps() && (first[end + 1] - before) * P <= kBlockNumbers) ++end;
    bounds_.push_back(end);
    rows = std::max(rows, first[end] - before);
  }
  for (std::vector<double>* array : {&filtered_, &gain_}) array->resize(numbers(rows, P));
  for (std::vector<double>* array : {&sum_, &top_}) array->resize(numbers(rows));
  for (std::vector<double>* array : {&state_, &to_, &back_}) array->resize(numbers(sequences, P));
  scale_.resize(numbers(sequences));
  states_.resize(bounds_.size());
  states_[0] = {state_, scale_};
  pairs_.resize(numbers(P, P));
  lost_.resize(numbers(sequences), false);
  log_norm_.resize(numbers(sequences), 0.0);
  product_.resize(numbers(sequences), 1.0);
}

Frames Sweep::frames(size_t block) {
  return {group_.first.data(), group_.begin.data(), bounds_[block], bounds_[block + 1], p_.K,
          transitions_.P,      filtered_.data(),    gain_.data(),   sum_.data(),        top_.data(),
          state_.data(),       to_.data(),          back_.data(),   scale_.data()};
}

void Sweep::filter(size_t block) {
  const Frames f = frames(block);
  state_ = states_[block].rows;
  scale_ = states_[block].scale;
  if (f.begin > 0)
    for (int64_t s = 0; s < f.width(f.begin - 1); ++s)
      for (int64_t k = 0; k < f.P; ++k) f.filtered[s * f.P + k] = f.state[s * f.P + k] * f.scale[s];
  likelihoods(f, p_.log_lik.data_ptr<double>());
  filter_frames(f, start_.data(), transitions_.matrix.data_ptr<double>());
  filtered_block_ = block;
  states_[block + 1] = {(f.end - f.begin) % 2 == 0 ? state_ : to_, scale_};
}

void Sweep::forward(double* filtered) {
  const double shift = std::max(p_.log_start.max().item<double>(), -std::numeric_limits<double>::max());
  const Tensor start = at::zeros({transitions_.P}, at::kDouble);
  start.slice(0, 0, p_.K).copy_((p_.log_start - shift).exp());
  start_.assign(start.data_ptr<double>(), start.data_ptr<double>() + transitions_.P);
  std::fill(log_norm_.begin(), log_norm_.end(), shift);
  for (size_t block = 0; block + 1 < bounds_.size(); ++block) {
    filter(block);
    add_up(frames(block));
    if (filtered) write_filtered(frames(block), filtered);
  }
  for (size_t s = 0; s < log_norm_.size(); ++s) log_norm_[s] += std::log(product_[s]);
}

/// Logarithms of products of many sums, each of at least kLost unless the sequence is lost. Those of a block are added
/// up first: millions of small numbers that repeat would all be rounded the same way beside a large one.
void Sweep::add_up(const Frames& f) {
  constexpr double kSmall = 1e-200, kLarge = 1e200;
  std::vector<double> added(log_norm_.size(), 0.0);
  for (int64_t t = f.begin; t < f.end; ++t)
    for (int64_t s = 0, r = f.row(t); s < f.width(t); ++s, ++r) {
      const auto i = static_cast<size_t>(s);
      added[i] += f.top[r] + (t == 0 ? 0 : transitions_.log_scale);
      product_[i] *= f.sum[r];
      if (f.sum[r] < kLost) lost_[i] = true;
      if (product_[i] > kSmall && product_[i] < kLarge) continue;
      added[i] += std::log(product_[i]);
      product_[i] = 1;
    }
  for (size_t i = 0; i < added.size(); ++i) log_norm_[i] += added[i];
}

void Sweep::write_filtered(const Frames& f, double* marginals) const {
  for (int64_t t = f.begin; t < f.end; ++t)
    for (int64_t s = 0; s < f.width(t); ++s)
      std::copy_n(f.filtered + (f.row(t) + s) * f.P, f.K, marginals + (f.start[s] + t) * f.K);
}

void Sweep::backward(const double* weight, double* marginals) {
  std::vector<double> weights;
  for (const int64_t item : group_.items) weights.push_back(weight[item]);
  for (size_t block = bounds_.size() - 1; block-- > 0;) {
    if (block != filtered_block_) filter(block);
    const Frames f = frames(block);
    smooth_frames(f, group_.width(f.end), transitions_.transpose.data_ptr<double>(), weights.data(), marginals,
                  pairs_.data());
  }
}

Tensor Sweep::transition_sums() const {
  const int64_t K = p_.K, P = transitions_.P;
  const Tensor pairs = at::empty({P, P}, at::kDouble);
  std::copy(pairs_.begin(), pairs_.end(), pairs.data_ptr<double>());
  return (pairs * transitions_.matrix).slice(0, 0, K).slice(1, 0, K);
}

}  // namespace vem
