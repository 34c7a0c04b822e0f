// One update of each optimiser on the parameters of a network, in one pass over memory, against torch::optim's tensor
// operations on the same LibTorch: milliseconds, medians of interleaved rounds, float32.
// Build and run: cmake --build build --target bench_optimizers && OMP_NUM_THREADS=1 build/bench_optimizers
#include <torch/torch.h>

#include <chrono>

#include "vem/core/config.h"
#include "vem/infer/block.h"
#include "vem/models/registry.h"

namespace {

using vem::Tensor;

constexpr int kRounds = 31;

struct Network {
  const char* name;
  std::vector<vem::Shape> shapes;
};

std::vector<Network> networks() {
  const auto layers = [](const std::vector<int64_t>& sizes) {
    std::vector<vem::Shape> shapes;
    for (size_t i = 1; i < sizes.size(); ++i) {
      shapes.push_back({sizes[i], sizes[i - 1]});
      shapes.push_back({sizes[i]});
    }
    return shapes;
  };
  return {{"784-512-512-40, 20-512-512-784", layers({784, 512, 512, 40, 20, 512, 512, 784})},
          {"784-200-200-100, 50-200-200-784", layers({784, 200, 200, 100, 50, 200, 200, 784})}};
}

struct OptimizerChoice final : vem::Options {
  vem::Choice optimizer = vem::default_optimizer();
  void visit(vem::OptionVisitor& v) override { v("optimizer", optimizer, "the optimiser"); }
};

/// Ours on parameters and gradients of its own: a function that makes one update.
std::function<void()> ours(const std::string& toml, const Network& network) {
  static const vem::Registry registry = vem::builtin_registry();
  OptimizerChoice choice;
  vem::Config::parse("[optimizer]\n" + toml, "bench").read(choice, registry);
  const auto block =
      std::make_shared<vem::GradientBlock>("networks", registry.create<vem::Optimizer>(choice.optimizer, {registry}));
  auto total = std::make_shared<vem::Expectation>();
  total->count = at::ones({}, at::kDouble);
  for (size_t i = 0; i < network.shapes.size(); ++i) {
    const std::string name = "p" + std::to_string(i);
    block->add(name, network.shapes[i], at::kFloat).detach().normal_();
    total->sums[name] = at::randn(network.shapes[i]);
  }
  return [block, total] {
    vem::Step step;
    step.weights["learning_rate"] = 1e-4;
    block->m_step(*total, step, vem::Rng(0));
  };
}

template <class Optimizer, class Options>
std::function<void()> theirs(const Options& options, const Network& network) {
  std::vector<Tensor> parameters;
  for (const auto& shape : network.shapes) {
    parameters.push_back(at::randn(shape).requires_grad_());
    parameters.back().mutable_grad() = at::randn(shape);
  }
  const auto optimizer = std::make_shared<Optimizer>(parameters, options);
  return [optimizer] { optimizer->step(); };
}

double milliseconds(const std::function<void()>& update) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  update();
  return 1e3 * std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare(const char* name, const std::function<void()>& a, const std::function<void()>& b) {
  std::vector<double> ours, theirs;
  for (int i = 0; i < kRounds; ++i) {
    ours.push_back(milliseconds(a));
    if (b) theirs.push_back(milliseconds(b));
  }
  std::printf("  %-34s %6.2f", name, median(ours));
  if (b) std::printf("  %6.2f  %5.1f times", median(theirs), median(theirs) / median(ours));
  std::printf("\n");
}

}  // namespace

int main() {
  namespace optim = torch::optim;
  at::globalContext().setFlushDenormal(true);
  for (const Network& n : networks()) {
    std::printf("%s\n  %-34s %6s  %6s\n", n.name, "", "vem", "torch");
    compare("adam", ours("kind = \"adam\"", n), theirs<optim::Adam>(optim::AdamOptions(1e-4), n));
    compare("adamw", ours("kind = \"adamw\"", n), theirs<optim::AdamW>(optim::AdamWOptions(1e-4), n));
    compare("rmsprop", ours("kind = \"rmsprop\"", n), theirs<optim::RMSprop>(optim::RMSpropOptions(1e-4), n));
    compare("rmsprop, centred, momentum", ours("kind = \"rmsprop\"\ncentered = true\nmomentum = 0.9", n),
            theirs<optim::RMSprop>(optim::RMSpropOptions(1e-4).centered(true).momentum(0.9), n));
    compare("sgd, momentum", ours("kind = \"sgd\"\nmomentum = 0.9", n),
            theirs<optim::SGD>(optim::SGDOptions(1e-4).momentum(0.9), n));
    compare("adamax", ours("kind = \"adamax\"", n), nullptr);
    compare("normalized-adam", ours("kind = \"normalized-adam\"", n), nullptr);
    compare("adam, clip_norm, skip, average", ours("clip_norm = 1\nskip_above = 10\naverage = 0.99", n), nullptr);
  }
  return 0;
}
