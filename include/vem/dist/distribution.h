// The contract of every probability distribution: the C++ counterpart of torch.distributions, with every draw keyed by
// an Rng. Shapes are as there: [sample_shape, batch_shape, event_shape], and parameters broadcast to the batch shape.
#pragma once

#include "vem/core/rng.h"
#include "vem/core/types.h"

namespace vem {

/// What a value of one event may be.
enum class Support {
  real,
  nonnegative,
  unit_interval,      ///< [0, 1]
  count,              ///< 0, 1, 2 ...
  category,           ///< 0 .. K - 1
  one_hot,            ///< [K]
  simplex,            ///< [K], not negative, with sum one
  positive_definite,  ///< [D, D], symmetric
  other               ///< what the class says
};

/// A batch of independent distributions. Everything is differentiable in the parameters, in float32 and float64.
/// Constructors throw Error for shapes or types that do not fit and NumericError for parameters out of their range;
/// log_prob() throws Error for shapes and DataError for values out of the support.
class Distribution {
 public:
  virtual ~Distribution() = default;
  /// What messages call it.
  virtual const char* name() const { return "distribution"; }
  const Shape& batch_shape() const { return batch_shape_; }
  const Shape& event_shape() const { return event_shape_; }
  virtual Support support() const { return Support::real; }

  /// x [..., batch, event] -> [..., batch], in nats.
  virtual Tensor log_prob(const Tensor& x) const = 0;
  /// [batch, event]; NaN where the integral does not exist; undefined where it has no meaning or no closed form.
  virtual Tensor mean() const = 0;
  /// As mean(), element by element; infinite where it diverges.
  virtual Tensor variance() const { return {}; }
  /// [batch], in nats; undefined where there is no closed form (see entropy_estimate in vem/dist/kl.h).
  virtual Tensor entropy() const { return {}; }

  /// A draw [sample_shape, batch, event] that carries no gradient; a function of the parameters and of rng alone. The
  /// first draws do not depend on how many follow, but for their last bits.
  Tensor sample(const Shape& sample_shape, const Rng& rng) const;
  /// The same draw, differentiable in the parameters; Error unless reparameterised().
  Tensor rsample(const Shape& sample_shape, const Rng& rng) const;
  /// Whether the gradient of rsample() is the pathwise one, exactly.
  virtual bool reparameterised() const { return false; }
  /// From standard normal noise [..., batch, event], where a draw is a function of that.
  virtual Tensor rsample(const Tensor& noise) const;

 protected:
  Distribution() = default;
  /// The batch shape is that of `like` without its last `event_dims` dimensions, which are the event shape.
  void set_shapes(const Tensor& like, int64_t event_dims);
  void set_shapes(Shape batch, Shape event);
  /// x itself, after its shape and support were checked.
  const Tensor& checked(const Tensor& x) const;
  /// What sample() and rsample() share.
  virtual Tensor draw(const Shape& sample_shape, const Rng& rng) const;

 private:
  Shape batch_shape_, event_shape_;
};

}  // namespace vem
