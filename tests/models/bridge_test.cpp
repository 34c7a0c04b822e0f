// Where the amortised family meets the closed form: a VAE that copies its input, q(z | x) = N(x, s^2 I) and p(x | z) =
// N(z, s^2 I), over a conjugate prior has the bound of the mixture or chain that its prior is, at data smeared by s.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"
#include "vem/infer/factored.h"

namespace vem {
namespace bridge_test {

constexpr int64_t kDims = 3, kComponents = 3;
constexpr double kStd = 0.3;

/// The VAE, and its prior's parts by themselves at the same parameters.
struct Bridge {
  explicit Bridge(const std::string& allocation, const std::string& observation, Sample sample)
      : data(sample_data(sample)),
        model(make_model("[model]\nkind = \"vae\"\nlatent_dim = 3\nprecision = \"float64\"\nencoder = {widths = []}\n"
                         "decoder = {widths = []}\nlikelihood = {kind = \"normal\", scale = \"fixed\", value = 0.3}\n"
                         "encoder_inputs = \"raw\"\n"
                         "[model.prior]\nkind = \"mixture\"\nnum_components = 3\n[model.prior.allocation]\n" +
                             allocation + "\n[model.prior.observation]\n" + observation + "\n",
                         data)),
        part(plugins().create<Allocation>(chosen("allocation", allocation + "\n"),
                                          {"prior.", kComponents, Estimate::posterior}),
             plugins().create<Observation>(chosen("observation", observation + "\n"),
                                           {kDims, at::kDouble, Estimate::posterior, kComponents, "prior."})) {
    batch = data.batch(items(data.size), 0, at::kDouble);
    model->initialize(data, Rng(3));
    const auto put = [&](const std::string& name, const Tensor& value) {
      model->globals().at(name).detach().copy_(value);
    };
    const Tensor identity = at::eye(kDims, at::kDouble), zeros = at::zeros({kDims}, at::kDouble);
    put("encoder.output.weight", at::cat({identity, at::zeros_like(identity)}));
    put("encoder.output.bias", at::cat({zeros, at::full({kDims}, std::log(kStd), at::kDouble)}));
    put("decoder.output.weight", identity);
    put("decoder.output.bias", zeros);
    // Parameters that differ between components: those of the rows' own groups.
    const Tensor rows = x(), label = items(rows.size(0)).remainder(kComponents);
    part.set_priors({rows.mean(0), at::eye(kDims, at::kDouble)});
    part.start(rows, batch, at::one_hot(label, kComponents).to(at::kDouble) * .8 + .2 / kComponents);
    TensorMap state = model->state();
    for (const auto& block : part.blocks())
      for (const auto& [key, value] : block->state()) state.at(key) = value;
    model->load(state);
  }

  const Tensor& x() const { return batch.at("x"); }

  /// The VAE's bound of all items with E_q[log p(x | z)] in closed form, -D/2 (log 2 pi s^2 + 1) a row, in the place of
  /// what its draws gave.
  double vae_bound() const {
    Step step;
    step.training = false;
    const Expectation e = model->e_step(batch, step, Rng(1));
    const double exact = -.5 * static_cast<double>(x().numel()) * (std::log(2 * M_PI * kStd * kStd) + 1);
    return (e.bound - e.metrics.at("log_px")).item<double>() + exact;
  }

  /// Statistics of rows smeared by N(0, s^2 I), from rows alone: 2 D points about each have its first two moments.
  Tensor smeared() const {
    const double step = kStd * std::sqrt(static_cast<double>(kDims));
    Tensor sum;
    for (int64_t d = 0; d < kDims; ++d)
      for (const double by : {-step, step}) {
        const Tensor s = part.observation().statistics(moved(d, by));
        sum = sum.defined() ? sum + s : s;
      }
    return sum / (2 * kDims);
  }
  Tensor moved(int64_t dimension, double by) const {
    return x() + by * at::one_hot(at::tensor(dimension), kDims).to(at::kDouble);
  }
  Tensor log_lik(const Tensor& rows) const {
    return part.observation().log_lik(part.observation().statistics(rows), part.observation().point(part.point()));
  }

  Dataset data;
  std::shared_ptr<Model> model;
  Factored part;
  Batch batch;
};

const char* const kFull = "kind = \"normal\"";
const char* const kDiagonal = "kind = \"normal\"\ncovariance = \"diagonal\"";

// At the VAE's responsibilities r: the mixture's bound less s^2 / 2 sum_nk r_nk tr E[Lambda_k]. The trace is the second
// difference of the log-density, which is exact: the density is quadratic in a row.
TEST(Bridge, AMixturePriorHasTheMixturesBound) {
  for (const char* observation : {kFull, kDiagonal}) {
    const Bridge b("kind = \"mixture-weights\"", observation, Sample::blobs);
    const Tensor at_rows = b.log_lik(b.x());
    Tensor trace = at::zeros_like(at_rows);
    for (int64_t d = 0; d < kDims; ++d)
      trace = trace - (b.log_lik(b.moved(d, 1)) - 2 * at_rows + b.log_lik(b.moved(d, -1)));
    const Tensor joint = b.part.allocation().log_joint(at_rows, b.part.point());
    const Tensor log_r = at::log_softmax(joint - kStd * kStd / 2 * trace, 1), r = log_r.exp();
    const double mixture = (r * (joint - log_r)).sum().item<double>(),
                 correction = kStd * kStd / 2 * (r * trace).sum().item<double>();
    EXPECT_GT(correction, 1);
    EXPECT_NEAR(b.vae_bound(), mixture - correction, 1e-8) << observation;
  }
}

// The same for sequences, where responsibilities are those of paths: the chain's bound of smeared rows.
TEST(Bridge, AChainPriorHasTheHmmsBound) {
  for (const char* observation : {kFull, kDiagonal}) {
    const Bridge b("kind = \"markov-chain\"", observation, Sample::sequences);
    const TensorMap globals = b.part.point();
    const double smeared = b.part.log_norm(b.smeared(), b.batch, globals).sum().item<double>(),
                 sharp = b.part.log_norm(b.part.observation().statistics(b.x()), b.batch, globals).sum().item<double>();
    EXPECT_LT(smeared, sharp - 1);
    EXPECT_NEAR(b.vae_bound(), smeared, 1e-8) << observation;
  }
}

// Both ways of smearing are one.
TEST(Bridge, PointsAboutARowHaveItsMoments) {
  const Bridge b("kind = \"mixture-weights\"", kFull, Sample::blobs);
  const DiagonalNormal q(b.x(), at::full_like(b.x(), std::log(kStd)));
  EXPECT_LT((b.smeared() - b.part.observation().statistics(q)).abs().max().item<double>(), 1e-10);
}

}  // namespace bridge_test
}  // namespace vem
