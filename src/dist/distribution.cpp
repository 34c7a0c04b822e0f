// What all distributions share: shapes, checks of values and the two ways to draw.
#include "vem/dist/distribution.h"

#include "check.h"
#include "draws.h"
#include "vem/dist/natural_form.h"

namespace vem {

void Distribution::set_shapes(const Tensor& like, int64_t event_dims) {
  const auto sizes = like.sizes();
  const auto split = sizes.end() - event_dims;
  set_shapes(Shape(sizes.begin(), split), Shape(split, sizes.end()));
}

void Distribution::set_shapes(Shape batch, Shape event) {
  batch_shape_ = std::move(batch);
  event_shape_ = std::move(event);
}

const Tensor& Distribution::checked(const Tensor& x) const {
  check_shape(name(), x, batch_shape_, event_shape_);
  check_support(name(), x, support());
  return x;
}

Tensor Distribution::sample(const Shape& sample_shape, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  return draw(sample_shape, rng).detach();
}

Tensor Distribution::rsample(const Shape& sample_shape, const Rng& rng) const {
  if (!reparameterised()) fail<Error>("{}.rsample: draws are not differentiable; use sample", name());
  return draw(sample_shape, rng);
}

Tensor Distribution::rsample(const Tensor&) const {
  fail<Error>("{}.rsample: a draw is not a function of standard normal noise; pass a shape and an rng", name());
}

Tensor Distribution::draw(const Shape&, const Rng&) const { fail<Error>("{}.sample: draws are not available", name()); }

Tensor drawn_from(const Distribution& q, const Shape& sample_shape, const Rng& rng) {
  return q.reparameterised() ? q.rsample(sample_shape, rng) : q.sample(sample_shape, rng);
}

Tensor NaturalForm::log_base(const Tensor& x) const { return at::zeros_like(statistics(x).select(-1, 0)); }

}  // namespace vem
