// Student's t distribution.
#pragma once

#include "vem/dist/distribution.h"

namespace vem {

/// Location `mean`, scale and degrees of freedom df > 0; exact for every df, also where it is all but normal.
class StudentT final : public Distribution {
 public:
  StudentT(const Tensor& df, const Tensor& mean, const Tensor& scale);
  const char* name() const override { return "student-t"; }
  Tensor mean() const override;      ///< NaN where df <= 1
  Tensor variance() const override;  ///< infinite where df <= 2, NaN where df <= 1
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor log_normaliser() const;

  Tensor df_, mean_, scale_;
};

}  // namespace vem
