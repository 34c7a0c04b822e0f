// One pass over the rows of a chunk: log weights added, normalised, weighted and counted.
#include "independent_rows.h"

#include <limits>

#include "vem/core/error.h"
#include "vem/core/exp_log.h"
#include "vem/core/target_clones.h"

namespace vem {
namespace {

template <class T>
constexpr T kInfinityOf = std::numeric_limits<T>::infinity();
// Responsibilities below exp of this count as zero, before they turn into denormal numbers, which are slow.
template <class T>
constexpr T kNegligible = sizeof(T) == 4 ? -70 : -650;

/// r = x + t less its maximum, which goes into `largest`. A row of -infinity alone stays that: it is impossible.
template <class T>
VEM_INLINE void subtract_maxima(const T* __restrict x, const T* __restrict t, T* __restrict r, T* __restrict largest,
                                int64_t rows, int64_t K) {
  for (int64_t n = 0; n < rows; ++n, x += K, r += K) {
    T top = -kInfinityOf<T>;
#pragma omp simd reduction(max : top)
    for (int64_t k = 0; k < K; ++k) {
      r[k] = x[k] + t[k];
      top = r[k] > top ? r[k] : top;
    }
    const bool impossible = top <= std::numeric_limits<T>::lowest();  // where some compilers begin such a maximum
    largest[n] = impossible ? -kInfinityOf<T> : top;
    const T shift = impossible ? T{0} : top;
    for (int64_t k = 0; k < K; ++k) r[k] -= shift;
  }
}

template <class T>
VEM_INLINE void exponentials(T* r, int64_t numbers) {
#pragma omp simd
  for (int64_t i = 0; i < numbers; ++i) r[i] = r[i] < kNegligible<T> ? T{0} : exp_inside(r[i]);
}

/// r = weight r / sum r, added to `sums`; the sum of r goes into `z`. An impossible row, whose sum is 0, stays 0.
template <class T>
VEM_INLINE void divide_by_sums(T* __restrict r, const double* weight, double* __restrict z, double* __restrict sums,
                               int64_t rows, int64_t K) {
  for (int64_t n = 0; n < rows; ++n, r += K) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < K; ++k) sum += r[k];
    z[n] = sum;
    const auto scale = static_cast<T>(sum == 0 ? 0 : weight[n] / sum);
    for (int64_t k = 0; k < K; ++k) sums[k] += r[k] *= scale;
  }
}

/// log_lik [rows, K] to weighted responsibilities r; sums in float64 whatever T is. largest and z are room for [rows].
template <class T>
struct Rows {
  const T *log_lik, *log_weights;
  const double* weight;
  T *r, *largest;
  double *z, *sums;
  int64_t rows, K;
};
/// A part of the rows at a time, whose numbers stay in the nearest cache. Returns the sum of weight (largest + log z)
/// over the rows that have weight: -infinity if one of them is impossible; z - z is 0, or NaN where z is none.
template <class T>
VEM_INLINE double normalize_all(const Rows<T>& a) {
  constexpr int64_t kNumbers = 2048;
  const int64_t part = std::max<int64_t>(1, kNumbers / a.K);
  double bound = 0;
  for (int64_t begin = 0; begin < a.rows; begin += part) {
    const int64_t rows = std::min(part, a.rows - begin);
    const double *const weight = a.weight + begin, *const z = a.z;
    T* const r = a.r + begin * a.K;
    subtract_maxima(a.log_lik + begin * a.K, a.log_weights, r, a.largest, rows, a.K);
    exponentials(r, rows * a.K);
    divide_by_sums(r, weight, a.z, a.sums, rows, a.K);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t n = 0; n < rows; ++n)
      sum += weight[n] == 0 ? 0 : weight[n] * (static_cast<double>(a.largest[n]) + log_of(z[n]) + (z[n] - z[n]));
    bound += sum;
  }
  return bound;
}
VEM_CLONES double normalize(const Rows<double>& a) { return normalize_all(a); }
VEM_CLONES double normalize(const Rows<float>& a) { return normalize_all(a); }

struct Normalized {
  Tensor responsibilities;  // [rows, K], weighted
  double bound = 0;
  std::vector<double> sums;
};

template <class T>
Normalized normalized(const Tensor& log_lik, const Tensor& log_weights, const Tensor& row_weight) {
  const int64_t rows = log_lik.size(0), K = log_lik.size(1);
  std::vector<T> largest(static_cast<size_t>(rows));
  std::vector<double> z(static_cast<size_t>(rows));
  Normalized total{at::empty({rows, K}, log_lik.options()), 0, std::vector<double>(static_cast<size_t>(K))};
  total.bound =
      normalize(Rows<T>{log_lik.data_ptr<T>(), log_weights.data_ptr<T>(), row_weight.data_ptr<double>(),
                        total.responsibilities.data_ptr<T>(), largest.data(), z.data(), total.sums.data(), rows, K});
  return total;
}

}  // namespace

Tensor IndependentRows::log_joint(const Tensor& log_lik, const TensorMap& globals) const {
  return log_lik + expand(globals.at(block_->key())).to(log_lik.scalar_type());
}

Tensor IndependentRows::log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
  return batch.per_item(at::logsumexp(log_joint(log_lik, globals), -1));
}

Tensor IndependentRows::log_weights() const {
  return posterior() ? log_expected(block_->eta()) : expand(block_->t().detach());
}

Allocation::Counts IndependentRows::expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
  at::NoGradGuard no_grad;
  const Tensor rows = log_lik.detach().contiguous();
  const Tensor log_weight = expand(globals.at(block_->key()).detach()).to(rows.scalar_type()).contiguous();
  const Tensor row_weight = batch.row_weight().contiguous();
  const Normalized total = rows.scalar_type() == at::kFloat ? normalized<float>(rows, log_weight, row_weight)
                                                            : normalized<double>(rows, log_weight, row_weight);
  return {at::scalar_tensor(total.bound, at::kDouble),
          total.responsibilities,
          {{block_->key(), collapse(at::tensor(total.sums).view({1, -1}))}},
          {}};
}

/// A component for every row, by the inverse of the cumulative sum of its responsibilities.
Allocation::Counts IndependentRows::draw(const Tensor& log_lik, const Batch& batch, const TensorMap& globals,
                                         const Rng& rng) const {
  Counts counts = expect(log_lik, batch, globals);
  const Tensor edges = counts.marginals.to(at::kDouble).cumsum(-1);
  const Tensor u = batch.uniform(rng, {1}, "component") * edges.slice(-1, K() - 1);
  const Tensor component = (u >= edges).sum(-1).clamp_max(K() - 1);
  const Tensor chosen = at::one_hot(component, K()).to(at::kDouble);
  counts.marginals = chosen.to(log_lik.scalar_type());
  counts.sums[block_->key()] = collapse(chosen.sum(0, true));
  return counts;
}

Tensor IndependentRows::sample(const Tensor& index, const Rng& rng) const {
  const Tensor edges = log_weights().exp().cumsum(-1).squeeze(0).contiguous();
  const Tensor u = rng.uniform(index, {}, "component") * edges[-1];
  return at::searchsorted(edges, u.contiguous()).clamp_max(edges.size(0) - 1);
}

}  // namespace vem
