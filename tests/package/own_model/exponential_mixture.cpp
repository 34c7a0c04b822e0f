// A mixture of exponentials for positive numbers such as waiting times: p(x) = sum_k w_k prod_d r_kd exp(-r_kd x_d),
// with w = softmax(logits) and r = exp(log_rates), fitted by gradient steps on its exact log-likelihood.
#include "exponential_mixture.h"

#include <ATen/ATen.h>

#include "vem/core/error.h"
#include "vem/infer/model.h"

using vem::Tensor;

struct ExponentialOptions final : vem::ModelOptions {
  int64_t num_components = 2;
  vem::Choice optimizer = vem::default_optimizer();
  void visit(vem::OptionVisitor& v) override {
    v("num_components", num_components, {1, 1000}, "components of the mixture");
    v("optimizer", optimizer, "how weights and rates are updated");
  }
  bool has_conjugate() const override { return false; }
  bool has_gradient() const override { return true; }
};

class ExponentialMixture final : public vem::Model {
 public:
  ExponentialMixture(const ExponentialOptions& o, const Context& context) {
    const auto block = std::make_shared<vem::GradientBlock>(
        "components", context.registry.create<vem::Optimizer>(o.optimizer, {context.registry}));
    logits_ = block->add("components.logits", {o.num_components}, dtype());
    log_rates_ = block->add("components.log_rates", {o.num_components, context.schema.num_features()}, dtype());
    blocks_ = {block};
  }
  at::ScalarType dtype() const override { return at::kDouble; }

  /// Rates around those of one component, apart from each other.
  void initialize(const vem::Dataset& train, const vem::Rng& rng) override {
    const Tensor x = train.batch(at::arange(train.size, at::kLong), 0, dtype()).at("x");
    if (!x.gt(0).all().item<bool>()) vem::fail<vem::DataError>("exponential-mixture: every x must be above 0");
    const Tensor apart = rng.normal(at::arange(log_rates_.size(0), at::kLong), {log_rates_.size(1)}, "rates");
    log_rates_.detach().copy_(apart - x.mean(0).log());
  }
  vem::Expectation e_step(const vem::Batch& batch, const vem::Step& step, const vem::Rng&) const override {
    return differentiate([&] { return log_joint(batch.at("x")).logsumexp(1); }, batch, step);
  }
  std::vector<vem::Method> methods() const override {
    const auto f = [this](bool density) {
      return [this, density](const Tensor& x, const vem::Rng&) {
        return density ? log_joint(x).logsumexp(1) : log_joint(x).softmax(1);
      };
    };
    const Tensor rows = at::ones({2, log_rates_.size(1)}, dtype());
    return {vem::Method::of_rows("log_prob", "log density of each row", "x", "log_prob", f(true), rows),
            vem::Method::of_rows("responsibilities", "p(component | x)", "x", "responsibilities", f(false), rows)};
  }

 private:
  Tensor log_joint(const Tensor& x) const {  // [rows, components]
    return logits_.log_softmax(0) + log_rates_.sum(1) - at::matmul(x, log_rates_.exp().t());
  }
  Tensor logits_, log_rates_;  // [components], [components, features]: the block updates them in place
};

void register_exponential_mixture(vem::Registry& registry) {
  registry.add<vem::Model, ExponentialOptions>(
      "exponential-mixture", "a mixture of exponentials, for waiting times",
      [](const auto& options, const auto& context) { return std::make_shared<ExponentialMixture>(options, context); },
      "train.batch_size = 100\ntrain.epochs = 100\nmodel.optimizer.learning_rate = 0.03\n");
}
