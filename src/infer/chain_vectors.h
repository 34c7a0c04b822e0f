// Vectors of doubles, and the products of a few rows with a matrix that the chain sweep is made of. Private to it.
// Legend: K rows of the matrix that count, P = K rounded up to whole vectors (padding holds zeros).
#pragma once

#include <cstdint>
#include <utility>

#include "vem/core/target_clones.h"

namespace vem::chain_vectors {

constexpr int64_t kVector = 8;
/// K rounded up to whole vectors.
constexpr int64_t padded(int64_t K) { return (K + kVector - 1) / kVector * kVector; }

/// Whole vectors, whatever the machine has: the compiler turns loops of a known few numbers into scalars. Variables are
/// of type Vector, which lies where vectors want to; numbers in arrays lie anywhere, and are read and written by way of
/// a packed structure: references and template arguments lose the smaller alignment that a vector type can be given.
using Vector = double __attribute__((vector_size(kVector * sizeof(double))));
struct __attribute__((packed, aligned(sizeof(double)), may_alias)) Packed {
  Vector numbers;
};
VEM_INLINE Packed& packed(double* x) { return *reinterpret_cast<Packed*>(x); }
VEM_INLINE const Packed& packed(const double* x) { return *reinterpret_cast<const Packed*>(x); }

/// For kRows rows and kWidth vectors of columns, all sums in registers: done(row, vector, sums). One row alone has four
/// sums a column, each of every fourth term, so that not every term waits for the one before.
template <int kRows, int kWidth, class Done>
VEM_INLINE void tile(const double* a, const double* m, int64_t K, int64_t P, const Done& done) {
  constexpr int kSums = kRows == 1 ? 4 : 1;
  Vector sum[kRows * kSums][kWidth] = {};
  for (int64_t i = 0; i < K; i += kSums)  // rows beyond K are zeros
    for (int r = 0; r < kRows * kSums; ++r) {
      const int64_t row = kSums == 1 ? r : 0, term = kSums == 1 ? i : i + r;
      const double x = a[row * P + term];
      for (int j = 0; j < kWidth; ++j) sum[r][j] += x * packed(m + term * P + j * kVector).numbers;
    }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kWidth; ++j)
      if constexpr (kSums == 1)
        done(r, j, sum[r][j]);
      else
        done(r, j, (sum[0][j] + sum[1][j]) + (sum[2][j] + sum[3][j]));
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

/// Every number of the result is the largest of x; NaN stays somewhere.
VEM_INLINE void spread_maximum(Vector& x) {
  const auto take = [&](const Vector& other) __attribute__((always_inline)) { x = x > other ? x : other; };
  take(__builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));
  take(__builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));
  take(__builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6));
}

/// sum[i % 4] += g_i m_i over the first numbers of a row g of one vector, with rows m_i: none goes by way of memory.
template <int kVectors, int... i>
VEM_INLINE void add_terms(const Vector& g, int64_t numbers, const double* m, Vector (&sum)[4][kVectors],
                          std::integer_sequence<int, i...>) {
  const auto add = [&](const Vector& number, const double* row, Vector* to) __attribute__((always_inline)) {
    for (int j = 0; j < kVectors; ++j) to[j] += number * packed(row + j * kVector).numbers;
  };
  ((i < numbers ? add(__builtin_shufflevector(g, g, i, i, i, i, i, i, i, i), m + i * kVectors * kVector, sum[i % 4])
                : void()),
   ...);
}
/// sums = g times the matrix of rows m: K of them.
template <int kVectors>
VEM_INLINE void row_times(const Vector (&g)[kVectors], int64_t K, const double* m, Vector (&product)[kVectors]) {
  Vector sum[4][kVectors] = {};
  for (int j = 0; j < kVectors; ++j)
    add_terms<kVectors>(g[j], kVectors == 1 ? kVector : K - j * kVector, m + j * kVector * kVectors * kVector, sum,
                        std::make_integer_sequence<int, kVector>());
  for (int j = 0; j < kVectors; ++j) product[j] = (sum[0][j] + sum[1][j]) + (sum[2][j] + sum[3][j]);
}

}  // namespace vem::chain_vectors
