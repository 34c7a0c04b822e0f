// The recursions, written so that the compiler makes vectors of them: products of a few rows with a K x K matrix held
// in registers, then one pass over each row. Forward: predicted_t = filtered_t-1 A, filtered_t = predicted_t b_t / sum.
// Backward: r_t = smoothed_t / predicted_t, smoothed_t-1 = filtered_t-1 (A r_t), and the pairwise marginals are
// filtered_t-1,i A_ij r_t,j: one matrix product over all frames at the end.
#include "chain_sweep.h"

#include <limits>

#include "vem/core/target_clones.h"

namespace vem {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Filtered probabilities and (scaled) transitions below this count as zero: even their product is no denormal number,
// which would be slow. The same for scaled likelihoods below exp of the other.
constexpr double kExcluded = 1e-150, kLogExcluded = -575;
// A sequence of which less than this is left at a frame is lost: what was excluded may have mattered.
constexpr double kLost = 1e-100;

constexpr int64_t kVector = 4;
int64_t padded(int64_t K) { return (K + kVector - 1) / kVector * kVector; }

/// out[r, j] = sum_i a[r, i] m[i, j] for kRows rows and kWidth columns, all sums in registers.
template <int kRows, int kWidth>
inline __attribute__((always_inline)) void tile(const double* __restrict a, const double* __restrict m,
                                                double* __restrict out, int64_t K, int64_t P) {
  double sum[kRows][kWidth] = {};
  for (int64_t i = 0; i < K; ++i, m += P)
    for (int r = 0; r < kRows; ++r) {
      const double x = a[r * P + i];
#pragma omp simd
      for (int j = 0; j < kWidth; ++j) sum[r][j] += x * m[j];
    }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kWidth; ++j) out[r * P + j] = sum[r][j];
}

template <int kRows>
inline __attribute__((always_inline)) void rows_times(const double* __restrict a, const double* __restrict m,
                                                      double* __restrict out, int64_t K, int64_t P) {
  constexpr int kWide = kRows == 1 ? 16 : 8;
  int64_t j = 0;
  for (; j + kWide <= P; j += kWide) tile<kRows, kWide>(a, m + j, out + j, K, P);
  if (kRows == 1 && P - j == 12)
    tile<kRows, 12>(a, m + j, out + j, K, P);
  else if (P - j >= 8) {
    tile<kRows, 8>(a, m + j, out + j, K, P);
    j += 8;
  }
  if (P - j == 4) tile<kRows, 4>(a, m + j, out + j, K, P);
}

inline __attribute__((always_inline)) void product(int64_t rows, const double* __restrict a, const double* __restrict m,
                                                   double* __restrict out, int64_t K, int64_t P) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) rows_times<4>(a + r * P, m, out + r * P, K, P);
  for (; r < rows; ++r) rows_times<1>(a + r * P, m, out + r * P, K, P);
}

/// Copies a row less its maximum (0 where the row is impossible), which is returned; NaN stays NaN.
inline __attribute__((always_inline)) double subtract_maximum(const double* __restrict row, double* __restrict out,
                                                              int64_t K, int64_t P) {
  double top = -kInfinity;
#pragma omp simd reduction(max : top)
  for (int64_t k = 0; k < K; ++k) top = row[k] > top ? row[k] : top;
  if (top == -kInfinity) top = 0;
  for (int64_t k = 0; k < K; ++k) out[k] = row[k] - top < kLogExcluded ? -kInfinity : row[k] - top;
  for (int64_t k = K; k < P; ++k) out[k] = -kInfinity;
  return top;
}

/// b and the prediction of one row become its filtered marginals and one over the prediction; returns their sum. All is
/// zero from where too little is left.
inline __attribute__((always_inline)) double normalize(double* __restrict b, double* __restrict predicted, int64_t P) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t k = 0; k < P; ++k) sum += b[k] * predicted[k];
  const double scale = sum < kLost ? 0 : 1 / sum;
#pragma omp simd
  for (int64_t k = 0; k < P; ++k) {
    const double f = b[k] * predicted[k] * scale;
    const bool alive = !(f < kExcluded);  // NaN stays NaN
    b[k] = alive ? f : 0;
    predicted[k] = alive ? 1 / predicted[k] : 0;
  }
  return sum;
}

VEM_CLONES void subtract_maxima(const Frames& f, const double* log_lik, double* top) {
  for (int64_t t = 0; t < f.steps; ++t)
    for (int64_t r = f.first[t]; r < f.first[t + 1]; ++r)
      top[r] = subtract_maximum(log_lik + (f.begin[r - f.first[t]] + t) * f.K, f.filtered + r * f.P, f.K, f.P);
}

