// A mixture of exponentials for positive numbers such as waiting times: p(x) = sum_k w_k prod_d r_kd exp(-r_kd x_d),
// with w = softmax(logits) and r = exp(log_rates), fitted by gradient steps on its exact log-likelihood.
// Legend: N rows, D features, K components.
#include "exponential_mixture.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "vem/core/error.h"
#include "vem/infer/model.h"

namespace {

using vem::Tensor;
using Tensors = std::vector<Tensor>;

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
  ExponentialMixture(const ExponentialOptions& options, const Context& context) {
    const auto optimizer = context.registry.create<vem::Optimizer>(options.optimizer, {context.registry});
    learning_rate_ = optimizer->learning_rate();
    const auto block = std::make_shared<vem::GradientBlock>("components", optimizer);
    logits_ = block->add("components.logits", {options.num_components}, dtype());
    log_rates_ = block->add("components.log_rates", {options.num_components, context.schema.num_features()}, dtype());
    blocks_ = {block};
  }

  at::ScalarType dtype() const override { return at::kDouble; }
  std::map<std::string, std::shared_ptr<const vem::Schedule>> schedules() const override {
    return {{"learning_rate", learning_rate_}};
  }

  /// Rates around those of one component, apart from each other.
  void initialize(const vem::Dataset& train, const vem::Rng& rng) override {
    const Tensor x = train.batch(at::arange(train.size, at::kLong), 0, dtype()).at("x");
    if (!x.gt(0).all().item<bool>())
      vem::fail<vem::DataError>("exponential-mixture: every x must be above 0, got {}", x.min().item<double>());
    const Tensor apart = rng.normal(at::arange(log_rates_.size(0), at::kLong), {log_rates_.size(1)}, "rates");
    log_rates_.detach().copy_(apart - x.mean(0).log());
  }

  vem::Expectation e_step(const vem::Batch& batch, const vem::Step& step, const vem::Rng&) const override {
    const at::AutoGradMode grad_mode(step.training);
    const Tensor bound = at::dot(at::logsumexp(log_joint(batch.at("x")), 1), batch.weight);
    vem::Expectation e;
    e.count = batch.weight.sum();
    e.bound = bound.detach();
    if (!step.training) return e;
    const Tensors gradients = torch::autograd::grad({bound}, {logits_, log_rates_});
    e.sums = {{"components.logits", gradients[0]}, {"components.log_rates", gradients[1]}};
    return e;
  }

  std::vector<vem::Method> methods() const override {
    const Tensors example{at::ones({2, log_rates_.size(1)}, dtype())};
    vem::Method log_prob{"log_prob", "log density of each row", {"x"}, {"log_prob"}};
    log_prob.call = [this](const Tensors& in, const vem::Rng&) -> Tensors { return {log_joint(in[0]).logsumexp(1)}; };
    log_prob.example = example;
    vem::Method responsibilities{"responsibilities", "p(component | x)", {"x"}, {"responsibilities"}};
    responsibilities.call = [this](const Tensors& in, const vem::Rng&) -> Tensors {
      return {log_joint(in[0]).softmax(1)};
    };
    responsibilities.example = example;
    return {log_prob, responsibilities};
  }

 private:
  /// log w_k + sum_d (log r_kd - r_kd x_d): [N, K].
  Tensor log_joint(const Tensor& x) const {
    return logits_.log_softmax(0) + log_rates_.sum(1) - at::matmul(x, log_rates_.exp().t());
  }

  Tensor logits_, log_rates_;  // [K], [K, D]: the block's own, which it updates in place
  std::shared_ptr<const vem::Schedule> learning_rate_;
};

}  // namespace

void register_exponential_mixture(vem::Registry& registry) {
  registry.add<vem::Model, ExponentialOptions>(
      "exponential-mixture", "a mixture of exponentials, for waiting times",
      [](const ExponentialOptions& options, const vem::Model::Context& context) {
        return std::make_shared<ExponentialMixture>(options, context);
      },
      "train.batch_size = 100\ntrain.epochs = 100\nmodel.optimizer.learning_rate = 0.03\n");
}
