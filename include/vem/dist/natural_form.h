// Exponential families: log p(x) = <eta, t(x)> - A(eta) + log h(x), for those distributions that are members of one.
// (ExponentialFamily is the same idea without a distribution at hand, for the eta of conjugate blocks.)
#pragma once

#include <memory>

#include "vem/dist/distribution.h"

namespace vem {

/// A second face of a Distribution: `dynamic_cast<const NaturalForm*>(&q)` asks for it. P numbers in eta and t.
class NaturalForm {
 public:
  virtual ~NaturalForm() = default;
  /// eta [batch, P].
  virtual Tensor natural() const = 0;
  /// t(x) [..., batch, P] of x [..., batch, event].
  virtual Tensor statistics(const Tensor& x) const = 0;
  /// E[t] = dA / d eta at natural() [batch, P].
  virtual Tensor expected_statistics() const = 0;
  /// A(eta) [...] of eta [..., P].
  virtual Tensor log_partition(const Tensor& eta) const = 0;
  /// log h(x) [..., batch]; zero for most.
  virtual Tensor log_base(const Tensor& x) const;
  /// The member at eta [..., P]; what is no part of eta (a fixed count) is kept.
  virtual std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const = 0;
};

}  // namespace vem
