// The recursions, written so that the compiler makes vectors of them: products of a few rows with a K x K matrix held
// in registers (chain_vectors.h), then one pass over each row. With b_t the likelihoods of frame t over their maximum,
//   forward:  g_t = b_t (g_t-1 A) / p_t-2, filtered_t = g_t / sum g_t, p_t = p_t-2 sum g_t / sum g_t-1;
//   backward: r_t = b_t v_t / p_t, v_t-1 = A r_t, smoothed_t = filtered_t v_t, pairs_t = filtered_t-1,i A_ij r_t,j.
// p_t is the likelihood of frame t given those before, and sum g_t = p_t p_t-1: dividing by p of two frames before
// keeps numbers in range, and a frame waits for the product of the one before and for no sum and no division.
#include "chain_sweep.h"

#include <limits>

#include "chain_vectors.h"
#include "vem/core/exp_log.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

using namespace chain_vectors;

// Entries of g_t and (scaled) transitions below these count as zero: even their product is no denormal number, which
// would be slow. Likewise likelihoods below exp of the other.
constexpr double kExcluded = 1e-200, kExcludedTransition = 1e-100, kLogExcluded = -345;
// A sequence is lost at a frame whose p_t is below this: what was excluded, at most 1e-200 of a sum of at least the
// square of this, might have mattered.
constexpr double kLost = 1e-60;

// Numbers in each of the arrays of a block.
constexpr int64_t kSweepNumbers = int64_t{1} << 17;

/// Log-likelihoods of the chain [R, K].
struct LogLik {
  const double *begin, *end;
  int64_t K;
  const double* row(int64_t r) const { return begin + r * K; }
};

/// x = the numbers k .. of a row of K, -infinity beyond it. What lies before `end` may be read.
VEM_INLINE void load(const double* row, int64_t k, int64_t K, const double* end, Vector& x) {
  const Vector place = {0, 1, 2, 3, 4, 5, 6, 7}, nothing = Vector{} - kInfinity;
  if (k + kVector <= K) {
    x = packed(row + k).numbers;
  } else if (row + k + kVector <= end) {
    x = place < static_cast<double>(K - k) ? packed(row + k).numbers : nothing;
  } else {
    x = nothing;
    for (int64_t i = k; i < K; ++i) x[i - k] = row[i];
  }
}

/// b = exp(row - maximum), zeros in the padding; returns the maximum (0 where the row is impossible). NaN stays NaN.
VEM_INLINE double likelihoods(const double* row, double* b, int64_t K, int64_t P, const double* end) {
  using Bits = uint64_t __attribute__((vector_size(kVector * sizeof(uint64_t))));
  Vector top, x, likelihood;
  load(row, 0, K, end, top);
  for (int64_t k = kVector; k < P; k += kVector) {
    load(row, k, K, end, x);
    top = x > top ? x : top;
  }
  spread_maximum(top);
  top = top == -kInfinity ? Vector{} : top;
  for (int64_t k = 0; k < P; k += kVector) {
    load(row, k, K, end, x);
    x -= top;
    exp_inside<Bits>(x, likelihood);
    packed(b + k).numbers = x < kLogExcluded ? Vector{} : likelihood;
  }
  return top[0];
}

/// filtered = g / sum g, gain = b / p where g is not zero. Returns p; the factors move on by a frame.
VEM_INLINE double finish_row(const double* g, const double* b, double* filtered, double* gain, int64_t P,
                             FrameScale& scale) {
  Vector part = packed(g).numbers;
  for (int64_t k = kVector; k < P; k += kVector) part += packed(g + k).numbers;
  const double sum = ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
  const double given = scale.sum * scale.next, p = scale.inverse == 0 ? 0 : sum / given;  // lost stays lost
  const double inverse = p < kLost ? 0 : 1 / sum, factor = given * inverse;               // NaN stays NaN
  for (int64_t k = 0; k < P; k += kVector) {
    const Vector own = packed(g + k).numbers, likelihood = packed(b + k).numbers * factor;
    packed(filtered + k).numbers = own * inverse;
    packed(gain + k).numbers = own == 0 ? Vector{} : likelihood;
  }
  scale = {sum, inverse, scale.after, factor};
  return p;
}

/// g where it is not excluded, in memory and in `kept`.
VEM_INLINE void keep(double* out, const Vector& g, Vector& kept) {
  kept = g < kExcluded ? Vector{} : g;
  packed(out).numbers = kept;
}

