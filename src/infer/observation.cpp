// The general parts of an observation: maps that are linear in the statistics, data moments, the default row kernel.
#include "vem/infer/observation.h"

#include "row_groups.h"
#include "vem/core/error.h"

namespace vem {
namespace {

/// statistics(), log_lik() and sums() as they are: for observations that have no faster way.
class PlainKernel final : public RowKernel {
 public:
  PlainKernel(const Observation& observation, Tensor t) : observation_(observation), t_(std::move(t)) {}
  Tensor features(const Tensor& x) const override { return observation_.statistics(x); }
  Tensor log_lik(const Tensor& features) const override { return observation_.log_lik(features, t_); }
  Tensor sums(const Tensor& features, const Tensor& marginals) const override {
    return observation_.sums(features, marginals);
  }
  Tensor statistics(const Tensor& sums) const override { return sums; }

 private:
  const Observation& observation_;
  Tensor t_;
};

}  // namespace

Moments moments(const Tensor& x, const Tensor& weight) {
  at::NoGradGuard no_grad;
  const int64_t N = x.size(0), D = x.size(1);
  const auto rows = [&](int64_t begin, int64_t end) { return x.slice(0, begin, end).to(at::kDouble); };
  const auto weights = [&](int64_t begin, int64_t end) { return weight.slice(0, begin, end).unsqueeze(-1); };
  const Tensor zero = at::zeros({D}, at::kDouble);
  const Tensor total =
      sum_chunks(N, at::zeros({}, at::kDouble), [&](int64_t a, int64_t b) { return weights(a, b).sum(); });
  const Tensor mean =
      sum_chunks(N, zero, [&](int64_t a, int64_t b) { return (rows(a, b) * weights(a, b)).sum(0); }) / total;
  const Tensor scatter = sum_chunks(N, at::zeros({D, D}, at::kDouble), [&](int64_t a, int64_t b) {
    const Tensor centred = rows(a, b) - mean;
    return at::mm((centred * weights(a, b)).t(), centred);
  });
  // One row, or less, has no spread to divide.
  return {mean, 0.5 * (scatter + scatter.t()) / at::where(total > 1, total - 1, at::ones_like(total))};
}

void ConjugateOptions::tell(const Choice& choice, Estimate estimate) {
  if (auto* options = dynamic_cast<ConjugateOptions*>(choice.options.get())) options->estimate = estimate;
}

void refuse_without_effect(bool changed, const std::string& option, const std::string& condition) {
  if (changed) fail<ConfigError>("{} has no effect in this run; it takes effect when {}", option, condition);
}

Tensor RowKernel::sums(const Tensor& features, const Tensor& marginals) const {
  return at::mm(marginals.t(), features);
}

Tensor Observation::log_lik(const Tensor& s, const Tensor& t) const {
  return at::mm(s, t.to(s.scalar_type()).t()) + log_base(s);
}

Tensor Observation::sums(const Tensor& s, const Tensor& marginals) const { return at::mm(marginals.t(), s); }

std::unique_ptr<const RowKernel> Observation::kernel(const Tensor& t, bool) const {
  return std::make_unique<PlainKernel>(*this, t);
}

}  // namespace vem
