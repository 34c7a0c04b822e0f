// Geweke 2004, "Getting it right: joint distribution tests of posterior simulators": draws of (theta, z, x) from prior
// and model, against a chain that alternates x given (theta, z) and (z, theta) given x. Equal moments of theta certify
// prior, likelihood, statistics, updates and samplers together.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/long_tests.h"
#include "support/models.h"

namespace vem {
namespace geweke_test {

struct Case {
  std::string observation, toml, allocation, chain = {};
};

const std::vector<Case> kCases{{"normal", "covariance = \"full\"\ndegrees_of_freedom = 6.0\n", "mixture-weights"},
                               {"normal", "covariance = \"tied\"\ndegrees_of_freedom = 6.0\n", "mixture-weights"},
                               {"normal", "covariance = \"diagonal\"\ndegrees_of_freedom = 6.0\n", "stick-breaking"},
                               {"normal", "covariance = \"spherical\"\ndegrees_of_freedom = 6.0\n", "mixture-weights"},
                               {"bernoulli", "", "mixture-weights"},
                               {"categorical", "num_symbols = 3\n", "stick-breaking"},
                               {"multinomial", "num_trials = 5\n", "mixture-weights"},
                               {"poisson", "shape = 3.0\n", "mixture-weights"},
                               {"exponential", "shape = 3.0\n", "mixture-weights"},
                               {"normal", "covariance = \"diagonal\"\ndegrees_of_freedom = 6.0\n", "markov-chain"},
                               {"normal", "covariance = \"diagonal\"\ndegrees_of_freedom = 6.0\n", "markov-chain",
                                "stickiness = 1.5\ntopology = \"left-right\"\nstart = \"first\"\n"},
                               {"bernoulli", "", "markov-chain", "state_components = 2\nmixing_concentration = 2.0\n"},
                               {"autoregressive", "degrees_of_freedom = 8.0\n", "markov-chain"},
                               {"product",
                                "normal_columns = \"x0\"\ncategorical_columns = \"x1\"\n[part.normal]\nkind = "
                                "\"normal\"\ndegrees_of_freedom = 6.0\n",
                                "mixture-weights"}};

constexpr int64_t kRows = 5;

class Simulator {
 public:
  explicit Simulator(const Case& c)
      : Simulator(c, make_allocation("concentration = 2.0\n" + c.chain, {"", 2, Estimate::gibbs}, c.allocation)) {}
  Simulator(const Case& c, const std::shared_ptr<Allocation>& allocation)
      : part_(allocation, make_observation(c.toml, context(2 * allocation->per_state()), c.observation)),
        gaps_(c.observation != "multinomial" && c.observation != "autoregressive"),
        batch_(rows_batch(kRows)) {
    if (!part_.allocation().independent_rows()) {  // the rows are one item
      batch_ = rows_batch(1);
      batch_.offsets = at::tensor({int64_t{0}, kRows}, at::kLong);
    }
    part_.set_priors({at::ones({2}, at::kDouble), at::eye(2, at::kDouble)});
  }
  void theta_from_prior(const Rng& rng) {
    Expectation none;
    for (const auto& [key, value] : globals_of(part_)) none.sums[key] = at::zeros_like(value.detach());
    for (const auto& block : part_.blocks()) block->m_step(none, Step(), rng);
  }
  /// New rows, some cells missing where the family has gaps: the chain draws them anew, or never sees them.
  void rows_from_theta(const Rng& rng) {
    x_ = part_.sample(at::arange(kRows, at::kLong), rng).first;
    if (gaps_) x_ = x_.clone().index_put_({at::arange(2, at::kLong), at::arange(2, at::kLong)}, std::nan(""));
  }
  void theta_from_rows(const Rng& rng) {
    const Expectation total = part_.expect(x_, batch_, globals_of(part_), &rng);
    for (const auto& block : part_.blocks()) block->m_step(total, Step(), rng);
  }
  /// Bounded functions of theta and their squares.
  Tensor moments() const {
    std::vector<Tensor> all;
    for (const auto& [key, value] : globals_of(part_)) all.push_back(value.detach().flatten());
    const Tensor t = at::atan(0.5 * at::cat(all));
    return at::cat({t, t * t});
  }

 private:
  static Observation::Context context(int64_t num_components) {
    Observation::Context context{2, at::kDouble, Estimate::gibbs, num_components};
    context.registry = &plugins();
    return context;
  }

  Factored part_;
  bool gaps_;
  Batch batch_;
  Tensor x_;
};

/// Batches whose means say how a chain's mean errs: few of a short one, which is correlated over many steps.
int64_t num_batches() { return long_tests() ? 50 : 20; }

/// Mean of a chain [n, F] and its standard error by the means of batches.
std::pair<Tensor, Tensor> chain_mean(const Tensor& draws) {
  const Tensor batches = draws.view({num_batches(), -1, draws.size(1)}).mean(1);
  return {batches.mean(0), batches.std(0) / std::sqrt(static_cast<double>(num_batches()))};
}

TEST(Geweke, PriorsAndSamplersAgree) {
  const int64_t n = long_tests() ? 40000 : 1000;
  for (const Case& c : kCases) {
    Simulator marginal(c), successive(c);
    std::vector<Tensor> independent, chain;
    successive.theta_from_prior(Rng(1));
    for (int64_t i = 0; i < n; ++i) {
      const Rng rng = Rng(2).fold(static_cast<uint64_t>(i)), other = Rng(3).fold(static_cast<uint64_t>(i));
      marginal.theta_from_prior(rng);
      independent.push_back(marginal.moments());
      successive.rows_from_theta(other.fold("rows"));
      successive.theta_from_rows(other.fold("theta"));
      chain.push_back(successive.moments());
    }
    const auto [a, a_error] = chain_mean(at::stack(independent));
    const auto [b, b_error] = chain_mean(at::stack(chain));
    const Tensor z = (a - b) / (a_error.square() + b_error.square()).sqrt().clamp_min(1e-9);
    // about 20 moments a case, 14 cases, Student tails of 19 or 49 degrees: below with probability 0.99
    EXPECT_LT(z.abs().max().item<double>(), long_tests() ? 4.6 : 5.3)
        << c.observation << " " << c.allocation << " " << c.toml << z;
  }
}

}  // namespace geweke_test
}  // namespace vem
