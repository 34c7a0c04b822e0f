// How near the hot paths come to what the machine can do: the arithmetic of one call, counted by formula, over its
// time, and as a share of the fastest matrix product (or copy) of the same run and type. One thread.
// Build and run: cmake --build build --target bench_kernels && OMP_NUM_THREADS=1 build/bench_kernels
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <array>
#include <chrono>

#include "vem/core/config.h"
#include "vem/core/platform.h"
#include "vem/infer/block.h"
#include "vem/infer/forward_backward.h"
#include "vem/infer/model.h"
#include "vem/models/registry.h"

namespace {

using vem::Tensor;

double seconds(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 7; ++round) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

/// Operations a second of the best square matrix product.
double product_peak(at::ScalarType dtype) {
  double best = 0;
  for (const int64_t n : {512, 1024, 2048}) {
    const Tensor a = at::randn({n, n}, dtype), b = at::randn({n, n}, dtype), c = at::empty({n, n}, dtype);
    Tensor out = c;
    best = std::max(best, 2. * static_cast<double>(n * n * n) / seconds([&] { at::mm_out(out, a, b); }));
  }
  return best;
}

/// Bytes read and written a second by a copy that no cache holds.
double copy_peak() {
  const Tensor from = at::ones({int64_t{1} << 26}, at::kFloat);
  Tensor to = at::zeros_like(from);
  return 2. * static_cast<double>(from.nbytes()) / seconds([&] { to.copy_(from); });
}

double peak(at::ScalarType dtype) {
  static const double single = product_peak(at::kFloat), twice = product_peak(at::kDouble);
  return dtype == at::kFloat ? single : twice;
}

/// One call of the work: `operations` of it, or as many bytes.
void measure(benchmark::State& state, double operations, at::ScalarType dtype, const std::function<void()>& work) {
  const double limit = peak(dtype);
  work();  // warms caches and allocators up
  for (auto _ : state) work();
  const double calls = static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(1e-9 * operations * calls, benchmark::Counter::kIsRate);
  state.counters["of_product"] = benchmark::Counter(operations * calls / limit, benchmark::Counter::kIsRate);
}
void measure_bytes(benchmark::State& state, double bytes, const std::function<void()>& work) {
  static const double limit = copy_peak();
  work();
  for (auto _ : state) work();
  const double calls = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(1e-9 * bytes * calls, benchmark::Counter::kIsRate);
  state.counters["of_copy"] = benchmark::Counter(bytes * calls / limit, benchmark::Counter::kIsRate);
}

std::shared_ptr<vem::Model> make_model(const std::string& name, const std::string& toml, const vem::Dataset& data) {
  static const vem::Registry registry = vem::builtin_registry();
  vem::ChoiceOptions options("model", name);
  vem::Config::parse(toml, "options of " + name).read(options, registry);
  const auto model = registry.create<vem::Model>(options.choice, {data.schema, registry});
  model->initialize(data, vem::Rng(0));
  return model;
}

vem::Dataset rows(const Tensor& x) {
  vem::Dataset data;
  data.columns["x"] = x;
  data.schema.item_shape = {x.size(1)};
  data.size = x.size(0);
  return data;
}

/// Log-likelihoods and sums are a product each, of rows x features x components.
void mixture(benchmark::State& state, int64_t N, int64_t D, int64_t K, const std::string& covariance,
             at::ScalarType dtype) {
  const vem::Dataset data = rows(at::randn({N, D}, at::kDouble));
  const auto model = make_model("gmm",
                                fmt::format("[model]\nnum_components = {}\nstart = \"random\"\nprecision = \"{}\"\n"
                                            "[model.observation]\nkind = \"normal\"\ncovariance = \"{}\"",
                                            K, dtype == at::kFloat ? "float32" : "float64", covariance),
                                data);
  const vem::Batch batch = data.batch(at::arange(N, at::kLong), 0, model->dtype());
  const int64_t features = 1 + D + (covariance == "full" ? D * (D + 1) / 2 : D);
  measure(state, 4. * static_cast<double>(N * features * K), dtype,
          [&] { benchmark::DoNotOptimize(model->e_step(batch, vem::Step(), vem::Rng(0))); });
}

/// Forward, backward and sums of pairs are a product each, of steps x states x states.
void chain(benchmark::State& state, int64_t items, int64_t steps, int64_t K) {
  const Tensor offsets = at::arange(items + 1, at::kLong) * steps;
  const vem::Chain chain{at::randn({items * steps, K}, at::kDouble), at::zeros({K}, at::kDouble),
                         at::randn({K, K}, at::kDouble).log_softmax(-1), offsets};
  const Tensor weight = at::ones({items}, at::kDouble);
  measure(state, 6. * static_cast<double>(items * steps * K * K), at::kDouble,
          [&] { benchmark::DoNotOptimize(vem::forward_backward(chain, weight)); });
}

/// A sweep over a document has four operations for each of its words and topics; two sweeps and the sums of topics.
void topics(benchmark::State& state, int64_t documents, int64_t words, int64_t V, int64_t K) {
  vem::Dataset data;
  data.columns["word"] =
      at::argsort(at::rand({documents, V}), int64_t{1}, false).slice(1, 0, words).contiguous().view({-1}).to(at::kInt);
  data.columns["count"] = at::ones({documents * words}, at::kInt);
  data.offsets = at::arange(documents + 1, at::kLong) * words;
  data.schema.item_shape = {V};
  data.size = documents;
  const auto model = make_model("lda", fmt::format("[model]\nnum_topics = {}\nstart = \"random\"", K), data);
  const vem::Batch batch = data.batch(at::arange(documents, at::kLong), 0, model->dtype());
  measure(state, 3 * 4. * static_cast<double>(documents * words * K), at::kFloat,
          [&] { benchmark::DoNotOptimize(model->e_step(batch, vem::Step(), vem::Rng(0))); });
}

/// The matrix products of a training step and nothing else, by LibTorch: forward, gradient of the weight, and of the
/// input but for the first layer.
std::function<void()> products_of_step(const std::vector<int64_t>& sizes, int64_t batch_size) {
  std::vector<std::array<Tensor, 3>> layers;  // input, weight, gradient of the output
  for (size_t i = 0; i + 1 < sizes.size(); ++i)
    layers.push_back({at::randn({batch_size, sizes[i]}), at::randn({sizes[i + 1], sizes[i]}),
                      at::randn({batch_size, sizes[i + 1]})});
  return [layers] {
    for (size_t i = 0; i < layers.size(); ++i) {
      const auto& [x, weight, d] = layers[i];
      benchmark::DoNotOptimize(at::mm(x, weight.t()));
      benchmark::DoNotOptimize(at::mm(d.t(), x));
      if (i > 0) benchmark::DoNotOptimize(at::mm(d, weight));
    }
  };
}

/// Forward and backward are three products a layer, but for the first layer, whose input needs no gradient.
void training_step(benchmark::State& state, int64_t width, int64_t latent, int64_t batch_size) {
  const vem::Dataset data = rows(at::rand(vem::Shape{batch_size, 784}).round());
  const auto model =
      make_model("vae",
                 fmt::format("[model]\nlatent_dim = {1}\n[model.encoder]\nkind = \"mlp\"\nwidths = [{0}, {0}]\n"
                             "[model.decoder]\nkind = \"mlp\"\nwidths = [{0}, {0}]",
                             width, latent),
                 data);
  const vem::Batch batch = data.batch(at::arange(batch_size, at::kLong), 0, model->dtype());
  vem::Step step;
  step.weights = {{"learning_rate", 1e-4}, {"kl_weight", 1}};
  const double first = 784. * static_cast<double>(width),
               rest = static_cast<double>(2 * width * width + 3 * width * latent) + first;
  // The decoder's first layer is counted among the rest: its input is a sample, which needs a gradient.
  const auto encoder = products_of_step({784, width, width, 2 * latent}, batch_size),
             decoder = products_of_step({latent, width, width, 784}, batch_size);
  const double alone = seconds([&] { encoder(); }) + seconds([&] { decoder(); });
  measure(state, 2. * static_cast<double>(batch_size) * (2 * first + 3 * rest), at::kFloat, [&] {
    vem::Expectation e = model->e_step(batch, step, vem::Rng(0));
    model->m_step(e, step, vem::Rng(0));
  });
  state.counters["of_products_alone"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * alone, benchmark::Counter::kIsRate);
}

/// Parameter, gradient and two moments are read, all but the gradient written.
void adam(benchmark::State& state, int64_t numbers) {
  static const vem::Registry registry = vem::builtin_registry();
  vem::GradientBlock block("networks", registry.create<vem::Optimizer>(vem::default_optimizer(), {registry}));
  block.add("p", {numbers}, at::kFloat).detach().normal_();
  vem::Expectation total;
  total.count = at::ones({}, at::kDouble);
  total.sums["p"] = at::randn(vem::Shape{numbers});
  vem::Step step;
  step.weights["learning_rate"] = 1e-4;
  measure_bytes(state, 28. * static_cast<double>(numbers), [&] { block.m_step(total, step, vem::Rng(0)); });
}

template <class... Arguments>
void add(const std::string& name, Arguments... arguments) {
  benchmark::RegisterBenchmark(name.c_str(), arguments...)->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int argc, char** argv) {
  vem::tune_platform(1);
  at::manual_seed(0);
  add("mixture/full/100000x32/K=16/float64", mixture, 100000, 32, 16, "full", at::kDouble);
  add("mixture/full/100000x32/K=16/float32", mixture, 100000, 32, 16, "full", at::kFloat);
  add("mixture/full/20000x128/K=100/float64", mixture, 20000, 128, 100, "full", at::kDouble);
  add("mixture/full/20000x128/K=100/float32", mixture, 20000, 128, 100, "full", at::kFloat);
  add("mixture/diagonal/1000000x16/K=32/float64", mixture, 1000000, 16, 32, "diagonal", at::kDouble);
  add("mixture/diagonal/1000000x16/K=32/float32", mixture, 1000000, 16, 32, "diagonal", at::kFloat);
  add("chain/1x100000/K=10", chain, 1, 100000, 10);
  add("chain/1x1000000/K=8", chain, 1, 1000000, 8);
  add("chain/1000x500/K=32", chain, 1000, 500, 32);
  add("topics/2000x100/V=5000/K=50", topics, 2000, 100, 5000, 50);
  add("training-step/784-512-512-20/batch=128", training_step, 512, 20, 128);
  add("training-step/784-200-200-50/batch=20", training_step, 200, 50, 20);
  add("adam/1.4M", adam, 1400000);
  add("adam/50M", adam, 50000000);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  std::fprintf(stderr, "products: %.0f GFLOP/s float32, %.0f float64\n", 1e-9 * peak(at::kFloat),
               1e-9 * peak(at::kDouble));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
