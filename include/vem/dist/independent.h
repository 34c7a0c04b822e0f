// Batch dimensions read as dimensions of one event.
#pragma once

#include <memory>

#include "vem/dist/distribution.h"

namespace vem {

/// The last `dims` batch dimensions of `base` become the first of the event: log_prob() and entropy() are summed over
/// them.
class Independent final : public Distribution {
 public:
  Independent(std::shared_ptr<const Distribution> base, int64_t dims);
  const char* name() const override { return "independent"; }
  const Distribution& base() const { return *base_; }
  int64_t dims() const { return dims_; }
  Support support() const override { return base_->support(); }
  Tensor mean() const override { return base_->mean(); }
  Tensor variance() const override { return base_->variance(); }
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return base_->reparameterised(); }
  using Distribution::rsample;
  Tensor rsample(const Tensor& noise) const override { return base_->rsample(noise); }

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  std::shared_ptr<const Distribution> base_;
  int64_t dims_;
};

}  // namespace vem
