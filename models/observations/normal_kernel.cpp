// Rows to packed second moments, written out as loops: the compiler makes vectors of them for each machine.
#include "normal_kernel.h"

#include "vem/core/target_clones.h"

namespace vem {
namespace {

template <class T>
inline __attribute__((always_inline)) void fill(const T* __restrict x, T* __restrict out, int64_t rows, int64_t D,
                                                bool full) {
  for (int64_t n = 0; n < rows; ++n, x += D) {
    *out++ = 1;
    for (int64_t i = 0; i < D; ++i) out[i] = x[i];
    out += D;
    for (int64_t i = 0; full && i < D; out += D - i, ++i)
      for (int64_t j = i; j < D; ++j) out[j - i] = x[i] * x[j];
    for (int64_t i = 0; !full && i < D; ++i) *out++ = x[i] * x[i];
  }
}
VEM_CLONES void fill_rows(const float* x, float* out, int64_t rows, int64_t D, bool full) {
  fill(x, out, rows, D, full);
}
VEM_CLONES void fill_rows(const double* x, double* out, int64_t rows, int64_t D, bool full) {
  fill(x, out, rows, D, full);
}

int64_t width(int64_t D, bool full) { return 1 + D + (full ? D * (D + 1) / 2 : D); }

Tensor features_of(const Tensor& x, at::ScalarType dtype, bool full) {
  const Tensor rows = x.to(dtype).contiguous();
  const int64_t n = rows.size(0), D = rows.size(1);
  const Tensor out = at::empty({n, width(D, full)}, dtype);
  if (dtype == at::kFloat)
    fill_rows(rows.data_ptr<float>(), out.data_ptr<float>(), n, D, full);
  else
    fill_rows(rows.data_ptr<double>(), out.data_ptr<double>(), n, D, full);
  return out;
}

/// Sums [K, F] to those of s = (1, x, x x', 1) or (1.., x, x^2, 1..): the count stands once in F.
Tensor statistics_of(const Tensor& sums, int64_t D, bool full) {
  const Tensor count = sums.narrow(1, 0, 1), rest = sums.narrow(1, 1, sums.size(1) - 1);
  const Tensor repeated = count.expand({-1, full ? 1 : D});
  return at::cat({repeated, rest, repeated}, 1);
}

class PackedKernel final : public RowKernel {
 public:
  PackedKernel(const Tensor& weights, bool full) : weights_(weights.t().contiguous()), full_(full) {
    // F = 1 + 2 D, or (D + 1) (D + 2) / 2
    const int64_t F = weights.size(1);
    num_features_ =
        full ? static_cast<int64_t>(std::llround(std::sqrt(2. * static_cast<double>(F) + 0.25) - 1.5)) : (F - 1) / 2;
  }
  Tensor features(const Tensor& x) const override { return features_of(x, weights_.scalar_type(), full_); }
  Tensor log_lik(const Tensor& features) const override { return at::mm(features, weights_); }
  Tensor statistics(const Tensor& sums) const override { return statistics_of(sums, num_features_, full_); }

 private:
  Tensor weights_;  // [F, K]
  bool full_;
  int64_t num_features_;
};

class ResidualKernel final : public RowKernel {
 public:
  explicit ResidualKernel(QuadraticForm form) : form_(std::move(form)) {}
  Tensor features(const Tensor& x) const override { return features_of(x, at::kDouble, form_.full()); }
  Tensor log_lik(const Tensor& features) const override {
    return form_.log_lik(features.narrow(1, 1, form_.mean.size(1)));
  }
  Tensor statistics(const Tensor& sums) const override { return statistics_of(sums, form_.mean.size(1), form_.full()); }

 private:
  QuadraticForm form_;
};

}  // namespace

Tensor QuadraticForm::whitened(const Tensor& x) const {
  const Tensor residual = x.to(at::kDouble).unsqueeze(0) - mean.unsqueeze(1);
  return full() ? at::matmul(residual, root) : residual * root.unsqueeze(1);
}

Tensor QuadraticForm::log_lik(const Tensor& x) const {
  std::vector<Tensor> squares;
  for (int64_t k = 0; k < mean.size(0); ++k) {
    const Tensor residual = x - mean[k], white = full() ? at::mm(residual, root[k]) : residual * root[k];
    squares.push_back((white * white).sum(-1));
  }
  return offset - 0.5 * at::stack(squares, 1);
}

std::unique_ptr<const RowKernel> packed_kernel(const Tensor& weights, bool full) {
  return std::make_unique<PackedKernel>(weights, full);
}

std::unique_ptr<const RowKernel> residual_kernel(const QuadraticForm& form) {
  return std::make_unique<ResidualKernel>(form);
}

}  // namespace vem
