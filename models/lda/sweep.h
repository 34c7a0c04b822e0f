// The vector loops of topic models over the words of one document. Rows [V, padded] are padded with zeros to whole
// vectors of kVectorBytes and aligned, as at::empty aligns.
#pragma once

#include <cstdint>

namespace vem {

constexpr int64_t kVectorBytes = 64;

/// Below this a sum of products of weights that are one at most may have lost its largest terms to underflow.
template <class T>
constexpr T kSmallestSum = sizeof(T) == 4 ? T(1e-30) : T(1e-280);

/// The width of K columns of this type, padded.
template <class T>
constexpr int64_t padded_width(int64_t K) {
  constexpr auto lanes = static_cast<int64_t>(kVectorBytes / sizeof(T));
  return (K + lanes - 1) / lanes * lanes;
}

/// The words of a document and how often each is there.
struct Words {
  const int32_t *word, *count;
  int64_t size;
};

/// sums[i] = <weights, row of word i>; mass = sum_i count_i / sums[i] * row of word i. Words whose sum is below
/// kSmallestSum are left out of mass.
void sweep_words(const Words& words, const float* rows, int64_t padded, const float* weights, float* mass, float* sums);
void sweep_words(const Words& words, const double* rows, int64_t padded, const double* weights, double* mass,
                 double* sums);

/// out[word i] += weight * count_i * phi_i, phi_ik = weights_k row_ik / sums[i]; out [V, padded]. Small sums likewise.
void scatter_words(const Words& words, const float* rows, int64_t padded, const float* weights, const float* sums,
                   double weight, double* out);
void scatter_words(const Words& words, const double* rows, int64_t padded, const double* weights, const double* sums,
                   double weight, double* out);

/// out += sum_i factor_i * row of word i.
void add_words(const int32_t* word, const float* factor, int64_t size, const float* rows, int64_t padded, float* out);

}  // namespace vem
