// Bounds and sums of the amortised model in float64 as they were before it learned of more than one group of latents:
// every variant of the table, and every posterior with every prior, objective and E-step. A model with one group has to
// give them still. golden/amortized.txt is written where VEM_WRITE_GOLDEN names a file.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/amortised.h"
#include "support/long_tests.h"
#include "support/models.h"
#include "support/places.h"
#include "vem/core/error.h"

namespace vem {
namespace amortized_golden_test {

struct Named {
  std::string name, toml;
};

const std::vector<Named> kPosteriors{
    {"diagonal", "posterior = \"diagonal\"\n"},
    {"full", "posterior = \"full\"\n"},
    {"low_rank", "posterior = {kind = \"low-rank\", rank = 2}\n"},
    {"planar", "posterior = {kind = \"flow\", num_flows = 2, flow = \"planar\"}\n"},
    {"iaf", "posterior = {kind = \"flow\", num_flows = 2, flow = \"iaf\"}\n"},
    {"enumerate", "posterior = {kind = \"categorical\", num_classes = 2, gradient = \"enumerate\"}\n"},
    {"score", "posterior = {kind = \"categorical\", num_classes = 2, gradient = \"score-function\"}\n"},
    {"relaxed", "posterior = {kind = \"categorical\", num_classes = 2, gradient = \"relaxed\"}\n"}};
const std::vector<Named> kPriors{{"standard", "prior = \"standard\"\n"},
                                 {"normal", "prior = \"normal\"\n"},
                                 {"normal_mixture", "prior = {kind = \"normal-mixture\", num_components = 3}\n"},
                                 {"vamp", "prior = {kind = \"vamp\", num_components = 4}\n"},
                                 {"maf", "prior = {kind = \"maf\", num_flows = 2, widths = [6]}\n"},
                                 {"real_nvp", "prior = {kind = \"real-nvp\", num_flows = 3, widths = [6]}\n"},
                                 {"categorical", "prior = {kind = \"categorical\", learned = true}\n"},
                                 {"mixture", "prior = {kind = \"mixture\", num_components = 3}\n"}};
const std::vector<Named> kObjectives{
    {"analytic", "objective = {kind = \"elbo\", num_samples = 2}\n"},
    {"one_draw", "objective = \"elbo\"\n"},
    {"monte_carlo", "objective = {kind = \"elbo\", kl = \"monte-carlo\", num_samples = 3}\n"},
    {"sticking", "objective = {kind = \"elbo\", kl = \"sticking\", num_samples = 2}\n"},
    {"free_bits", "objective = {kind = \"elbo\", free_bits = 0.1}\n"},
    {"beta", "objective = {kind = \"elbo\", kl_weight = 0.3}\n"},
    {"iwae", "objective = {kind = \"iwae\", num_samples = 4}\n"},
    {"dreg", "objective = {kind = \"iwae\", num_samples = 3, gradient = \"dreg\"}\n"},
    {"renyi", "objective = {kind = \"iwae\", num_samples = 3, alpha = 0.5}\n"},
    {"groups", "objective = {kind = \"iwae\", num_samples = 2, groups = 2, elbo_share = 0.2}\n"},
    {"total_correlation", "objective = {kind = \"total-correlation\", num_samples = 2}\n"},
    {"dip", "objective = \"dip\"\n"},
    {"info", "objective = {kind = \"info\", scale = 10.0}\n"}};
const std::vector<Named> kESteps{{"amortized", ""},
                                 {"local", "e_step = \"local\"\ninner_steps = 3\n"},
                                 {"semi", "e_step = \"semi-amortized\"\ninner_steps = 3\n"}};

/// The bound and, of all sums together, the absolute values and a mixture that no exchange of two of them leaves alone.
struct Fingerprint {
  double bound = 0, size = 0, mixture = 0;
};

Fingerprint fingerprint(const std::string& toml, const Dataset& data) {
  const auto model = make_model(toml, data);
  model->initialize(data, Rng(3));
  Step step;
  step.iteration = 1;
  step.total_weight = static_cast<double>(data.size);
  for (const auto& [name, schedule] : model->schedules()) step.weights[name] = schedule->at(step);
  Batch batch = data.batch(items(data.size), 0, model->dtype());
  batch.weight = 1 + 0.5 * at::arange(data.size, at::kDouble).sin();
  const Expectation e = model->e_step(batch, step, Rng(1));
  Fingerprint f;
  f.bound = e.bound.item<double>();
  double phase = 1;
  for (const auto& [key, value] : e.sums) {
    const Tensor flat = value.to(at::kDouble).reshape({-1});
    f.size += flat.abs().sum().item<double>();
    f.mixture += at::dot(flat, (0.7 * at::arange(flat.size(0), at::kDouble) + phase).cos()).item<double>();
    phase += 1;
  }
  return f;
}

std::map<std::string, Fingerprint> golden() {
  std::ifstream file(tests_folder() + "/golden/amortized.txt");
  std::map<std::string, Fingerprint> all;
  std::string name;
  for (Fingerprint f; file >> name >> f.bound >> f.size >> f.mixture;) all[name] = f;
  return all;
}

/// Compares with the golden values, and writes them where that is asked for.
class Recorder {
 public:
  Recorder() : golden_(golden()) {
    if (const char* path = std::getenv("VEM_WRITE_GOLDEN")) written_.open(path, std::ios::app);
  }
  void see(const std::string& name, const std::string& toml, const Dataset& data) {
    Fingerprint f;
    try {
      f = fingerprint(toml, data);
    } catch (const ConfigError&) {
      EXPECT_EQ(golden_.count(name), 0u) << name << " is refused";
      return;
    }
    ++seen_;
    if (written_.is_open()) {
      written_ << fmt::format("{} {:.17g} {:.17g} {:.17g}\n", name, f.bound, f.size, f.mixture);
      return;
    }
    ASSERT_EQ(golden_.count(name), 1u) << name << " is in no golden file";
    const Fingerprint& was = golden_.at(name);
    EXPECT_NEAR(f.bound, was.bound, 1e-12 * std::abs(was.bound)) << name;
    EXPECT_NEAR(f.size, was.size, 1e-11 * was.size) << name;
    EXPECT_NEAR(f.mixture, was.mixture, 1e-12 * was.size) << name;
  }
  int seen() const { return seen_; }