/// Frames of one sequence of few states: g stays in registers, and likelihoods are formed while products wait for the
/// frame before.
template <int kVectors>
VEM_INLINE void filter_alone(const Frames& f, const LogLik& log_lik, const double* start, const double* matrix) {
  constexpr int64_t P = kVectors * kVector;
  const int64_t first = f.row(f.begin), frames = f.end - f.begin;
  const double* from = log_lik.row(*f.start + f.begin);
  double *const last = frames % 2 == 0 ? f.state : f.to, *b = f.gain + first * P, *filtered = f.filtered + first * P;
  FrameScale scale = *f.scale;
  Vector g[kVectors];
  for (int j = 0; j < kVectors; ++j) g[j] = packed(f.state + j * kVector).numbers;
  f.top[first] = likelihoods(from, b, f.K, P, log_lik.end);
  for (int64_t r = first; r < first + frames; ++r, b += P, filtered += P) {
    Vector product[kVectors];
    const bool is_start = f.begin == 0 && r == 0;
    row_times<kVectors>(g, f.K, matrix, product);
    for (int j = 0; is_start && j < kVectors; ++j) product[j] = packed(start + j * kVector).numbers;
    from += f.K;
    if (r + 1 < first + frames) f.top[r + 1] = likelihoods(from, b + P, f.K, P, log_lik.end);
    for (int j = 0; j < kVectors; ++j)
      keep(last + j * kVector, product[j] * (packed(b + j * kVector).numbers * scale.next), g[j]);
    f.p[r] = finish_row(last, b, filtered, is_start ? b : b - P, P, scale);
  }
  *f.scale = scale;
}

/// P of whole vectors known to the compiler, or 0.
template <int kP>
VEM_INLINE void filter_rows(const Frames& f, const LogLik& log_lik, const double* start, const double* matrix) {
  const int64_t P = kP > 0 ? kP : f.P, K = f.K;
  for (int64_t t = f.begin; t < f.end; ++t) {
    const int64_t rows = f.width(t), now = f.row(t), before = t > 0 ? f.row(t - 1) : 0;
    double* const b = f.gain + now * P;
    for (int64_t s = 0; s < rows; ++s)
      f.top[now + s] = likelihoods(log_lik.row(f.start[s] + t), b + s * P, K, P, log_lik.end);
    FrameScale* const scale = f.scale;
    double *const from = (t - f.begin) % 2 == 0 ? f.state : f.to, *const to = (t - f.begin) % 2 == 0 ? f.to : f.state;
    Vector kept;
    if (t == 0)
      for (int64_t i = 0; i < rows * P; i += kVector)
        keep(to + i, packed(start + i % P).numbers * packed(b + i).numbers, kept);
    else
      product(rows, from, matrix, K, P, [&](int64_t i, const Vector& sum) {
        keep(to + i, sum * (packed(b + i).numbers * scale[i / P].next), kept);
      });
    for (int64_t s = 0; s < rows; ++s)
      f.p[now + s] =
          finish_row(to + s * P, b + s * P, f.filtered + (now + s) * P, f.gain + (before + s) * P, P, scale[s]);
    if (t > 0) std::fill(f.gain + (before + rows) * P, f.gain + now * P, 0.0);  // sequences that end before t
  }
}

VEM_CLONES void filter_frames(const Frames& f, const LogLik& log_lik, const double* start, const double* matrix) {
  const bool alone = f.width(f.begin) == 1;
  if (alone && f.P == 8) return filter_alone<1>(f, log_lik, start, matrix);
  if (alone && f.P == 16) return filter_alone<2>(f, log_lik, start, matrix);
  switch (f.P) {
    case 8:
      return filter_rows<8>(f, log_lik, start, matrix);
    case 16:
      return filter_rows<16>(f, log_lik, start, matrix);
    case 32:
      return filter_rows<32>(f, log_lik, start, matrix);
    default:
      return filter_rows<0>(f, log_lik, start, matrix);
  }
}

/// pairs += filtered' r over `rows` rows.
VEM_INLINE void add_pairs(int64_t rows, const double* filtered, const double* r, double* pairs, int64_t P) {
  for (int64_t i = 0; i < P; i += kVector)
    for (int64_t j = 0; j < P; j += kVector) {
      Vector sum[kVector] = {};
      for (int64_t n = 0; n < rows; ++n)
        for (int a = 0; a < kVector; ++a) sum[a] += filtered[n * P + i + a] * packed(r + n * P + j).numbers;
      for (int a = 0; a < kVector; ++a) packed(pairs + (i + a) * P + j).numbers += sum[a];
    }
}

/// Pairs are added for so many rows of filtered and r at a time, which are still in the nearest cache.
constexpr int64_t kPairRows = 128;

