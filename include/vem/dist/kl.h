// KL divergences in closed form by a table of pairs, and Monte Carlo where there is none.
#pragma once

#include <functional>
#include <memory>

#include "vem/dist/distribution.h"

namespace vem {

/// KL(q || p) [batch of both, broadcast], in nats; undefined where the pair has no closed form. Two members of one
/// exponential family always have one: <eta_q - eta_p, E_q[t]> - A(eta_q) + A(eta_p). Wrapped distributions
/// (independent dimensions) are unwrapped. Error if event shapes differ.
Tensor kl(const Distribution& q, const Distribution& p);

/// KL(q || p), by `samples` draws from q where there is no closed form: the mean of log q - log p, pathwise
/// differentiable where q is reparameterised.
Tensor kl_estimate(const Distribution& q, const Distribution& p, int64_t samples, const Rng& rng);

/// The entropy of q, by `samples` draws where there is no closed form.
Tensor entropy_estimate(const Distribution& q, int64_t samples, const Rng& rng);

}  // namespace vem
