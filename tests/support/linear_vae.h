// A linear VAE is probabilistic PCA (Tipping and Bishop 1999): x = W z + b + sigma noise, log p(x) = log N(x | b, W W'
// + sigma^2 I), and q(z | x) has the covariance (I + W'W / sigma^2)^-1, which is diagonal where the columns of W are
// orthogonal. So bounds can be compared with numbers, and the bound at the best linear encoder is tight.
// Legend: N rows, D features, L latent dimensions.
#pragma once

#include <memory>

#include "support/models.h"

namespace vem {

struct LinearVae {
  std::shared_ptr<Model> model;
  Dataset data;
  Tensor W, b;  ///< [D, L] with orthogonal columns, [D]
  double sigma;

  /// log p(x) of each row [N], exactly.
  Tensor log_evidence() const;
  /// Mean [N, L] and variance [L] of the exact posterior.
  Tensor posterior_mean() const;
  Tensor posterior_variance() const;
  /// The encoder at the exact posterior; `error` moves its means and log standard deviations away from it.
  void set_encoder(double error = 0) const;
};

/// 40 rows of 5 features, 2 latent dimensions; `top` are further lines of the [model] section.
LinearVae linear_vae(const std::string& top = "");

}  // namespace vem