/// Frames of one sequence of few states, the last one first: v stays in registers.
template <int kVectors>
VEM_INLINE void smooth_alone(const Frames& f, bool goes_on, const double* transpose, double weight, double* marginals,
                             double* pairs) {
  constexpr int64_t P = kVectors * kVector;
  const int64_t first = f.row(f.begin), last = f.row(f.end) - 1, pairs_begin = std::max<int64_t>(first - 1, 0);
  double* out = marginals + (*f.start + f.end - 1) * f.K;
  Vector v[kVectors];
  for (int j = 0; j < kVectors; ++j) v[j] = goes_on ? packed(f.back + j * kVector).numbers : Vector{} + weight;
  int64_t pending = last;  // rows from here on have had their pairs added
  for (int64_t r = last; r >= first; --r, out -= f.K) {
    const double* const filtered = f.filtered + r * P;
    for (int64_t j = 0; j < kVectors; ++j) {
      const Vector smoothed = packed(filtered + j * kVector).numbers * v[j];
      if ((j + 1) * kVector <= f.K)
        packed(out + j * kVector).numbers = smoothed;
      else
        for (int64_t k = j * kVector; k < f.K; ++k) out[k] = smoothed[k - j * kVector];
    }
    if (r == 0) break;  // the first frame of the sequence
    double* const gain = f.gain + (r - 1) * P;
    Vector gained[kVectors];
    for (int j = 0; j < kVectors; ++j) gained[j] = packed(gain + j * kVector).numbers *= v[j];
    row_times<kVectors>(gained, f.K, transpose, v);
    if (pending - (r - 1) < kPairRows && r > first) continue;
    add_pairs(pending - (r - 1), f.filtered + (r - 1) * P, gain, pairs, P);
    pending = r - 1;
  }
  add_pairs(pending - pairs_begin, f.filtered + pairs_begin * P, f.gain + pairs_begin * P, pairs, P);
  for (int j = 0; j < kVectors; ++j) packed(f.back + j * kVector).numbers = v[j];
}

/// The last frame first. f.back holds v of the last frame for the `after` sequences that go on after the block.
template <int kP>
VEM_INLINE void smooth_rows(const Frames& f, int64_t after, const double* transpose, const double* weight,
                            double* marginals, double* pairs) {
  const int64_t P = kP > 0 ? kP : f.P, K = f.K;
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
    for (int64_t i = 0; i < rows * P; i += kVector) packed(r + i).numbers *= packed(v + i).numbers;
    product(rows, r, transpose, K, P, [&](int64_t i, const Vector& sum) { packed(v + i).numbers = sum; });
    pending += now - before;
    if (pending < kPairRows) continue;
    add_pairs(pending, f.filtered + before * P, r, pairs, P);
    pending = 0;
  }
  add_pairs(pending, f.filtered, f.gain, pairs, P);
}

VEM_CLONES void smooth_frames(const Frames& f, int64_t after, const double* transpose, const double* weight,
                              double* marginals, double* pairs) {
  const bool alone = f.width(f.begin) == 1;
  if (alone && f.P == 8) return smooth_alone<1>(f, after == 1, transpose, *weight, marginals, pairs);
  if (alone && f.P == 16) return smooth_alone<2>(f, after == 1, transpose, *weight, marginals, pairs);
  switch (f.P) {
    case 8:
      return smooth_rows<8>(f, after, transpose, weight, marginals, pairs);
    case 16:
      return smooth_rows<16>(f, after, transpose, weight, marginals, pairs);
    case 32:
      return smooth_rows<32>(f, after, transpose, weight, marginals, pairs);
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
  matrix.slice(0, 0, K).slice(1, 0, K).copy_(scaled.masked_fill(scaled < kExcludedTransition, 0));
  transpose = matrix.t().contiguous();
}

Sweep::Sweep(const Potentials& p, const Transitions& transitions, const SequenceGroup& group)
    : p_(p), transitions_(transitions), group_(group), bounds_{0} {
  const int64_t P = transitions.P, sequences = group.width(0), *const first = group.first.data();
  int64_t rows = 0;  // of a block and of the frame before it
  while (bounds_.back() < group.steps()) {
    const int64_t begin = bounds_.back(), before = first[std::max<int64_t>(begin - 1, 0)];
    int64_t end = begin + 1;
    while (end < group.steps() && (first[end + 1] - before) * P <= kSweepNumbers) ++end;
    bounds_.push_back(end);
    rows = std::max(rows, first[end] - before);
  }
  for (std::unique_ptr<double[]>* array : {&filtered_, &gain_}) array->reset(new double[numbers(rows, P)]);
  for (std::vector<double>* array : {&p_of_rows_, &top_}) array->resize(numbers(rows));
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
          transitions_.P,      filtered_.get(),     gain_.get(),    p_of_rows_.data(),  top_.data(),
          state_.data(),       to_.data(),          back_.data(),   scale_.data()};
}

void Sweep::filter(size_t block) {
  const Frames f = frames(block);
  state_ = states_[block].rows;
  scale_ = states_[block].scale;
  if (f.begin > 0)
    for (int64_t s = 0; s < f.width(f.begin - 1); ++s)
      for (int64_t k = 0; k < f.P; ++k) f.filtered[s * f.P + k] = f.state[s * f.P + k] * f.scale[s].inverse;
  filter_frames(f, {p_.row(0), p_.row(p_.rows), p_.K}, start_.data(), transitions_.matrix.data_ptr<double>());
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
      product_[i] *= f.p[r];
      if (f.p[r] < kLost) lost_[i] = true;
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
