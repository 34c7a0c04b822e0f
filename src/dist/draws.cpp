// Standard noise, and counts by inversion below a rate of ten and by transformed rejection above (Hormann 1993, "The
// transformed rejection method for generating Poisson random variables", algorithm PTRS).
#include "draws.h"

#include <limits>

#include "check.h"

namespace vem {
namespace {

constexpr double kFewCounts = 10;

Tensor draw_index(const Shape& sample_shape) { return at::arange(c10::multiply_integers(sample_shape), at::kLong); }

/// `draw`(index, shape of a row) for the draws of the sample shape, each of the shape of `like`. A recording takes
/// every number for a row of its own, since a trace keeps the sizes of tensors open and freezes those of a shape.
template <class Draw>
Tensor noise_like(const Shape& sample_shape, const Tensor& like, const Rng& rng, const Draw& draw) {
  if (!rng.is_recorded()) {
    const Shape shape = like.sizes().vec();
    return draw(draw_index(sample_shape), shape).reshape(concatenated(sample_shape, shape));
  }
  const Tensor all = like.expand(concatenated(sample_shape, Shape(static_cast<size_t>(like.dim()), -1)));
  return draw(all.flatten(), Shape()).view_as(all);
}

double by_inversion(double rate, double u) {
  double count = 0, p = std::exp(-rate), below = p;
  while (u > below && p > 0) {  // p is zero when u is beyond every count that 53 bits can tell from none
    count += 1;
    p *= rate / count;
    below += p;
  }
  return count;
}

/// A count, or -1 if the pair of uniforms was rejected.
double by_rejection(double rate, double u, double v) {
  const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
  const double centred = u - 0.5, edge = 0.5 - std::abs(centred);
  const double count = std::floor((2 * a / edge + b) * centred + rate + 0.43);
  if (edge >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2)) return count;
  if (count < 0 || (edge < 0.013 && v > edge)) return -1;
  const double log_ratio = std::log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (edge * edge) + b));
  return log_ratio <= count * std::log(rate) - rate - std::lgamma(count + 1) ? count : -1;
}

}  // namespace

Tensor uniform_noise(const Shape& sample_shape, const Tensor& like, const Rng& rng, const char* stream) {
  return noise_like(sample_shape, like, rng,
                    [&](const Tensor& index, const Shape& shape) { return rng.uniform(index, shape, stream); });
}

Tensor normal_noise(const Shape& sample_shape, const Tensor& like, const Rng& rng, const char* stream) {
  return noise_like(sample_shape, like, rng, [&](const Tensor& index, const Shape& shape) {
    return rng.normal(index, shape, stream, like.scalar_type());
  });
}

Tensor gumbel_noise(const Shape& sample_shape, const Tensor& like, const Rng& rng) {
  return uniform_noise(sample_shape, like, rng, "gumbel").log_().neg_().log_().neg_().to(like.scalar_type());
}

double smallest_positive(const Tensor& like) {
  return like.scalar_type() == at::kFloat ? std::numeric_limits<float>::min() : std::numeric_limits<double>::min();
}

double epsilon(const Tensor& like) {
  return like.scalar_type() == at::kFloat ? std::numeric_limits<float>::epsilon()
                                          : std::numeric_limits<double>::epsilon();
}

Tensor poisson_draw(const Tensor& rate, const Rng& rng) {
  const Tensor rates = rate.detach().to(at::kDouble).contiguous();
  if (rng.is_recorded()) return at::poisson(rates);
  Tensor counts = at::empty_like(rates);
  const double* r = rates.data_ptr<double>();
  double* out = counts.data_ptr<double>();
  std::vector<int64_t> pending(static_cast<size_t>(rates.numel()));
  for (size_t i = 0; i < pending.size(); ++i) pending[i] = static_cast<int64_t>(i);
  for (uint64_t round = 0; !pending.empty(); ++round) {
    const Tensor u = rng.fold(round).uniform(at::tensor(pending, at::kLong), {2}, "poisson").contiguous();
    const double* pair = u.data_ptr<double>();
    std::vector<int64_t> rejected;
    for (size_t i = 0; i < pending.size(); ++i) {
      const int64_t at = pending[i];
      out[at] =
          r[at] < kFewCounts ? by_inversion(r[at], pair[2 * i]) : by_rejection(r[at], pair[2 * i], pair[2 * i + 1]);
      if (out[at] < 0) rejected.push_back(at);
    }
    pending.swap(rejected);
  }
  return counts;
}

}  // namespace vem
