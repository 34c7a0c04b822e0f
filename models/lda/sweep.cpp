#include "sweep.h"

#include <cstring>

#include "vem/core/target_clones.h"

namespace vem {
namespace {

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(kVectorBytes)));
  typedef T half __attribute__((vector_size(kVectorBytes / 2)));
  typedef T quarter __attribute__((vector_size(kVectorBytes / 4)));
  static constexpr int64_t lanes = kVectorBytes / sizeof(T);
};

/// The sum of all lanes, by halves.
template <class T>
VEM_INLINE T total_of(const typename Vector<T>::type& v) {
  typename Vector<T>::half h[2];
  std::memcpy(h, &v, sizeof v);
  h[0] += h[1];
  typename Vector<T>::quarter q[2];
  std::memcpy(q, h, sizeof h[0]);
  q[0] += q[1];
  if constexpr (Vector<T>::lanes == 8)
    return q[0][0] + q[0][1];
  else
    return (q[0][0] + q[0][2]) + (q[0][1] + q[0][3]);
}

/// out[k] += factor * row[k].
template <class T>
VEM_INLINE void add_row(const T* __restrict row, T factor, T* __restrict out, int64_t padded) {
  using V = typename Vector<T>::type;
  const auto* r = reinterpret_cast<const V*>(row);
  auto* o = reinterpret_cast<V*>(out);
  for (int64_t j = 0; j < padded / Vector<T>::lanes; ++j) o[j] += r[j] * factor;
}

/// sweep_words() for rows of N vectors: weights and mass stay in registers.
template <class T, int N>
VEM_INLINE void sweep_short(const Words& words, const T* rows, const T* weights, T* mass, T* sums) {
  using V = typename Vector<T>::type;
  V w[N], m[N] = {};
  std::memcpy(w, weights, sizeof w);
  for (int64_t i = 0; i < words.size; ++i) {
    const auto* row = reinterpret_cast<const V*>(rows) + words.word[i] * N;
    V products = w[0] * row[0];
    for (int j = 1; j < N; ++j) products += w[j] * row[j];
    const T sum = sums[i] = total_of<T>(products);
    const T factor = sum >= kSmallestSum<T> ? static_cast<T>(words.count[i]) / sum : T(0);
    for (int j = 0; j < N; ++j) m[j] += row[j] * factor;
  }
  std::memcpy(mass, m, sizeof m);
}

template <class T>
VEM_INLINE void sweep_long(const Words& words, const T* rows, int64_t padded, const T* weights, T* mass, T* sums) {
  using V = typename Vector<T>::type;
  const auto* w = reinterpret_cast<const V*>(weights);
  std::memset(mass, 0, static_cast<size_t>(padded) * sizeof(T));
  for (int64_t i = 0; i < words.size; ++i) {
    const T* row = rows + words.word[i] * padded;
    const auto* r = reinterpret_cast<const V*>(row);
    V products = w[0] * r[0];
    for (int64_t j = 1; j < padded / Vector<T>::lanes; ++j) products += w[j] * r[j];
    const T sum = sums[i] = total_of<T>(products);
    if (sum >= kSmallestSum<T>) add_row(row, static_cast<T>(words.count[i]) / sum, mass, padded);
  }
}

/// add_words() for rows of N vectors: the sum stays in registers.
template <int N>
VEM_INLINE void add_short(const int32_t* word, const float* factor, int64_t size, const float* rows, float* out) {
  using V = Vector<float>::type;
  V sum[N];
  std::memcpy(sum, out, sizeof sum);
  for (int64_t i = 0; i < size; ++i) {
    const auto* row = reinterpret_cast<const V*>(rows) + word[i] * N;
    for (int j = 0; j < N; ++j) sum[j] += row[j] * factor[i];
  }
  std::memcpy(out, sum, sizeof sum);
}

template <class T>
VEM_INLINE void sweep(const Words& words, const T* rows, int64_t padded, const T* weights, T* mass, T* sums) {
  switch (padded / Vector<T>::lanes) {
    case 1:
      return sweep_short<T, 1>(words, rows, weights, mass, sums);
    case 2:
      return sweep_short<T, 2>(words, rows, weights, mass, sums);
    case 3:
      return sweep_short<T, 3>(words, rows, weights, mass, sums);
    case 4:
      return sweep_short<T, 4>(words, rows, weights, mass, sums);
    case 7:
      return sweep_short<T, 7>(words, rows, weights, mass, sums);
    default:
      return sweep_long(words, rows, padded, weights, mass, sums);
  }
}

// Products in T, totals in double: eight of each at a time.
template <class T>
VEM_INLINE void scatter(const Words& words, const T* rows, int64_t padded, const T* weights, const T* sums,
                        double weight, double* out) {
  typedef T Eight __attribute__((vector_size(8 * sizeof(T))));
  using Doubles = Vector<double>::type;
  const auto* w = reinterpret_cast<const Eight*>(weights);
  for (int64_t i = 0; i < words.size; ++i) {
    if (sums[i] < kSmallestSum<T>) continue;
    const auto* row = reinterpret_cast<const Eight*>(rows + words.word[i] * padded);
    auto* o = reinterpret_cast<Doubles*>(out + words.word[i] * padded);
    if (i + 1 < words.size)
      for (int64_t k = 0; k < padded; k += 8) __builtin_prefetch(out + words.word[i + 1] * padded + k, 1);
    const double factor = weight * words.count[i] / static_cast<double>(sums[i]);
    for (int64_t j = 0; j < padded / 8; ++j) o[j] += factor * __builtin_convertvector(w[j] * row[j], Doubles);
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
  switch (padded / Vector<float>::lanes) {
    case 1:
      return add_short<1>(word, factor, size, rows, out);
    case 2:
      return add_short<2>(word, factor, size, rows, out);
    case 3:
      return add_short<3>(word, factor, size, rows, out);
    case 4:
      return add_short<4>(word, factor, size, rows, out);
    default:
      for (int64_t i = 0; i < size; ++i) add_row(rows + word[i] * padded, factor[i], out, padded);
  }
}

}  // namespace vem
