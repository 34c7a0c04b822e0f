// Rows against K quadratic forms, expanded into moments of the rows or residual by residual.
#include "normal_kernel.h"

#include "moment_product.h"

namespace vem {
namespace {

/// Sums [K, F] to those of s = (1, x, x x', 1) or (1.., x, x^2, 1..): the count stands once in F.
Tensor statistics_of(const Tensor& sums, int64_t D, bool full) {
  const Tensor count = sums.narrow(1, 0, 1), rest = sums.narrow(1, 1, sums.size(1) - 1);
  const Tensor repeated = count.expand({-1, full ? 1 : D});
  return at::cat({repeated, rest, repeated}, 1);
}

class PackedKernel final : public RowKernel {
 public:
  PackedKernel(const Tensor& weights, bool full) : product_(weights.t(), full), full_(full) {}
  Tensor features(const Tensor& x) const override { return product_.columns(x); }
  Tensor log_lik(const Tensor& features) const override { return product_.log_lik(features); }
  Tensor sums(const Tensor& features, const Tensor& marginals) const override {
    return product_.sums(features, marginals);
  }
  Tensor statistics(const Tensor& sums) const override { return statistics_of(sums, product_.num_features(), full_); }

 private:
  MomentProduct product_;
  bool full_;
};

class ResidualKernel final : public RowKernel {
 public:
  ResidualKernel(const Tensor& weights, QuadraticForm form) : packed_(weights, form.full()), form_(std::move(form)) {}
  Tensor features(const Tensor& x) const override { return packed_.features(x); }
  Tensor log_lik(const Tensor& features) const override { return form_.log_lik(features.slice(1, 1)); }
  Tensor sums(const Tensor& features, const Tensor& marginals) const override {
    return packed_.sums(features, marginals);
  }
  Tensor statistics(const Tensor& sums) const override { return packed_.statistics(sums); }

 private:
  PackedKernel packed_;
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

std::unique_ptr<const RowKernel> residual_kernel(const Tensor& weights, const QuadraticForm& form) {
  return std::make_unique<ResidualKernel>(weights, form);
}

}  // namespace vem
