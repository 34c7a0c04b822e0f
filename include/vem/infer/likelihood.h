// p(x | z): how a decoder's outputs become a distribution over a row.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/data/dataset.h"
#include "vem/infer/block.h"

namespace vem {

class Likelihood {
 public:
  static constexpr const char* kKind = "likelihood";
  struct Context {
    int64_t num_features;
    at::ScalarType dtype;
    std::shared_ptr<GradientBlock> block;  ///< for learned parameters of its own, "likelihood.<name>"
  };
  virtual ~Likelihood() = default;
  /// Decoder outputs a feature: 1, or 2 with a predicted scale. Outputs are [parameter, feature] flattened.
  virtual int64_t parameters_per_feature() const = 0;
  /// outputs [S, rows, parameters * D], x [rows, D] -> [S, rows] nats, all constants kept.
  virtual Tensor log_prob(const Tensor& outputs, const Tensor& x) const = 0;
  /// E[x] [..., D] from outputs [..., parameters * D].
  virtual Tensor mean(const Tensor& outputs) const = 0;
  /// A draw of x, shaped as mean(); `index` [rows] keys the noise.
  virtual Tensor sample(const Tensor& outputs, const Tensor& index, const Rng& rng) const = 0;
  /// The output bias [parameters * D] at which a constant decoder fits rows of that mean and variance [D] best.
  virtual Tensor output_bias(const Tensor& mean, const Tensor& variance) const = 0;
  /// What a number of x may be; never NaN or infinite.
  virtual Range support() const = 0;
};

}  // namespace vem
