// Rows of zeros and ones, each cell with a probability of its own a component: log p(x | k) = x log pi + (1 - x) log(1
// - pi), with a beta prior a cell.
#include "dirichlet_rows.h"

namespace vem {
namespace {

using BernoulliObservationOptions = DirichletRowsOptions;

class BernoulliRows final : public DirichletRows {
 public:
  BernoulliRows(const BernoulliObservationOptions& options, const Context& context)
      : DirichletRows("bernoulli", options, context, context.num_features, 2) {}

  TensorMap describe(const Tensor& t) const override {
    const Tensor p = probabilities(t).view({K(), D(), 2});
    return {{"probabilities", p.select(2, 0) / p.sum(2)}};
  }
  std::vector<std::string> parameters() const override { return {"probabilities"}; }

  Tensor supported(const Tensor& x) const override { return x.isnan().logical_or(x.eq(0)).logical_or(x.eq(1)); }
  std::string support(int64_t) const override { return "0 or 1, or NaN where it is missing,"; }

  /// (x, 1 - x) cell after cell.
  Tensor statistics(const Tensor& x) const override {
    const Tensor cells = at::stack({x, 1 - x}, 2).to(at::kDouble);
    return present(cells, cells.isnan()).flatten(1);
  }
  Tensor log_base(const Tensor& s) const override { return at::zeros({}, s.options()); }

  Tensor log_predictive(const Tensor& x) const override {
    return log_lik(statistics(x), expected_probabilities().log());
  }
  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return (1 - draw(index, component, probabilities(t), rng, "row")).to(at::kDouble);
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    return (1 - draw(index, component, expected_probabilities(), rng, "row")).to(at::kDouble);
  }
  Marginals marginals() const override {
    const Tensor p = current_probabilities().view({K(), D(), 2}).select(2, 0);
    const auto cdf = [p](int64_t k, int64_t d, double x) {
      return x < 0 ? 0 : x < 1 ? 1 - p.accessor<double, 2>()[k][d] : 1;
    };
    return {p, p * (1 - p), p, at::ones_like(p), at::ones({D()}, at::kBool), cdf, std::vector<Tensor>(p.size(1))};
  }
};

}  // namespace

void register_bernoulli_observation(Registry& registry) {
  registry.add<Observation, BernoulliObservationOptions>(
      "bernoulli", "rows of zeros and ones, exact beta prior",
      [](const BernoulliObservationOptions& options, const Observation::Context& context) {
        return std::make_shared<BernoulliRows>(options, context);
      });
}

}  // namespace vem
