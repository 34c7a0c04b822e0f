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
// A filtered probability below this counts as zero: far enough from the denormal numbers, which are slow.
constexpr double kExcluded = 1e-200;
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

/// b and the prediction of one row become its filtered marginals and one over the prediction; returns their sum, or
/// what is left of it when too little is.
inline __attribute__((always_inline)) double normalize(double* __restrict b, double* __restrict predicted, int64_t P) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t k = 0; k < P; ++k) sum += b[k] * predicted[k];
  if (sum < kLost) return sum;
  const double scale = 1 / sum;
#pragma omp simd
  for (int64_t k = 0; k < P; ++k) {
    const double f = b[k] * predicted[k] * scale;
    const bool alive = !(f < kExcluded);  // NaN stays NaN
    b[k] = alive ? f : 0;
    predicted[k] = alive ? 1 / predicted[k] : 0;
  }
  return sum;
}

/// Predicts a frame from the one before and filters it. sum[s] is what normalize() returned.
VEM_CLONES void filter_rows(int64_t rows, const double* before, const double* matrix, double* b, double* predicted,
                            double* sum, int64_t K, int64_t P) {
  product(rows, before, matrix, predicted, K, P);
  for (int64_t s = 0; s < rows; ++s) sum[s] = normalize(b + s * P, predicted + s * P, P);
}

/// r = smoothed * ratio; then smoothed of the frame before = filtered * (r A').
VEM_CLONES void smooth_rows(int64_t rows, const double* filtered, const double* transpose, double* ratio,
                            double* smoothed, int64_t K, int64_t P) {
#pragma omp simd
  for (int64_t k = 0; k < rows * P; ++k) ratio[k] *= smoothed[k];
  product(rows, ratio, transpose, smoothed, K, P);
#pragma omp simd
  for (int64_t k = 0; k < rows * P; ++k) smoothed[k] *= filtered[k];
}

/// Copies a row less its maximum; returns the maximum (0 where the row is impossible).
VEM_CLONES double subtract_maximum(const double* row, double* out, int64_t K) {
  double top = -kInfinity;
  bool is_nan = false;
  for (int64_t k = 0; k < K; ++k) {
    top = row[k] > top ? row[k] : top;
    is_nan |= row[k] != row[k];
  }
  if (is_nan) top = std::numeric_limits<double>::quiet_NaN();
  if (top == -kInfinity) top = 0;
  for (int64_t k = 0; k < K; ++k) out[k] = row[k] - top;
  return top;
}

}  // namespace

Transitions::Transitions(const Potentials& p) : K(p.K), P(padded(p.K)) {
  const Tensor& log_a = p.log_transition;
  log_scale = K > 0 ? log_a.max().item<double>() : 0;
  if (log_scale == -kInfinity) log_scale = 0;
  matrix = at::zeros({P, P}, at::kDouble);
  matrix.slice(0, 0, K).slice(1, 0, K).copy_((log_a - log_scale).exp());
  transpose = matrix.t().contiguous();
}

Sweep::Sweep(const Potentials& p, const Transitions& transitions, const SideBySide& group)
    : p_(p),
      transitions_(transitions),
      group_(group),
      K_(p.K),
      P_(transitions.P),
      filtered_(at::empty({group.first.back(), P_}, at::kDouble)),
      ratio_(at::empty({group.first.back(), P_}, at::kDouble)),
      lost_(group.items.size(), false),
      log_norm_(group.items.size(), 0.0),
      sums_(group.items.size()) {}

void Sweep::fill_scaled_likelihoods() {
  for (int64_t t = 0; t < group_.steps(); ++t) {
    double* out = filtered(t);
    for (int64_t s = 0; s < group_.width(t); ++s, out += P_) {
      log_norm_[static_cast<size_t>(s)] += subtract_maximum(p_.row(row(t, s)), out, K_);
      std::fill(out + K_, out + P_, -kInfinity);
    }
  }
  filtered_.exp_();  // vectorised, unlike std::exp
}

void Sweep::lose(int64_t t, int64_t s) {
  lost_[static_cast<size_t>(s)] = true;
  std::fill_n(filtered(t) + s * P_, P_, 0.0);
  if (t > 0) std::fill_n(ratio(t - 1) + s * P_, P_, 0.0);
}

/// The first frame is predicted by the start.
void Sweep::start_frame() {
  const double shift = std::max(p_.log_start.max().item<double>(), -std::numeric_limits<double>::max());
  const Tensor start = at::zeros({P_}, at::kDouble);
  start.slice(0, 0, K_).copy_((p_.log_start - shift).exp());
  std::vector<double> predicted(static_cast<size_t>(P_));
  for (int64_t s = 0; s < group_.width(0); ++s) {
    std::copy_n(start.data_ptr<double>(), P_, predicted.begin());
    const double sum = normalize(filtered(0) + s * P_, predicted.data(), P_);
    log_norm_[static_cast<size_t>(s)] += std::log(sum) + shift;
    if (sum < kLost) lose(0, s);
  }
}

void Sweep::filter_frame(int64_t t) {
  const int64_t rows = group_.width(t), before = group_.width(t - 1);
  double* const predicted = ratio(t - 1);
  filter_rows(rows, filtered(t - 1), transitions_.matrix.data_ptr<double>(), filtered(t), predicted, sums_.data(), K_,
              P_);
  for (int64_t s = 0; s < rows; ++s) {
    const double sum = sums_[static_cast<size_t>(s)];
    log_norm_[static_cast<size_t>(s)] += std::log(sum) + transitions_.log_scale;
    if (sum < kLost) lose(t, s);
  }
  std::fill(predicted + rows * P_, predicted + before * P_, 0.0);
}

void Sweep::forward() {
  fill_scaled_likelihoods();
  start_frame();
  for (int64_t t = 1; t < group_.steps(); ++t) filter_frame(t);
  const int64_t last = group_.steps() - 1;
  std::fill(ratio(last), ratio(last) + group_.width(last) * P_, 0.0);
}

void Sweep::backward(const double* weight, double* marginals) {
  std::vector<double> smoothed(static_cast<size_t>(group_.width(0) * P_));
  for (int64_t t = group_.steps() - 1; t >= 0; --t) {
    const int64_t rows = group_.width(t), after = group_.width(t + 1);
    if (after > 0)
      smooth_rows(after, filtered(t), transitions_.transpose.data_ptr<double>(), ratio(t), smoothed.data(), K_, P_);
    for (int64_t s = after; s < rows; ++s) {
      const double w = weight[group_.items[static_cast<size_t>(s)]];
      for (int64_t k = 0; k < P_; ++k) smoothed[static_cast<size_t>(s * P_ + k)] = w * filtered(t)[s * P_ + k];
    }
    for (int64_t s = 0; s < rows; ++s) std::copy_n(smoothed.data() + s * P_, K_, marginals + row(t, s) * K_);
  }
}

void Sweep::write_filtered(double* marginals) const {
  const double* f = filtered_.data_ptr<double>();
  for (int64_t t = 0; t < group_.steps(); ++t)
    for (int64_t s = 0; s < group_.width(t); ++s, f += P_) std::copy_n(f, K_, marginals + row(t, s) * K_);
}

Tensor Sweep::transition_sums() const {
  if (group_.steps() < 2) return at::zeros({K_, K_}, at::kDouble);
  return (at::mm(filtered_.t(), ratio_) * transitions_.matrix).slice(0, 0, K_).slice(1, 0, K_);
}

}  // namespace vem
