// The general parts of an observation: maps that are linear in the statistics, data moments, the default row kernel.
#include "vem/infer/observation.h"

#include "row_groups.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

/// s t' [N, K] for statistics s [N, P] >= 0 where t [K, P] is -infinity, the log of a probability of 0: 0 times that is
/// 0, anything more is -infinity. Within the product it is a number that no finite log-likelihood reaches.
Tensor product_with_zeros(const Tensor& s, const Tensor& t) {
  const double lowest = s.scalar_type() == at::kFloat ? -1e36 : -1e300;
  const Tensor product = at::mm(s, t.to(s.scalar_type()).clamp_min(lowest).t());
  return product.masked_fill(product < 0.1 * lowest, -kInfinity);
}

/// statistics(), log_lik() and sums() as they are: for observations that have no faster way.
class PlainKernel final : public RowKernel {
 public:
  PlainKernel(const Observation& observation, const Tensor& t, at::ScalarType dtype)
      : observation_(observation), t_(t.to(dtype)), has_zeros_(t.eq(-kInfinity).any().item<bool>()) {}
  Tensor features(const Tensor& x) const override { return observation_.statistics(x).to(t_.scalar_type()); }
  Tensor log_lik(const Tensor& features) const override {
    return (has_zeros_ ? product_with_zeros(features, t_) : at::mm(features, t_.t())) + observation_.log_base(features);
  }
  Tensor statistics(const Tensor& sums) const override { return sums; }

 private:
  const Observation& observation_;
  Tensor t_;
  bool has_zeros_;
};

}  // namespace

Moments::Moments(const Tensor& mean, const Tensor& covariance)
    : Moments(mean, covariance.diagonal(), [covariance](const Tensor& columns) {
        return covariance.index_select(0, columns).index_select(1, columns);
      }) {}

Tensor Moments::covariance() const { return covariance_of_(at::arange(mean.size(0), at::kLong)); }

Moments Moments::of(const Tensor& columns) const {
  return {mean.index_select(0, columns), variance.index_select(0, columns),
          [all = covariance_of_, columns](const Tensor& some) { return all(columns.index_select(0, some)); }};
}

Moments Moments::scaled(const Tensor& center, const Tensor& scale) const {
  return {(mean - center) / scale, variance / scale.square(), [all = covariance_of_, scale](const Tensor& columns) {
            const Tensor own = scale.index_select(0, columns);
            return all(columns) / at::outer(own, own);
          }};
}

Moments moments(const Tensor& x, const Tensor& weight) {
  at::NoGradGuard no_grad;
  const int64_t N = x.size(0), D = x.size(1);
  const auto rows = [=](int64_t begin, int64_t end) { return x.slice(0, begin, end).to(at::kDouble); };
  const auto weights = [=](int64_t begin, int64_t end) { return weight.slice(0, begin, end).unsqueeze(-1); };
  const auto without_gaps = [](const Tensor& r) { return r.nan_to_num(0, kInfinity, -kInfinity); };
  // One row, or less, has no spread to divide.
  const auto divisor = [](const Tensor& n) { return at::where(n > 1, n - 1, at::ones_like(n)); };
  // Row 0: weights of the cells that are there; row 1: their weighted sums.
  const Tensor first = sum_chunks(N, at::zeros({2, D}, at::kDouble), [&](int64_t a, int64_t b) {
    const Tensor r = rows(a, b), w = weights(a, b) * r.isnan().logical_not();
    return at::stack({w.sum(0), (without_gaps(r) * w).sum(0)});
  });
  const Tensor mean = first[1] / first[0];
  const Tensor squares = sum_chunks(N, at::zeros({D}, at::kDouble), [&](int64_t a, int64_t b) {
    return (weights(a, b) * without_gaps(rows(a, b) - mean).square()).sum(0);
  });
  const Tensor variance = squares / divisor(first[0]);
  const auto covariance_of = [=](const Tensor& columns) {
    const at::NoGradGuard guard;
    const Tensor about = mean.index_select(0, columns);
    const int64_t size = columns.numel();
    const Tensor scatter = sum_chunks(N, at::zeros({size, size}, at::kDouble), [&](int64_t a, int64_t b) {
      const Tensor centred = without_gaps(rows(a, b).index_select(1, columns) - about);
      return at::mm((weights(a, b) * centred).t(), centred);
    });
    const Tensor total =
        sum_chunks(N, at::zeros({}, at::kDouble), [&](int64_t a, int64_t b) { return weight.slice(0, a, b).sum(); });
    const Tensor covariance = 0.5 * (scatter + scatter.t()) / divisor(total);
    covariance.diagonal().copy_(variance.index_select(0, columns));  // that of the cells that are there
    return covariance;
  };
  return {mean, variance, covariance_of};
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

Tensor RowKernel::drawn_sums(const Tensor& features, const Tensor& marginals, const RowNoise&) const {
  return sums(features, marginals);
}

Tensor Observation::point(const TensorMap& globals) const { return globals.at(components().key()); }

Tensor Observation::point() const {
  TensorMap globals;
  for (const auto& block : blocks_) globals[block->key()] = block->t().detach();
  return point(globals);
}

TensorMap Observation::spread(const Tensor& sums) const { return {{components().key(), sums}}; }

TensorMap Observation::rescaled(TensorMap parts, const Tensor&, const Tensor&) const { return parts; }

Tensor Observation::real_columns() const { return at::zeros({D()}, at::kBool); }

Tensor Observation::symbol_columns() const { return at::zeros({D()}, at::kBool); }

Tensor Observation::statistics(const Distribution&) const {
  fail<ConfigError>("observation: this family explains data only, it is no prior of a latent");
}

Tensor Observation::log_lik(const Tensor& s, const Tensor& t) const { return product_with_zeros(s, t) + log_base(s); }

Tensor Observation::sums(const Tensor& s, const Tensor& marginals) const { return at::mm(marginals.t(), s); }

std::unique_ptr<const RowKernel> Observation::kernel(const Tensor& t, bool exact) const {
  return std::make_unique<PlainKernel>(*this, t, exact ? at::kDouble : context_.dtype);
}

std::unique_ptr<const RowKernel> Observation::incomplete_kernel(const Tensor&) const { return nullptr; }

Tensor Observation::log_prob(const Tensor& x, const Tensor& t) const {
  return log_lik(statistics(x.to(at::kDouble)), t.to(at::kDouble));
}

Tensor Observation::completed(const Tensor& x, const Tensor& r) const {
  const Marginals cells = marginals();
  return at::where(x.isnan(), at::mm(r, at::where(cells.mean.isfinite(), cells.mean, cells.location)), x);
}

Marginals Observation::marginals() const {
  fail<Error>("observation: rows of this family depend on those before, so no row has a distribution of its own");
}

ColumnForecast Observation::forecast(const Tensor&, const Tensor&, const Tensor&, int64_t, double) const {
  fail<Error>("observation: rows of this family do not depend on those before; marginals() says all of them");
}

void Observation::add_components(std::shared_ptr<const ExponentialFamily> family, int64_t rows) {
  blocks_.push_back(
      std::make_shared<ConjugateBlock>(context_.prefix + "components", std::move(family), rows, context_.estimate));
}

}  // namespace vem
