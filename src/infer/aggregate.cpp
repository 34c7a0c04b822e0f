#include "vem/infer/aggregate.h"

#include "vem/core/error.h"
#include "vem/dist/normal.h"
#include "vem/dist/normal_function.h"

namespace vem {

AggregateDensity aggregate_density(const Distribution& q, const Tensor& z, const Tensor& log_weight) {
  const Tensor at_each = z.unsqueeze(2);  // [S, R, 1, L]
  const Tensor weight = log_weight.to(z.scalar_type());
  if (const auto* independent = dynamic_cast<const DiagonalNormal*>(&q)) {
    const Tensor standardized = (at_each - independent->mean()) * (-independent->log_std()).exp();
    const Tensor by_dimension = normal_log_density(standardized.square(), independent->log_std());  // [S, R, J, L]
    return {(by_dimension.sum(-1) + weight).logsumexp(2), (by_dimension + weight.unsqueeze(-1)).logsumexp(2).sum(-1)};
  }
  const int64_t items = q.batch_shape()[0];
  const Tensor repeated = at_each.expand({z.size(0), z.size(1), items, z.size(2)});
  return {(q.log_prob(repeated) + weight).logsumexp(2), {}};
}

// Where there is a natural form, <eta_k, t(z)> - A(eta_k) for all k at once.
Tensor mixture_log_density(const Distribution& components, const Tensor& z, const Tensor& log_weight) {
  const Tensor rows = z.reshape({-1, z.size(-1)});
  Tensor log_q;
  if (const auto* family = dynamic_cast<const NaturalForm*>(&components)) {
    const Tensor eta = family->natural();
    log_q = at::addmm(log_weight - family->log_partition(eta), family->statistics(rows), eta.t());
  } else {
    log_q = log_weight + components.log_prob(rows.unsqueeze(1).expand({-1, components.batch_shape()[0], -1}));
  }
  return at::logsumexp(log_q, {1}).view({z.size(0), z.size(1)});
}

}  // namespace vem