/// Rows of exp(log_lik - top) become filtered marginals, frame by frame; sums are what normalize() returned.
VEM_CLONES void filter_frames(const Frames& f, const double* start, const double* matrix, double* sums) {
  double* const predicted = f.scratch;
  for (int64_t r = 0; r < f.first[1]; ++r) {
    std::copy_n(start, f.P, predicted);
    sums[r] = normalize(f.filtered + r * f.P, predicted, f.P);
  }
  for (int64_t t = 1; t < f.steps; ++t) {
    const int64_t begin = f.first[t], before = f.first[t - 1], rows = f.first[t + 1] - begin;
    product(rows, f.filtered + before * f.P, matrix, f.ratio + before * f.P, f.K, f.P);
    for (int64_t r = 0; r < rows; ++r)
      sums[begin + r] = normalize(f.filtered + (begin + r) * f.P, f.ratio + (before + r) * f.P, f.P);
    std::fill(f.ratio + (before + rows) * f.P, f.ratio + begin * f.P, 0.0);  // sequences that end before t
  }
  std::fill(f.ratio + f.first[f.steps - 1] * f.P, f.ratio + f.first[f.steps] * f.P, 0.0);
}

/// Smoothed marginals, the last frame first: those of frame t from r = smoothed * ratio of frame t + 1, where a
/// sequence goes on, else weight * filtered.
VEM_CLONES void smooth_frames(const Frames& f, const double* transpose, const double* weight, double* marginals) {
  double* const smoothed = f.scratch;
  for (int64_t t = f.steps - 1, after = 0; t >= 0; --t) {
    const int64_t rows = f.first[t + 1] - f.first[t];
    const double* const filtered = f.filtered + f.first[t] * f.P;
    double* const ratio = f.ratio + f.first[t] * f.P;
#pragma omp simd
    for (int64_t k = 0; k < after * f.P; ++k) ratio[k] *= smoothed[k];
    product(after, ratio, transpose, smoothed, f.K, f.P);
#pragma omp simd
    for (int64_t k = 0; k < after * f.P; ++k) smoothed[k] *= filtered[k];
    for (int64_t s = after; s < rows; ++s)
      for (int64_t k = 0; k < f.P; ++k) smoothed[s * f.P + k] = weight[s] * filtered[s * f.P + k];
    for (int64_t s = 0; s < rows; ++s) std::copy_n(smoothed + s * f.P, f.K, marginals + (f.begin[s] + t) * f.K);
    after = rows;
  }
}

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
    : p_(p),
      transitions_(transitions),
      group_(group),
      filtered_(at::empty({group.first.back(), transitions.P}, at::kDouble)),
      ratio_(at::empty({group.first.back(), transitions.P}, at::kDouble)),
      scratch_(static_cast<size_t>(group.width(0) * transitions.P)),
      lost_(group.items.size(), false),
      log_norm_(group.items.size(), 0.0) {
  frames_ = {group.first.data(),           group.begin.data(),        group.steps(),  p.K, transitions.P,
             filtered_.data_ptr<double>(), ratio_.data_ptr<double>(), scratch_.data()};
}

void Sweep::forward() {
  const double shift = std::max(p_.log_start.max().item<double>(), -std::numeric_limits<double>::max());
  const Tensor start = at::zeros({frames_.P}, at::kDouble);
  start.slice(0, 0, p_.K).copy_((p_.log_start - shift).exp());
  const Tensor top = at::empty({group_.first.back()}, at::kDouble), sums = at::empty_like(top);
  subtract_maxima(frames_, p_.log_lik.data_ptr<double>(), top.data_ptr<double>());
  filtered_.exp_();  // vectorised, unlike std::exp
  filter_frames(frames_, start.data_ptr<double>(), transitions_.matrix.data_ptr<double>(), sums.data_ptr<double>());
  const Tensor logs = sums.log().add_(top);
  add_up(sums.data_ptr<double>(), logs.data_ptr<double>(), shift);
}

void Sweep::add_up(const double* sums, const double* logs, double shift) {
  for (int64_t t = 0; t < group_.steps(); ++t)
    for (int64_t s = 0, r = frames_.first[t]; s < group_.width(t); ++s, ++r) {
      log_norm_[static_cast<size_t>(s)] += logs[r] + (t == 0 ? shift : transitions_.log_scale);
      if (sums[r] < kLost) lost_[static_cast<size_t>(s)] = true;
    }
}

void Sweep::backward(const double* weight, double* marginals) {
  std::vector<double> weights;
  for (const int64_t item : group_.items) weights.push_back(weight[item]);
  smooth_frames(frames_, transitions_.transpose.data_ptr<double>(), weights.data(), marginals);
}

void Sweep::write_filtered(double* marginals) const {
  const double* f = frames_.filtered;
  for (int64_t t = 0; t < group_.steps(); ++t)
    for (int64_t s = 0; s < group_.width(t); ++s, f += frames_.P)
      std::copy_n(f, p_.K, marginals + (frames_.begin[s] + t) * p_.K);
}

Tensor Sweep::transition_sums() const {
  const int64_t K = p_.K;
  if (group_.steps() < 2) return at::zeros({K, K}, at::kDouble);
  return (at::mm(filtered_.t(), ratio_) * transitions_.matrix).slice(0, 0, K).slice(1, 0, K);
}

}  // namespace vem
