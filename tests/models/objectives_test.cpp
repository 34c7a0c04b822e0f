// Objectives on a trace without networks: log p(x | z) is a function of z, so everything can be differentiated by hand.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/infer/objective.h"

namespace vem {
namespace objectives_test {

constexpr int64_t kItems = 5, kLatent = 2;

std::shared_ptr<Objective> make(const std::string& toml) {
  return plugins().create<Objective>(chosen("objective", toml), {plugins()});
}

/// A trace at q with parameters [B, 2 L] and noise [S, B, L]; z is drawn inside, so gradients are the whole ones.
struct Scene {
  std::shared_ptr<Prior> prior =
      plugins().create<Prior>(chosen("prior", "kind = \"standard\"\n"), {kLatent, at::kDouble, nullptr, plugins()});
  std::shared_ptr<Posterior> posterior =
      plugins().create<Posterior>(chosen("posterior", "kind = \"diagonal\"\n"), {kLatent});
  Batch batch = blank_batch(kItems);
  TensorMap globals;

  Trace trace(const Tensor& parameters, const Tensor& noise) const {
    const Tensor z = posterior->at(parameters)->rsample(noise);
    const Tensor log_px = -(z - 1).pow(2).sum(-1) + at::sin(z).sum(-1);
    return {{Latent(*posterior, parameters, z, *prior, batch, globals)}, log_px};
  }
};

Tensor parameters() { return 0.5 * random({kItems, 2 * kLatent}, "parameters"); }
Tensor noise(int64_t samples) { return random({samples, kItems, kLatent}, "noise"); }

Step with_kl_weight(double weight, bool training = true) {
  Step step;
  step.training = training;
  step.weights["kl_weight"] = weight;
  return step;
}

TEST(Objectives, SurrogatesHaveTheRightGradient) {
  const Scene scene;
  for (const std::string toml :
       {"kind = \"elbo\"\nnum_samples = 2\n", "kind = \"elbo\"\nkl = \"monte-carlo\"\nnum_samples = 2\n",
        "kind = \"iwae\"\nnum_samples = 4\n", "kind = \"total-correlation\"\nnum_samples = 2\n",
        "kind = \"total-correlation\"\nestimator = \"weighted\"\n", "kind = \"dip\"\n",
        "kind = \"dip\"\ncovariance = \"aggregate\"\n", "kind = \"info\"\ninformation = -0.5\nnum_samples = 2\n"}) {
    const auto objective = make(toml);
    const Tensor eps = noise(objective->num_samples());
    Step step = with_kl_weight(0.3);
    step.weights["correlation"] = 5;
    step.total_weight = 20;
    const auto value = [&](const std::vector<Tensor>& in) {
      return (*objective)(scene.trace(in[0], eps), step).surrogate.sum();
    };
    EXPECT_LT(gradient_error(value, {parameters()}), 1e-6) << toml;
  }
}

TEST(Objectives, AnImportanceWeightedBoundWithOneSampleIsTheMonteCarloElbo) {
  const Scene scene;
  const Tensor p = parameters().requires_grad_();
  const auto elbo = (*make("kind = \"elbo\"\nkl = \"monte-carlo\"\n"))(scene.trace(p, noise(1)), Step());
  const auto iwae = (*make("kind = \"iwae\"\nnum_samples = 1\n"))(scene.trace(p, noise(1)), Step());
  EXPECT_LT((elbo.bound - iwae.bound).abs().max().item<double>(), 1e-12);
  const Tensor a = torch::autograd::grad({elbo.surrogate.sum()}, {p})[0],
               b = torch::autograd::grad({iwae.surrogate.sum()}, {p})[0];
  EXPECT_LT((a - b).abs().max().item<double>(), 1e-12);
}

TEST(Objectives, AnalyticAndMonteCarloKlAgreeOnAverage) {
  const Scene scene;
  const int64_t samples = 20000;
  const Trace trace = scene.trace(parameters(), noise(samples));
  const Tensor difference = trace.latents[0].log_q() - trace.latents[0].log_p();
  const Tensor error = difference.std(0) / std::sqrt(static_cast<double>(samples));
  const Tensor analytic = (*make("kind = \"elbo\"\n"))(trace, Step()).bound,
               sampled = (*make("kind = \"elbo\"\nkl = \"monte-carlo\"\n"))(trace, Step()).bound;
  EXPECT_LT(((analytic - sampled).abs() / error).max().item<double>(), 4);  // five items, in standard errors
}

// Jensen: on any set of weights the bound lies between the mean and the largest log weight.
TEST(Objectives, MoreSamplesNeverLowerTheBoundOnAverage) {
  const Scene scene;
  const Tensor draws = noise(6400), p = parameters();
  double last = -std::numeric_limits<double>::infinity();
  for (const int64_t samples : {1, 4, 16, 64}) {
    const auto iwae = make(fmt::format("kind = \"iwae\"\nnum_samples = {}\n", samples));
    double total = 0;
    for (int64_t i = 0; i < 6400 / samples; ++i)  // the same draws in groups: exact, not on average
      total +=
          (*iwae)(scene.trace(p, draws.slice(0, i * samples, (i + 1) * samples)), Step()).bound.sum().item<double>();
    const double mean = total / (6400.0 / static_cast<double>(samples));
    EXPECT_GE(mean, last);
    last = mean;
  }
}

/// The mean gradient of the parameters over many draws, as the model forms it: by way of the samples, scaled there, and
/// directly; and its standard error.
std::pair<Tensor, Tensor> mean_gradient(const Objective& objective, int64_t rounds) {
  const Scene scene;
  const Tensor p = parameters();
  Tensor sum = at::zeros_like(p), square = at::zeros_like(p);
  for (int64_t i = 0; i < rounds; ++i) {
    const Tensor eps = Rng(7)
                           .fold(static_cast<uint64_t>(i))
                           .normal(items(kItems), {objective.num_samples(), kLatent}, "noise")
                           .transpose(0, 1);
    const Tensor leaf = p.detach().requires_grad_();
    const Tensor z = scene.posterior->at(leaf)->rsample(eps), cut = z.detach().requires_grad_();
    const Trace trace{{Latent(*scene.posterior, leaf, cut, *scene.prior, scene.batch, scene.globals)},
                      -(cut - 1).pow(2).sum(-1) + at::sin(cut).sum(-1)};
    const ObjectiveValue value = objective(trace, with_kl_weight(1));
    auto g = torch::autograd::grad({value.surrogate.sum()}, {cut, leaf}, {}, true, false, true);
    if (value.path_scale.defined()) g[0] = g[0] * value.path_scale.unsqueeze(-1);
    Tensor whole = torch::autograd::grad({z}, {leaf}, {g[0]})[0];
    if (g[1].defined()) whole = whole + g[1];
    sum = sum + whole;
    square = square + whole.square();
  }
  const auto n = static_cast<double>(rounds);
  const Tensor mean = sum / n;
  return {mean, ((square / n - mean.square()) / n).sqrt()};
}

// Roeder et al. 2017 and Tucker et al. 2019: the same gradient on average, with less noise.
TEST(Objectives, GradientsByWayOfTheSamplesAreUnbiasedAndLessNoisy) {
  for (const auto& [plain, better] :
       {std::pair<std::string, std::string>{"kind = \"elbo\"\nkl = \"monte-carlo\"\n",
                                            "kind = \"elbo\"\nkl = \"sticking\"\n"},
        {"kind = \"iwae\"\nnum_samples = 3\n", "kind = \"iwae\"\nnum_samples = 3\ngradient = \"dreg\"\n"},
        {"kind = \"iwae\"\nnum_samples = 2\ngroups = 2\n",
         "kind = \"iwae\"\nnum_samples = 2\ngroups = 2\ngradient = \"dreg\"\n"}}) {
    const auto [mean, error] = mean_gradient(*make(plain), 8000);
    const auto [other, other_error] = mean_gradient(*make(better), 8000);
    const Tensor deviation = (mean - other).abs() / (error.square() + other_error.square()).sqrt();
    EXPECT_LT(deviation.max().item<double>(), 4.5) << better;  // of 20 numbers, in standard errors
    EXPECT_LT(other_error.sum().item<double>(), error.sum().item<double>()) << better;
  }
}

// alpha = 0 and one group: the importance-weighted bound; alpha to 1, one sample, or the whole share: the ELBO.
TEST(Objectives, RelativesOfTheWeightedBoundMeetAtTheirEnds) {
  const Scene scene;
  const Trace trace = scene.trace(parameters(), noise(6));
  const auto bound = [&](const std::string& toml) { return (*make("kind = \"iwae\"\n" + toml))(trace, Step()).bound; };
  const Tensor elbo = (*make("kind = \"elbo\"\nkl = \"monte-carlo\"\nnum_samples = 6\n"))(trace, Step()).bound,
               iwae = bound("num_samples = 6\n");
  const auto expect_equal = [](const Tensor& a, const Tensor& b, double tolerance) {
    EXPECT_LT((a - b).abs().max().item<double>(), tolerance);
  };
  expect_equal(bound("num_samples = 1\ngroups = 6\n"), elbo, 1e-12);
  expect_equal(bound("num_samples = 6\nelbo_share = 1.0\n"), elbo, 1e-12);
  expect_equal(bound("num_samples = 6\nelbo_share = 0.25\n"), 0.75 * iwae + 0.25 * elbo, 1e-12);
  expect_equal(bound("num_samples = 6\nalpha = 0.999\n"), elbo, 1e-2 * (iwae - elbo).max().item<double>());
  EXPECT_TRUE((bound("num_samples = 6\nalpha = 0.5\n") < iwae).all().item<bool>());
  EXPECT_TRUE((bound("num_samples = 6\nalpha = 0.5\n") > elbo).all().item<bool>());
  EXPECT_TRUE((bound("num_samples = 3\ngroups = 2\n") <= iwae).all().item<bool>());
}

TEST(Elbo, FreeBitsAndCapacityBendTheSurrogateOnly) {
  const Scene scene;
  const Trace trace = scene.trace(parameters(), noise(1));
  const Tensor kl = trace.latents[0].kl(), log_px = trace.log_px.mean(0), plain = log_px - kl.sum(-1);
  const double most = kl.max().item<double>(), middle = kl.median().item<double>();
  const auto free_bits = (*make(fmt::format("kind = \"elbo\"\nfree_bits = {}\n", middle)))(trace, Step());
  EXPECT_TRUE(at::allclose(free_bits.bound, plain));
  EXPECT_TRUE(at::allclose(free_bits.surrogate, log_px - kl.clamp_min(middle).sum(-1)));
  const auto all_free = (*make(fmt::format("kind = \"elbo\"\nfree_bits = {}\n", 2 * most)))(trace, Step());
  EXPECT_TRUE(at::allclose(all_free.surrogate, log_px - 2 * kLatent * most));
  const double whole = kl.sum(-1).median().item<double>();  // some items above, some below
  const auto grouped =
      (*make(fmt::format("kind = \"elbo\"\nfree_bits = {}\nfree_bits_per = \"group\"\n", whole)))(trace, Step());
  EXPECT_TRUE(at::allclose(grouped.surrogate, log_px - kl.sum(-1).clamp_min(whole)));
  EXPECT_FALSE(at::allclose(grouped.surrogate, plain));
  Step step = with_kl_weight(3);
  step.weights["capacity"] = 0.7;
  const auto pulled = (*make("kind = \"elbo\"\npull_to_capacity = true\ncapacity = 0.7\n"))(trace, step);
  EXPECT_TRUE(at::allclose(pulled.bound, plain));
  EXPECT_TRUE(at::allclose(pulled.surrogate, log_px - 3 * (kl.sum(-1) - 0.7).abs()));
}

// Of a prior whose KL has no closed form they are an item's, as where the KL is no sum over dimensions.
TEST(Elbo, FreeBitsCountWhereTheKlIsFromDraws) {
  Scene scene;
  scene.prior = plugins().create<Prior>(chosen("prior", "kind = \"normal-mixture\"\nnum_components = 2\n"),
                                        {kLatent, at::kDouble, parameter_block(), plugins()});
  scene.prior->initialize({}, Rng(1));
  const Trace trace = scene.trace(parameters(), noise(50));
  const Tensor kl = (trace.latents[0].log_q() - trace.latents[0].log_p()).mean(0), log_px = trace.log_px.mean(0);
  const double free = kl.median().item<double>();
  const auto value = (*make(fmt::format("kind = \"elbo\"\nnum_samples = 50\nfree_bits = {}\n", free)))(trace, Step());
  EXPECT_TRUE(at::allclose(value.bound, log_px - kl));
  EXPECT_TRUE(at::allclose(value.surrogate, log_px - kl.clamp_min(free)));
  EXPECT_FALSE(at::allclose(value.surrogate, value.bound));
}

TEST(Elbo, TheKlWeightActsOnTheSurrogateOfTrainingOnly) {
  const Scene scene;
  const auto elbo = make("kind = \"elbo\"\n");
  const Trace trace = scene.trace(parameters(), noise(1));
  const Tensor kl = trace.latents[0].kl().sum(-1), log_px = trace.log_px.mean(0);
  const auto plain = (*elbo)(trace, with_kl_weight(1)), weighted = (*elbo)(trace, with_kl_weight(4)),
             judged = (*elbo)(trace, with_kl_weight(4, false));
  EXPECT_TRUE(at::equal(plain.bound, weighted.bound));
  EXPECT_TRUE(at::allclose(weighted.surrogate, log_px - 4 * kl, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(judged.surrogate, log_px - kl, 1e-12, 1e-12));
  EXPECT_FALSE(weighted.path_scale.defined());
}

TEST(Elbo, TheWarmUpIsASchedule) {
  const auto elbo = make("kind = \"elbo\"\nkl_weight = {kind = \"linear\", from = 0.0, to = 1.0, epochs = 4.0}\n");
  Step step;
  step.progress = 1;
  EXPECT_NEAR(elbo->schedules().at("kl_weight")->at(step), 0.25, 1e-12);
}

// ---- objectives of a whole batch ----

/// Parameters of q with means [n, L] and one standard deviation.
Tensor normals(const Tensor& means, double std) { return at::cat({means, at::full_like(means, std::log(std))}, 1); }

/// A trace of so many items with their means as given; log p(x | z) is zero.
Trace trace_of(const Scene& scene, const Tensor& parameters, Batch& batch, int64_t samples = 1) {
  const int64_t n = parameters.size(0);
  batch = blank_batch(n);
  const Tensor z = scene.posterior->at(parameters)->rsample(random({samples, n, kLatent}, "draws"));
  return {{Latent(*scene.posterior, parameters, z, *scene.prior, batch, scene.globals)},
          at::zeros({samples, n}, at::kDouble)};
}

double mean_surrogate(const std::string& toml, const Trace& trace, Step step) {
  const auto objective = make(toml);
  for (const auto& [name, schedule] : objective->schedules()) step.weights[name] = schedule->at(step);
  return (*objective)(trace, step).surrogate.mean().item<double>();
}

// Whatever the estimate of q(z): with weights of one its terms cancel, and the ELBO from samples is left.
TEST(TotalCorrelation, WithWeightsOfOneItIsTheElbo) {
  const Scene scene;
  Step step;
  step.total_weight = 40;
  const double elbo =
      mean_surrogate("kind = \"elbo\"\nkl = \"monte-carlo\"\n", scene.trace(parameters(), noise(1)), step);
  for (const std::string estimator : {"weighted", "stratified"})
    EXPECT_NEAR(mean_surrogate("kind = \"total-correlation\"\ncorrelation = 1.0\nestimator = \"" + estimator + "\"\n",
                               scene.trace(parameters(), noise(1)), step),
                elbo, 1e-12);
}

// Means from N(0, C) and a common variance: q(z) is N(0, C + s^2 I), and its total correlation -log(1 - r^2) / 2.
TEST(TotalCorrelation, IsThatOfAGaussian) {
  const Scene scene;
  const int64_t n = 2000;
  const double rho = .8, std = .5, r = rho / (1 + std * std), exact = -.5 * std::log(1 - r * r);
  const Tensor factor = at::tensor({1., rho, 0., std::sqrt(1 - rho * rho)}, at::kDouble).view({2, 2});
  const Tensor parameters = normals(at::mm(random({n, kLatent}, "means"), factor), std);
  Step step;
  step.total_weight = static_cast<double>(n);  // the batch is all there is: no estimate of q(z) is left
  const std::string options = "kind = \"total-correlation\"\ninformation = 0\ndimensions = 0\ncorrelation = 1.0\n";
  const auto correlation = [&](int64_t from, int64_t to) {
    Batch batch;
    return -mean_surrogate(options, trace_of(scene, parameters.slice(0, from, to), batch, 8), step);
  };
  // Of 2,000 means: the standard error of r is (1 - r^2) / sqrt(n), that of the estimate r / sqrt(n) = .014.
  EXPECT_NEAR(correlation(0, n), exact, .05);
  // Of a tenth of the data q(z) is an estimate without bias, its logarithm one with a bias of a few parts in a hundred.
  double sum = 0;
  for (int64_t part = 0; part < 10; ++part) sum += correlation(part * n / 10, (part + 1) * n / 10) / 10;
  EXPECT_NEAR(sum, exact, .08);
}

TEST(Dip, PullsTheCovarianceToTheIdentity) {
  const Scene scene;
  const Tensor means = at::tensor({1., 2., -1., -2., 3., -1., -3., 1.}, at::kDouble).view({4, 2});
  // Covariance of the means [[5, -.5], [-.5, 2.5]]; with .25 on the diagonal of the aggregate.
  Batch batch;
  const Trace trace = trace_of(scene, normals(means, .5), batch);
  const double elbo = mean_surrogate("kind = \"elbo\"\n", trace, Step());
  EXPECT_NEAR(elbo - mean_surrogate("kind = \"dip\"\noff_diagonal = 3.0\ndiagonal = 2.0\n", trace, Step()),
              3 * 2 * .25 + 2 * (16 + 2.25), 1e-12);
  EXPECT_NEAR(elbo - mean_surrogate("kind = \"dip\"\noff_diagonal = 3.0\ndiagonal = 2.0\ncovariance = \"aggregate\"\n",
                                    trace, Step()),
              3 * 2 * .25 + 2 * (4.25 * 4.25 + 1.75 * 1.75), 1e-12);
}

// q(z) = N(m, s^2 I) for every item: the squared discrepancy to N(0, I) is known in closed form.
TEST(Info, TheDiscrepancyIsThatOfTwoGaussians) {
  const Scene scene;
  const double h = 1.5, s = .6, m = .7, dims = 2;
  const Tensor parameters = normals(at::full({3000, kLatent}, m, at::kDouble), s);
  Batch batch;
  const Trace trace = trace_of(scene, parameters, batch, 4);
  const double kl = -mean_surrogate("kind = \"elbo\"\n", trace, Step());
  const double measured = -mean_surrogate("kind = \"info\"\nscale = 11.0\nbandwidth = 1.5\n", trace, Step()) - kl;
  const auto kernel = [&](double variance, double distance) {  // E k(a, b) where a - b is N(distance, variance I)
    return std::pow(h / (h + variance), dims / 2) * std::exp(-.5 * dims * distance * distance / (h + variance));
  };
  const double exact = kernel(2 * s * s, 0) - 2 * kernel(1 + s * s, m) + kernel(2, 0);
  EXPECT_NEAR(measured / 10, exact, .01);  // kernels are in [0, 1], of 12,000 draws: .005
}

}  // namespace objectives_test
}  // namespace vem
