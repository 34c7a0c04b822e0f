// Both products of an E-step of normal rows, of their second moments m(x) = (1, x, packed x x') or (1, x, x^2) with the
// few columns that components are, without ever forming m(x) as a whole.
// Legend: n rows, D features, K components, F moments of a row: (D + 1) (D + 2) / 2 (full) or 1 + 2 D (diagonal).
#pragma once

#include <vector>

#include "vem/core/types.h"

namespace vem {

class MomentProduct {
 public:
  /// The instructions to use; they round alike, but for sums that longer vectors take in another order.
  enum class Vectors { any, avx2, avx512 };
  static Vectors best();

  /// Weights W [F, K] in float32 or float64, the type of both products.
  MomentProduct(const Tensor& weights, bool full, Vectors vectors = best());

  int64_t num_features() const { return D_; }
  /// (1, x) [n, 1 + D] of rows x [n, D] of any type, in the layout that the products want: the numbers of a column lie
  /// side by side, in as many places as whole vectors have. They take other layouts, too, and copy them.
  Tensor columns(const Tensor& x) const;
  /// m(x) W [n, K].
  Tensor log_lik(const Tensor& columns) const;
  /// R' m(x) [K, F] in float64, of marginals R [n, K]; in float32 the sums of 256 rows are.
  Tensor sums(const Tensor& columns, const Tensor& marginals) const;

  /// Moments that are products of a column with `count` consecutive ones, or of columns with themselves.
  struct Run {
    int64_t left, right, count;
    bool squares;  ///< both move
  };
  /// So many moments as are formed at a time.
  struct Panel {
    int64_t first, size;
    std::vector<Run> runs;
  };

 private:
  void add_run(Run run);
  Tensor laid_out(const Tensor& columns) const;
  template <class T>
  Tensor columns_of(const Tensor& x) const;
  template <class T>
  Tensor log_lik_of(const Tensor& columns) const;
  template <class T>
  Tensor sums_of(const Tensor& columns, const Tensor& marginals) const;

  Vectors vectors_;
  int64_t K_, D_, size_ = 0, lanes_, width_;  // width: K in whole vectors
  Tensor weights_;                            // [F, width]
  std::vector<Panel> panels_;
};

}  // namespace vem
