#include "support/lda_reference.h"

namespace vem {

DenseSweep dense_sweep(const DenseLda& m, const Tensor& gamma) {
  const Tensor total = gamma.sum(1, true);
  const Tensor log_theta = m.collapsed ? (gamma / total).log() : at::digamma(gamma) - at::digamma(total);
  const Tensor joint = log_theta.unsqueeze(1) + m.log_beta.t().unsqueeze(0);  // [D, V, K]
  const Tensor phi = at::softmax(joint, 2), expected = m.counts.unsqueeze(2) * phi;
  // E[log p(z | theta)] + E[log p(w | z, beta)] - E[log q(z)]
  const Tensor words = (expected * (joint - phi.log())).sum({1, 2});
  const Tensor alpha = m.collapsed ? m.alpha + 1 : m.alpha;
  const Tensor log_p = at::lgamma(alpha.sum()) - at::lgamma(alpha).sum() + ((alpha - 1) * log_theta).sum(1);
  const Tensor log_q = at::lgamma(total.squeeze(1)) - at::lgamma(gamma).sum(1) + ((gamma - 1) * log_theta).sum(1);
  const Tensor full = words + log_p - (m.collapsed ? at::zeros_like(log_q) : log_q);
  const Tensor empty = m.counts.sum(1).eq(0);
  return {at::where(empty, at::zeros_like(full), full), expected.transpose(1, 2),
          at::where(empty.unsqueeze(1), at::zeros_like(log_theta), log_theta), m.alpha + expected.sum(1)};
}

DenseDraw dense_draw(const DenseLda& m, const Tensor& theta, const Rng& rng) {
  const int64_t D = m.counts.size(0), V = m.counts.size(1), K = m.alpha.size(0);
  DenseDraw draw{at::zeros({D}, at::kDouble), at::zeros({D, K, V}, at::kDouble), at::empty({D, K}, at::kDouble)};
  for (int64_t d = 0; d < D; ++d) {
    const auto tokens = m.counts[d].sum().item<int64_t>();
    const Tensor u = rng.uniform(at::full({1}, d, at::kLong), {tokens}, "topic")[0];
    int64_t token = 0;
    for (int64_t v = 0; v < V; ++v)
      for (int64_t c = 0; c < m.counts[d][v].item<int64_t>(); ++c) {
        const Tensor joint = theta[d] * m.log_beta.select(1, v).exp(), conditional = joint / joint.sum();
        draw.log_prob[d] += joint.sum().log();
        const int64_t k = conditional.cumsum(0).le(u[token++]).sum().item<int64_t>();  // the first edge above u
        draw.topics[d][k][v] += 1;
      }
    const Tensor gammas = rng.fold(static_cast<uint64_t>(d)).gamma(m.alpha + draw.topics[d].sum(1), "theta");
    draw.theta[d].copy_(gammas / gammas.sum());
  }
  return draw;
}

Tensor dense_start(const DenseLda& m) { return m.alpha + m.counts.sum(1, true) / static_cast<double>(m.alpha.size(0)); }

Dataset documents_of_counts(const Tensor& counts) {
  const Tensor places = counts.nonzero();
  Dataset data;
  data.size = counts.size(0);
  data.schema.item_shape = {counts.size(1)};
  data.columns["word"] = places.select(1, 1).to(at::kInt);
  data.columns["count"] = counts.index({places.select(1, 0), places.select(1, 1)}).to(at::kInt);
  data.offsets = at::cat({at::zeros({1}, at::kLong), at::bincount(places.select(1, 0), {}, data.size).cumsum(0)});
  return data;
}

Tensor dense_counts(const Batch& batch, int64_t num_words) {
  Tensor counts = at::zeros({batch.size(), num_words}, at::kDouble);
  counts.index_put_({batch.row_item(), batch.at("word").to(at::kLong)}, batch.at("count").to(at::kDouble), true);
  return counts;
}

}  // namespace vem
