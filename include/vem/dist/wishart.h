// The Wishart distribution over precision matrices [D, D].
#pragma once

#include "vem/dist/natural_form.h"

namespace vem {

/// W(X | df, scale) with mean df * scale (Bishop, PRML, B.78): df > D - 1 [batch], scale [batch, D, D] positive
/// definite. eta = (packed(scale^-1), df - D - 1), t = (-packed*(X) / 2, log|X| / 2), where packed() is the upper
/// triangle by rows and packed*() doubles what is off the diagonal.
class Wishart final : public Distribution, public NaturalForm {
 public:
  Wishart(const Tensor& df, const Tensor& scale);
  const char* name() const override { return "wishart"; }
  Support support() const override { return Support::positive_definite; }
  Tensor mean() const override;
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor df_, scale_, cholesky_;
};

}  // namespace vem
