#include "vem/dist/independent.h"

#include "check.h"
#include "draws.h"

namespace vem {
namespace {

Tensor sum_last(const Tensor& value, int64_t dims) {
  return dims == 0 || !value.defined() ? value : value.flatten(-dims).sum(-1);
}

}  // namespace

Independent::Independent(std::shared_ptr<const Distribution> base, int64_t dims) : base_(std::move(base)), dims_(dims) {
  const Shape& batch = base_->batch_shape();
  const auto available = static_cast<int64_t>(batch.size());
  if (dims < 0 || dims > available)
    fail<Error>("independent: dims must be in [0, {}], the batch dimensions of {}, got {}", available, base_->name(),
                dims);
  set_shapes(Shape(batch.begin(), batch.end() - dims),
             concatenated(Shape(batch.end() - dims, batch.end()), base_->event_shape()));
}

Tensor Independent::entropy() const { return sum_last(base_->entropy(), dims_); }

Tensor Independent::log_prob(const Tensor& x) const {
  check_shape(name(), x, batch_shape(), event_shape());
  return sum_last(base_->log_prob(x), dims_);
}

Tensor Independent::draw(const Shape& sample_shape, const Rng& rng) const {
  return drawn_from(*base_, sample_shape, rng);
}

}  // namespace vem
