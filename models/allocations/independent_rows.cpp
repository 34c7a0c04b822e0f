// One pass over the rows of a chunk: log weights added, normalised, weighted and counted.
#include "independent_rows.h"

#include <limits>

#include "vem/core/error.h"

namespace vem {
namespace {

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();
// Responsibilities below exp of this count as zero, before they turn into denormal numbers, which are slow.
template <class T>
constexpr T kNegligible = sizeof(T) == 4 ? -70 : -650;

struct Normalized {
  double bound = 0;
  std::vector<double> sums;
};

/// Turns joint [rows, K] into weighted responsibilities in place; sums and bound in float64 whatever T is.
template <class T>
Normalized normalize(const Tensor& joint, const Tensor& log_weights, const Tensor& row_weight) {
  const int64_t rows = joint.size(0), K = joint.size(1);
  T* const begin = joint.data_ptr<T>();
  const T* t = log_weights.data_ptr<T>();
  const double* weight = row_weight.data_ptr<double>();
  std::vector<T> largest(static_cast<size_t>(rows));
  for (int64_t n = 0; n < rows; ++n) {
    T* r = begin + n * K;
    T top = -kInfinity<T>;
    for (int64_t k = 0; k < K; ++k) top = std::max(top, r[k] += t[k]);
    for (int64_t k = 0; k < K; ++k) r[k] = r[k] - top < kNegligible<T> ? -kInfinity<T> : r[k] - top;
    largest[static_cast<size_t>(n)] = top;
  }
  joint.exp_();  // vectorised, unlike std::exp
  Normalized total{0, std::vector<double>(static_cast<size_t>(K))};
  for (int64_t n = 0; n < rows; ++n) {
    T* r = begin + n * K;
    double z = 0;
    for (int64_t k = 0; k < K; ++k) z += r[k];
    if (weight[n] != 0) total.bound += weight[n] * (largest[static_cast<size_t>(n)] + std::log(z));
    const auto scale = static_cast<T>(weight[n] / z);
    for (int64_t k = 0; k < K; ++k) total.sums[static_cast<size_t>(k)] += r[k] *= scale;
  }
  return total;
}

}  // namespace

Tensor IndependentRows::log_joint(const Tensor& log_lik, const TensorMap& globals) const {
  return log_lik + expand(globals.at(block_->key())).to(log_lik.scalar_type());
}

Tensor IndependentRows::log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
  return batch.per_item(at::logsumexp(log_joint(log_lik, globals), -1));
}

Tensor IndependentRows::log_weights() const {
  return posterior() ? log_expected(block_->eta()) : expand(block_->t().detach());
}

Allocation::Counts IndependentRows::expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
  at::NoGradGuard no_grad;
  const Tensor joint = log_lik.detach().clone(at::MemoryFormat::Contiguous);
  const Tensor log_weight = expand(globals.at(block_->key()).detach()).to(joint.scalar_type()).contiguous();
  const Tensor row_weight = batch.row_weight().contiguous();
  const Normalized total = joint.scalar_type() == at::kFloat ? normalize<float>(joint, log_weight, row_weight)
                                                             : normalize<double>(joint, log_weight, row_weight);
  return {at::scalar_tensor(total.bound, at::kDouble),
          joint,
          {{block_->key(), collapse(at::tensor(total.sums).view({1, -1}))}},
          {}};
}

/// A component for every row, by the inverse of the cumulative sum of its responsibilities.
Allocation::Counts IndependentRows::draw(const Tensor& log_lik, const Batch& batch, const TensorMap& globals,
                                         const Rng& rng) const {
  Counts counts = expect(log_lik, batch, globals);
  const Tensor edges = counts.marginals.to(at::kDouble).cumsum(-1);
  const Tensor u = batch.uniform(rng, {1}, "component") * edges.slice(-1, K() - 1);
  const Tensor component = (u >= edges).sum(-1).clamp_max(K() - 1);
  const Tensor chosen = at::one_hot(component, K()).to(at::kDouble);
  counts.marginals = chosen.to(log_lik.scalar_type());
  counts.sums[block_->key()] = collapse(chosen.sum(0, true));
  return counts;
}

Tensor IndependentRows::sample(int64_t n, const TensorMap&, const Rng& rng) const {
  const Tensor edges = log_weights().exp().cumsum(-1).squeeze(0).contiguous();
  const Tensor u = rng.uniform(at::arange(n, at::kLong), {}, "component") * edges[-1];
  return at::searchsorted(edges, u.contiguous()).clamp_max(edges.size(0) - 1);
}

std::string IndependentRows::sample_script() const {
  return fmt::format("torch.multinomial({}, n, True)", weights_script("self." + block_->name(), posterior()));
}

}  // namespace vem
