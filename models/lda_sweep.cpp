#include "lda_sweep.h"

#include "vem/core/target_clones.h"

namespace vem {
namespace {

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(kVectorBytes)));
  static constexpr int64_t lanes = kVectorBytes / sizeof(T);
};

/// out[k] += factor * row[k].
template <class T>
VEM_INLINE void add_row(const T* __restrict row, T factor, T* __restrict out, int64_t padded) {
  using V = typename Vector<T>::type;
  const auto* r = reinterpret_cast<const V*>(row);
  auto* o = reinterpret_cast<V*>(out);
  for (int64_t j = 0; j < padded / Vector<T>::lanes; ++j) o[j] += r[j] * factor;
}

template <class T>
VEM_INLINE T dot(const T* __restrict a, const T* __restrict b, int64_t padded) {
  using V = typename Vector<T>::type;
  const auto* x = reinterpret_cast<const V*>(a);
  const auto* y = reinterpret_cast<const V*>(b);
  V sum = x[0] * y[0];
  for (int64_t j = 1; j < padded / Vector<T>::lanes; ++j) sum += x[j] * y[j];
  T total = 0;
  for (int64_t i = 0; i < Vector<T>::lanes; ++i) total += sum[i];
  return total;
}

template <class T>
VEM_INLINE void sweep(const Words& words, const T* rows, int64_t padded, const T* weights, T* mass, T* sums) {
  for (int64_t i = 0; i < words.size; ++i) {
    const T* row = rows + words.word[i] * padded;
    const T s = dot(weights, row, padded);
    sums[i] = s;
    if (s >= kSmallestSum<T>) add_row(row, static_cast<T>(words.count[i]) / s, mass, padded);
  }
}

template <class T>
VEM_INLINE void scatter(const Words& words, const T* rows, int64_t padded, const T* weights, const T* sums,
                        double weight, double* out) {
  for (int64_t i = 0; i < words.size; ++i) {
    if (sums[i] < kSmallestSum<T>) continue;
    const T* row = rows + words.word[i] * padded;
    double* o = out + words.word[i] * padded;
    const double factor = weight * words.count[i] / static_cast<double>(sums[i]);
#pragma omp simd
    for (int64_t k = 0; k < padded; ++k) o[k] += factor * static_cast<double>(weights[k] * row[k]);
  }
}

}  // namespace

VEM_CLONES void sweep_words(const Words& words, const float* rows, int64_t padded, const float* weights, float* mass,
                            float* sums) {
  sweep(words, rows, padded, weights, mass, sums);
}
VEM_CLONES void sweep_words(const Words& words, const double* rows, int64_t padded, const double* weights, double* mass,
                            double* sums) {
  sweep(words, rows, padded, weights, mass, sums);
}
VEM_CLONES void scatter_words(const Words& words, const float* rows, int64_t padded, const float* weights,
                              const float* sums, double weight, double* out) {
  scatter(words, rows, padded, weights, sums, weight, out);
}
VEM_CLONES void scatter_words(const Words& words, const double* rows, int64_t padded, const double* weights,
                              const double* sums, double weight, double* out) {
  scatter(words, rows, padded, weights, sums, weight, out);
}
VEM_CLONES void add_words(const int32_t* word, const float* factor, int64_t size, const float* rows, int64_t padded,
                          float* out) {
  for (int64_t i = 0; i < size; ++i) add_row(rows + word[i] * padded, factor[i], out, padded);
}

}  // namespace vem
