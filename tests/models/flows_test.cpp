// Flows: log-determinants against Jacobians by autograd, gradients against central differences, a posterior of a flow
// against its own change of variables, and a flow prior that undoes its own draws. A flow without a row fails.
#include <gtest/gtest.h>

#include <set>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/infer/flow.h"
#include "vem/infer/prior.h"

namespace vem {
namespace flows_test {

constexpr int64_t kLatent = 3;

const std::vector<std::string>& rows() {
  static const std::vector<std::string> all{"kind = \"planar\"\n", "kind = \"radial\"\n",
                                            "kind = \"sylvester\"\nnum_reflections = 2\n",
                                            "kind = \"iaf\"\nwidths = [7]\ncontext = 4\n"};
  return all;
}

/// The flow with parameters of its own that are not at their start.
std::shared_ptr<Flow> make(const std::string& toml, const std::shared_ptr<GradientBlock>& block) {
  const auto flow = plugins().create<Flow>(chosen("flow", toml), {kLatent, at::kDouble, *block, "posterior.0."});
  flow->initialize(Rng(1));
  for (const Parameter& p : block->parameters()) p.value.detach().copy_(random(p.value.sizes().vec(), p.name));
  return flow;
}

/// log |det| of d(out) / d(in) of each row [R]; rows do not mix.
Tensor log_det_by_autograd(const Tensor& out, const Tensor& in) {
  std::vector<Tensor> lines;
  for (int64_t d = 0; d < out.size(-1); ++d)
    lines.push_back(torch::autograd::grad({out.select(-1, d).sum()}, {in}, {}, true)[0]);
  return std::get<1>(at::slogdet(at::stack(lines, -2)));
}

class EveryFlow : public testing::TestWithParam<std::string> {};

TEST_P(EveryFlow, ItsLogDeterminantIsThatOfTheJacobian) {
  const auto block = parameter_block();
  const auto flow = make(GetParam(), block);
  for (const double size : {0.3, 1.0, 3.0}) {
    const Tensor parameters = size * random({5, flow->num_parameters()}, "parameters");
    const Tensor z = (2 * random({2, 5, kLatent}, "z")).requires_grad_();
    const auto [out, log_det] = (*flow)(z, parameters);
    EXPECT_EQ(out.sizes(), z.sizes());
    EXPECT_LT((log_det - log_det_by_autograd(out, z)).abs().max().item<double>(), 1e-9) << size;
  }
}

TEST_P(EveryFlow, GradientsAreThoseOfCentralDifferences) {
  const auto block = parameter_block();
  const auto flow = make(GetParam(), block);
  const auto value = [&](const std::vector<Tensor>& in) {
    const auto [out, log_det] = (*flow)(in[0], in[1]);
    return (out * random({2, 4, kLatent}, "w")).sum() + (log_det * random({2, 4}, "v")).sum();
  };
  EXPECT_LT(gradient_error(value, {random({2, 4, kLatent}, "z"), random({4, flow->num_parameters()}, "parameters")}),
            1e-6);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryFlow, testing::ValuesIn(rows()), [](const auto& info) {
  const size_t begin = info.param.find('"') + 1;
  return info.param.substr(begin, info.param.find('"', begin) - begin);
});

TEST(Flows, EveryOneHasARow) {
  std::set<std::string> tested;
  for (const std::string& toml : rows()) tested.insert(chosen("flow", toml).name);
  for (const Plugin* plugin : plugins().list("flow")) EXPECT_TRUE(tested.count(plugin->name)) << plugin->name;
}

TEST(FlowPosterior, ItsDensityIsThatOfTheChangeOfVariables) {
  for (const std::string& flow : rows()) {
    const auto block = parameter_block();
    const auto posterior =
        plugins().create<Posterior>(chosen("posterior", "kind = \"flow\"\nnum_flows = 3\n[posterior.flow]\n" + flow),
                                    {kLatent, at::kDouble, block, &plugins()});
    posterior->initialize(Rng(2));
    const Tensor parameters = 0.5 * random({4, posterior->num_parameters()}, "parameters");
    const auto q = posterior->at(parameters);
    const Tensor z0 = q->rsample(random({2, 4, kLatent}, "noise")).detach().requires_grad_();
    const auto [z, log_det] = posterior->transform(z0, parameters);
    EXPECT_LT((log_det - log_det_by_autograd(z, z0)).abs().max().item<double>(), 1e-9) << flow;
  }
}

// ---- flows as priors ----

const std::vector<std::string>& priors() {
  static const std::vector<std::string> all{"kind = \"maf\"\nnum_flows = 3\nwidths = [8]\n",
                                            "kind = \"real-nvp\"\nnum_flows = 3\nwidths = [8]\n"};
  return all;
}

/// With parameters that are not at their start.
std::shared_ptr<Prior> prior_of(const std::string& toml, int64_t latent_dim) {
  const auto block = parameter_block();
  const auto prior = plugins().create<Prior>(chosen("prior", toml), {latent_dim, at::kDouble, block, plugins()});
  prior->initialize({}, Rng(3));
  for (const Parameter& p : block->parameters()) p.value.detach().copy_(0.5 * random(p.value.sizes().vec(), p.name));
  return prior;
}

// p(z) at z = f(noise) is N(noise) / |df / dnoise|, and only where f is the inverse of what the density applies. The
// Jacobian by central differences of the draws: h^2 of a third derivative.
TEST(FlowPriors, DensitiesAreThoseOfTheirDraws) {
  for (const std::string& toml : priors())
    for (const int64_t L : {1, 3, 4}) {
      const auto prior = prior_of(toml, L);
      const Method draw = prior->methods()[0];
      const Tensor noise = random({6, L}, "noise"), z = draw.call({noise}, Rng(1))[0];
      const double h = 1e-5;
      std::vector<Tensor> columns;
      for (int64_t d = 0; d < L; ++d) {
        Tensor up = noise.clone(), down = noise.clone();
        up.select(1, d).add_(h);
        down.select(1, d).sub_(h);
        columns.push_back((draw.call({up}, Rng(1))[0] - draw.call({down}, Rng(1))[0]) / (2 * h));
      }
      const Tensor log_det = std::get<1>(at::slogdet(at::stack(columns, -1)));
      const Tensor expected =
          -0.5 * (noise * noise).sum(1) - 0.5 * static_cast<double>(L) * std::log(2 * M_PI) - log_det;
      const Tensor density = prior->log_prob(z.unsqueeze(0), blank_batch(6), {})[0];
      EXPECT_LT((density.detach() - expected).abs().max().item<double>(), 1e-6) << toml << L;
      const Tensor drawn = prior->sample(items(5), Rng(4));
      EXPECT_EQ(drawn.sizes(), at::IntArrayRef({5, L}));
      EXPECT_TRUE(drawn.isfinite().all().item<bool>());
    }
}

TEST(FlowPriors, GradientsAreThoseOfCentralDifferences) {
  for (const std::string& toml : priors()) {
    const auto prior = prior_of(toml, kLatent);
    const auto value = [&](const std::vector<Tensor>& in) { return prior->log_prob(in[0], blank_batch(4), {}).sum(); };
    EXPECT_LT(gradient_error(value, {random({2, 4, kLatent}, "z")}), 1e-6) << toml;
  }
}

// Trapezoids on a grid of two dimensions: a density of an analytic function integrates to one.
TEST(FlowPriors, DensitiesIntegrateToOne) {
  for (const std::string& toml : priors()) {
    const auto prior = prior_of(toml, 2);
    const int64_t n = 801;
    const double reach = 40, width = 2 * reach / static_cast<double>(n - 1);
    const Tensor line = at::linspace(-reach, reach, n, at::kDouble);
    const Tensor z = at::stack({line.repeat_interleave(n), line.repeat({n})}, -1);
    const Tensor mass = prior->log_prob(z.unsqueeze(0), blank_batch(n * n), {}).detach().exp().sum() * width * width;
    EXPECT_NEAR(mass.item<double>(), 1, 1e-3) << toml;
  }
}

// At its start a real-NVP prior is the standard normal.
TEST(FlowPriors, RealNvpStartsAtTheStandardNormal) {
  const auto prior =
      plugins().create<Prior>(chosen("prior", priors()[1]), {3, at::kDouble, parameter_block(), plugins()});
  prior->initialize({}, Rng(3));
  const Tensor z = random({1, 5, 3}, "z");
  const Tensor expected = -0.5 * (z * z).sum(-1) - 1.5 * std::log(2 * M_PI);
  EXPECT_LT((prior->log_prob(z, blank_batch(5), {}).detach() - expected).abs().max().item<double>(), 1e-13);
}

}  // namespace flows_test
}  // namespace vem