 private:
  std::map<std::string, Fingerprint> golden_;
  std::ofstream written_;
  int seen_ = 0;
};

TEST(AmortizedGolden, EveryVariantOfTheTable) {
  Recorder recorder;
  for (const Variant& v : variants("float64"))
    if (v.name.rfind("vae_", 0) == 0 || v.name.rfind("vade", 0) == 0)
      recorder.see("table/" + v.name, v.toml, sample_data(v.sample));
  EXPECT_GT(recorder.seen(), 70);
}

TEST(AmortizedGolden, EveryPosteriorWithEveryPriorObjectiveAndEStep) {
  const Dataset data = sample_data(Sample::images);
  const std::string networks =
      "[model.encoder]\nkind = \"mlp\"\nwidths = [7]\nactivation = \"tanh\"\n"
      "[model.decoder]\nkind = \"mlp\"\nwidths = [7]\nactivation = \"tanh\"\n";
  const int stride =
      long_tests() || std::getenv("VEM_WRITE_GOLDEN") ? 1 : 7;  // by default every seventh, in which each choice is
  Recorder recorder;
  int at = 0;
  for (const Named& posterior : kPosteriors)
    for (const Named& prior : kPriors)
      for (const Named& objective : kObjectives)
        for (const Named& e_step : kESteps) {
          if (at++ % stride != 0) continue;
          std::string of_networks = networks;
          if (e_step.name == "local") of_networks.erase(0, of_networks.find("[model.decoder]"));
          recorder.see(fmt::format("{}/{}/{}/{}", posterior.name, prior.name, objective.name, e_step.name),
                       "[model]\nkind = \"vae\"\nprecision = \"float64\"\nlatent_dim = 4\n" + posterior.toml +
                           prior.toml + objective.toml + e_step.toml + of_networks,
                       data);
        }
  EXPECT_GT(recorder.seen() * stride, 900);
}

}  // namespace amortized_golden_test
}  // namespace vem
