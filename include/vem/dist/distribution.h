// Distributions of a latent: what an encoder, a prior or per-item state parameterises. rows x L dimensions.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// A distribution over z for each of `rows` rows, reparameterised from standard normal noise.
class Distribution {
 public:
  virtual ~Distribution() = default;
  virtual Tensor mean() const = 0;                        ///< [rows, L]
  virtual Tensor rsample(const Tensor& noise) const = 0;  ///< [S, rows, L] -> [S, rows, L], differentiable
  virtual Tensor log_prob(const Tensor& z) const = 0;     ///< [S, rows, L] -> [S, rows], in nats
  virtual Tensor entropy() const = 0;                     ///< [rows]
};

/// Independent dimensions, by mean and log standard deviation [rows, L].
class DiagonalNormal final : public Distribution {
 public:
  DiagonalNormal(Tensor mean, Tensor log_std) : mean_(std::move(mean)), log_std_(std::move(log_std)) {}
  Tensor mean() const override { return mean_; }
  const Tensor& log_std() const { return log_std_; }
  Tensor rsample(const Tensor& noise) const override;
  Tensor log_prob(const Tensor& z) const override;
  Tensor entropy() const override;

 private:
  Tensor mean_, log_std_;
};

}  // namespace vem
