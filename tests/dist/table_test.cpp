// Properties that every distribution of the table must have, most of them exact: quadrature, central differences, and
// draws within standard errors.
#include "support/distribution_table.h"

#include <gtest/gtest.h>

#include "support/gradcheck.h"
#include "vem/core/error.h"
#include "vem/dist/kl.h"
#include "vem/dist/natural_form.h"

namespace vem {
namespace table_test {

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

Parameters cast(const Parameters& parameters, at::ScalarType dtype) {
  Parameters result;
  for (const Tensor& p : parameters) result.push_back(p.to(dtype));
  return result;
}

int64_t sum_dims(const Distribution& q) { return static_cast<int64_t>(q.event_shape().size()); }

/// Largest |error| / (standard error + floor) of the mean over the first dimension of `draws`.
double deviation(const Tensor& draws, const Tensor& expected) {
  const Tensor error = (draws.mean(0) - expected).abs();
  const Tensor standard_error = draws.std(0) / std::sqrt(static_cast<double>(draws.size(0)));
  return (error / (standard_error + 1e-12 * (1 + expected.abs())))
      .max()
      .item<double>();  // rounding, if draws are equal
}

class Table : public testing::TestWithParam<Row> {
 protected:
  std::shared_ptr<Distribution> q() const { return GetParam().make(GetParam().parameters); }
  std::shared_ptr<Distribution> p() const { return GetParam().make(GetParam().others); }
  bool has_grid() const { return GetParam().grid.points.defined(); }
  /// Integral of f(x) p(x) over the grid; f(x) is [n, batch, ...] at x [n, 1.., event].
  Tensor integral(const Distribution& d, const std::function<Tensor(const Tensor&)>& f) const {
    const Grid& grid = GetParam().grid;
    Shape shape{grid.points.size(0)};
    shape.insert(shape.end(), d.batch_shape().size(), 1);
    shape.insert(shape.end(), d.event_shape().begin(), d.event_shape().end());
    const Tensor x = grid.points.view(shape), log_p = d.log_prob(x);
    Tensor mass = log_p.exp() * grid.weights.view(Shape(shape.begin(), shape.end() - sum_dims(d)));
    Tensor value = f(x);
    while (mass.dim() < value.dim()) mass = mass.unsqueeze(-1);
    return at::where(mass > 0, mass * value, at::zeros({}, at::kDouble)).sum(0);  // zero mass where log p is infinite
  }
};

// 1e-6 below: trapezoids err by h^2 / 12 at the kink of the Laplace density, and by rounding elsewhere.
TEST_P(Table, DensityIntegratesToOneWithItsMoments) {
  if (!has_grid()) GTEST_SKIP();
  for (const auto& d : {q(), p()}) {
    EXPECT_TRUE(at::allclose(integral(*d, [](const Tensor&) { return at::ones({}, at::kDouble); }),
                             at::ones(d->batch_shape(), at::kDouble), 0, 1e-6));
    const Tensor mean = d->mean();
    if (!mean.defined()) continue;
    EXPECT_TRUE(at::allclose(integral(*d, [](const Tensor& x) { return x; }), mean, 1e-6, 1e-6));
    const auto square = [&](const Tensor& x) { return (x - mean).square(); };
    EXPECT_TRUE(at::allclose(integral(*d, square), d->variance(), 1e-6, 1e-6));
  }
}

TEST_P(Table, EntropyIsMinusTheMeanLogDensity) {
  const auto d = q();
  const Tensor estimate = entropy_estimate(*d, 20000, Rng(1));
  ASSERT_EQ(estimate.sizes(), at::IntArrayRef(d->batch_shape()));
  const Tensor log_q = d->log_prob(d->sample({20000}, Rng(2)));
  if (has_grid()) {
    const Tensor exact = -integral(*d, [&](const Tensor& x) { return d->log_prob(x); });
    if (d->entropy().defined()) {
      EXPECT_TRUE(at::allclose(d->entropy(), exact, 1e-6, 1e-6));
    }
    EXPECT_LT(deviation(-log_q, exact), 5);
  } else if (d->entropy().defined()) {
    EXPECT_LT(deviation(-log_q, d->entropy()), 5);
  }
}

TEST_P(Table, DrawsHaveTheMoments) {
  const auto d = q();
  if (!d->mean().defined()) GTEST_SKIP();
  const Tensor draws = d->sample({20000}, Rng(3));
  EXPECT_LT(deviation(draws, d->mean()), 5);  // the largest of some ten normal deviates
  EXPECT_LT(deviation((draws - d->mean()).square(), d->variance()), 5);
}

TEST_P(Table, DrawsAreAFunctionOfTheRngAndKeepTheirOrder) {
  const auto d = q();
  const Tensor a = d->sample({4, 3}, Rng(7));
  Shape shape{4, 3};
  shape.insert(shape.end(), d->batch_shape().begin(), d->batch_shape().end());
  shape.insert(shape.end(), d->event_shape().begin(), d->event_shape().end());
  EXPECT_EQ(a.sizes(), at::IntArrayRef(shape));
  EXPECT_TRUE(a.equal(d->sample({4, 3}, Rng(7))));
  // but for the last bit of vectorised functions, whose last elements are computed otherwise
  EXPECT_TRUE(at::allclose(a.flatten(0, 1).slice(0, 0, 5), d->sample({5}, Rng(7)), 1e-12, 1e-12));
  EXPECT_FALSE(d->sample({50}, Rng(7)).equal(d->sample({50}, Rng(8))));
  EXPECT_EQ(d->sample({}, Rng(7)).dim(), a.dim() - 2);
  EXPECT_EQ(d->sample({0}, Rng(7)).numel(), 0);
  if (d->reparameterised())
    EXPECT_TRUE(a.equal(d->rsample({4, 3}, Rng(7))));
  else
    EXPECT_EQ(message([&] { d->rsample({4}, Rng(7)); }),
              std::string(d->name()) + ".rsample: draws are not differentiable; use sample");
}

TEST_P(Table, PathwiseGradientsAreThoseOfCentralDifferences) {
  if (!q()->reparameterised() || GetParam().rejection) GTEST_SKIP();
  const auto value = [&](const Parameters& p) { return GetParam().make(p)->rsample({5}, Rng(9)).sin().sum(); };
  EXPECT_LT(gradient_error(value, GetParam().parameters), 1e-6);
}

/// The gradient of E[sin x] by paths against that by scores, which needs only log_prob: both unbiased.
TEST_P(Table, PathwiseGradientsAreUnbiased) {
  if (!q()->reparameterised()) GTEST_SKIP();
  const int64_t blocks = 200, draws = 200;
  Parameters leaves;
  for (const Tensor& p : GetParam().parameters) leaves.push_back(p.clone().requires_grad_());
  std::vector<std::vector<Tensor>> difference(leaves.size());
  const auto d = GetParam().make(leaves);
  for (int64_t b = 0; b < blocks; ++b) {
    const Rng rng = Rng(10).fold(static_cast<uint64_t>(b));
    const Tensor x = d->rsample({draws}, rng), f = x.sin(), stopped = x.detach();
    const Tensor log_q = d->log_prob(stopped);
    Tensor weight = stopped.sin();
    for (int64_t k = sum_dims(*d); k > 0; --k) weight = weight.sum(-1);
    const auto path = torch::autograd::grad({f.sum()}, leaves, {}, true, false, true);
    const auto score = torch::autograd::grad({(weight * log_q).sum()}, leaves, {}, true, false, true);
    for (size_t i = 0; i < leaves.size(); ++i)
      if (path[i].defined() || score[i].defined()) difference[i].push_back((path[i] - score[i]) / draws);
  }
  for (const auto& parts : difference)
    if (!parts.empty()) {
      EXPECT_LT(deviation(at::stack(parts), at::zeros_like(parts[0])), 5);
    }
}

TEST_P(Table, GradientsOfDensitiesAreThoseOfCentralDifferences) {
  const auto d = q();
  const Tensor x = d->sample({6}, Rng(11));
  const auto in_parameters = [&](const Parameters& p) { return GetParam().make(p)->log_prob(x).sin().sum(); };
  EXPECT_LT(gradient_error(in_parameters, GetParam().parameters), 1e-6);
  const Support s = d->support();
  if (s != Support::real && s != Support::nonnegative && s != Support::unit_interval) return;
  const auto in_value = [&](const Parameters& v) { return d->log_prob(v[0]).sin().sum(); };
  const Tensor inside = x.clamp(s == Support::real ? -1e9 : 0.01, s == Support::unit_interval ? 0.99 : 1e9);
  EXPECT_LT(gradient_error(in_value, {inside}, 1e-6), 1e-6);
}

TEST_P(Table, GradientsOfMomentsAndDivergencesAreThoseOfCentralDifferences) {
  const auto check = [&](const char* what, const std::function<Tensor(const Distribution&)>& f, size_t fixed = 0) {
    if (!f(*q()).defined()) return;
    const Parameters& all = GetParam().parameters;
    const auto value = [&](const Parameters& free) {
      Parameters p(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(fixed));
      p.insert(p.end(), free.begin(), free.end());
      return f(*GetParam().make(p)).asinh().sum();
    };
    EXPECT_LT(gradient_error(value, {all.begin() + static_cast<std::ptrdiff_t>(fixed), all.end()}), 1e-6) << what;
  };
  check("mean", [](const Distribution& d) { return d.mean(); });
  check("variance", [](const Distribution& d) { return d.variance(); });
  check("entropy", [](const Distribution& d) { return d.entropy(); });
  const auto other = p();
  check(
      "KL(q || p)", [&](const Distribution& d) { return kl(d, *other); }, GetParam().fixed);
  check(
      "KL(p || q)", [&](const Distribution& d) { return kl(*other, d); }, GetParam().fixed);
}

TEST_P(Table, Float32StaysFloat32AndIsCloseToFloat64) {
  const auto d = q(), f = GetParam().make(cast(GetParam().parameters, at::kFloat));
  const Tensor x = d->sample({50}, Rng(12)), y = f->sample({50}, Rng(12));
  const at::ScalarType value = d->support() == Support::category ? at::kLong : at::kFloat;
  EXPECT_EQ(y.scalar_type(), value);
  EXPECT_TRUE(at::allclose(y.to(x.scalar_type()), x, 1e-4, 1e-5));  // some roundings of 6e-8, times up to a hundred
  const auto close = [](const Tensor& a, const Tensor& b) {
    if (!b.defined()) return;
    EXPECT_EQ(a.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::allclose(a.to(at::kDouble), b, 2e-5, 2e-5)) << a << b;
  };
  close(f->log_prob(y), d->log_prob(y.to(x.scalar_type())));
  close(f->mean(), d->mean());
  close(f->variance(), d->variance());
  close(f->entropy(), d->entropy());
  close(kl(*f, *GetParam().make(cast(GetParam().others, at::kFloat))), kl(*d, *p()));
}

TEST_P(Table, BatchesAreTheirMembersSideBySide) {
  const auto d = q();
  const Tensor x = d->sample({3, 1}, Rng(13)), all = d->log_prob(x);
  const auto batch = static_cast<int64_t>(d->batch_shape()[0]);
  for (int64_t b = 0; b < batch; ++b) {
    Parameters one;
    for (const Tensor& p : GetParam().parameters) one.push_back(p.select(0, b));
    const auto member = GetParam().make(one);
    EXPECT_TRUE(member->batch_shape().empty());
    EXPECT_TRUE(at::allclose(member->log_prob(x.select(2, b)), all.select(2, b), 1e-12, 1e-12));
    if (d->entropy().defined()) {
      EXPECT_TRUE(at::allclose(member->entropy(), d->entropy()[b], 1e-12, 1e-12));
    }
    EXPECT_TRUE(at::allclose(d->log_prob(x.select(2, b)[0][0]), d->log_prob(x.slice(2, b, b + 1))[0][0], 1e-12, 1e-12));
  }
}

TEST_P(Table, ErrorsNameFunctionArgumentAndValue) {
  const auto d = q();
  const std::string name = d->name();
  Shape wrong(d->event_shape());
  wrong.insert(wrong.begin(), 7);  // against a batch of two or four
  EXPECT_EQ(message([&] { d->log_prob(at::zeros(wrong, at::kDouble)); }),
            fmt::format("{}.log_prob: x has shape [{}], which does not broadcast with batch [{}] and event [{}]", name,
                        fmt::join(wrong, ", "), fmt::join(d->batch_shape(), ", "), fmt::join(d->event_shape(), ", ")));
  for (const Bad& bad : GetParam().bad) {
    Parameters parameters;
    for (const Tensor& p : GetParam().parameters) parameters.push_back(p.clone());
    parameters[bad.parameter].select(0, 1).fill_(bad.value);
    EXPECT_EQ(message([&] { GetParam().make(parameters); }), bad.message);
  }
  const std::string type = message([&] { GetParam().make(cast(GetParam().parameters, at::kLong)); });
  EXPECT_NE(type.find(" is Long, float32 or float64 is expected"), std::string::npos) << type;
}

// ---- divergences ----

TEST_P(Table, DivergencesAreZeroAtEqualityAndNeverNegative) {
  if (!kl(*q(), *p()).defined()) GTEST_SKIP();
  EXPECT_LT(kl(*q(), *q()).abs().max().item<double>(), 1e-12);  // exact but for rounding
  EXPECT_GT(kl(*q(), *p()).min().item<double>(), 0);
}

TEST(Kl, EveryPairOfTheTableAgreesWithMonteCarlo) {
  int64_t checked = 0;
  for (const Row& a : rows()) {
    for (const Row& b : rows()) {
      const auto q = a.make(a.parameters), p = b.make(b.others);
      if (q->event_shape() != p->event_shape() || q->batch_shape() != p->batch_shape()) continue;
      const Tensor exact = kl(*q, *p);
      if (!exact.defined()) continue;
      const Tensor x = q->sample({20000}, Rng(20));
      EXPECT_LT(deviation(q->log_prob(x) - p->log_prob(x), exact), 5) << a.name << " || " << b.name;
      ++checked;
    }
  }
  EXPECT_GE(checked, static_cast<int64_t>(rows().size()));
}

TEST(Kl, FallsBackToDrawsWhereThePairHasNoClosedForm) {
  const Row& mixture = row("mixture");
  const auto q = mixture.make(mixture.parameters), p = mixture.make(mixture.others);
  EXPECT_FALSE(kl(*q, *p).defined());
  const Tensor estimate = kl_estimate(*q, *p, 40000, Rng(21)), again = kl_estimate(*q, *p, 40000, Rng(22));
  EXPECT_EQ(estimate.sizes(), at::IntArrayRef({2}));
  EXPECT_GT(estimate.min().item<double>(), 0);
  EXPECT_TRUE(at::allclose(estimate, again, 0, 0.05));  // standard errors of some 0.005
  const Row& normal = row("normal");
  const auto a = normal.make(normal.parameters), b = normal.make(normal.others);
  EXPECT_TRUE(kl_estimate(*a, *b, 1, Rng(21)).equal(kl(*a, *b)));
  const Row& counts = row("negative_binomial");
  const auto c = counts.make(counts.parameters);
  const auto d = counts.make({counts.parameters[0] + 1, counts.parameters[1]});
  EXPECT_FALSE(kl(*c, *d).defined());  // not of one exponential family
}

// ---- exponential families ----

class Natural : public Table {
 protected:
  void SetUp() override {
    d_ = q();
    form_ = dynamic_cast<const NaturalForm*>(d_.get());
    if (!form_) GTEST_SKIP();
  }
  std::shared_ptr<Distribution> d_;
  const NaturalForm* form_ = nullptr;
};

TEST_P(Natural, ParametersComeBack) {
  const auto again = form_->from_natural(form_->natural());
  ASSERT_NE(again, nullptr);
  const Tensor x = d_->sample({10}, Rng(14));
  EXPECT_TRUE(at::allclose(again->log_prob(x), d_->log_prob(x), 1e-12, 1e-12));
  const auto& form = dynamic_cast<const NaturalForm&>(*again);
  EXPECT_TRUE(at::allclose(form.natural(), form_->natural(), 1e-13, 1e-13));
}

TEST_P(Natural, DensityIsThatOfTheFamily) {
  const Tensor x = d_->sample({10}, Rng(15)), eta = form_->natural();
  const Tensor log_p = (form_->statistics(x) * eta).sum(-1) - form_->log_partition(eta) + form_->log_base(x);
  EXPECT_TRUE(at::allclose(log_p, d_->log_prob(x), 1e-11, 1e-11));
}

TEST_P(Natural, GradientOfTheLogPartitionIsTheMeanOfTheStatistics) {
  const Tensor eta = form_->natural().clone().requires_grad_();
  const Tensor gradient = torch::autograd::grad({form_->log_partition(eta).sum()}, {eta})[0];
  EXPECT_TRUE(at::allclose(gradient, form_->expected_statistics(), 1e-10, 1e-10));
  EXPECT_LT(gradient_error([&](const Parameters& v) { return form_->log_partition(v[0]).sum(); }, {eta}), 1e-6);
  EXPECT_LT(deviation(form_->statistics(d_->sample({20000}, Rng(16))), form_->expected_statistics()), 5);
}

std::string name_of(const testing::TestParamInfo<Row>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(All, Table, testing::ValuesIn(rows()), name_of);
INSTANTIATE_TEST_SUITE_P(All, Natural, testing::ValuesIn(rows()), name_of);

}  // namespace table_test
}  // namespace vem
