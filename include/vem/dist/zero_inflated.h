// More zeros than a distribution of counts explains.
#pragma once

#include <memory>

#include "vem/dist/distribution.h"

namespace vem {

/// Zero with probability sigmoid(gate_logits), else a draw of `base` (scalar events): Lambert 1992. gate_logits
/// broadcast to the batch shape of base. Entropy and divergences have no closed form.
class ZeroInflated final : public Distribution {
 public:
  ZeroInflated(std::shared_ptr<const Distribution> base, const Tensor& gate_logits);
  const char* name() const override { return "zero-inflated"; }
  Support support() const override { return base_->support(); }
  Tensor mean() const override;
  Tensor variance() const override;
  Tensor log_prob(const Tensor& x) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  std::shared_ptr<const Distribution> base_;
  Tensor gate_logits_;
};

}  // namespace vem
