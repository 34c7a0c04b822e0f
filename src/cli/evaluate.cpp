// vem evaluate: the bound, and the log-likelihood where it is exact or by importance sampling.
#include <chrono>

#include <nlohmann/json.hpp>

#include "inputs.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/infer/importance.h"
#include "verbs.h"

namespace vem {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kBatch = 500;          // items of a pass for the bound
constexpr int64_t kDecoderRows = 4000;   // samples x items a call, which bounds memory

/// Mean over items with its standard error, float64.
std::pair<double, double> mean_and_error(const Tensor& values) {
  const auto n = static_cast<double>(values.numel());
  return {values.mean().item<double>(), n > 1 ? values.std().item<double>() / std::sqrt(n) : 0.0};
}

/// Log importance weights of a few items, in calls of bounded size: [samples, items].
Tensor log_weights(const Method& method, const Tensor& x, int64_t samples, const Rng& rng) {
  std::vector<Tensor> parts;
  const int64_t most = std::max<int64_t>(1, kDecoderRows / x.size(0));
  for (int64_t done = 0; done < samples; done += most)
    parts.push_back(method.call({x, at::scalar_tensor(std::min(most, samples - done), at::kLong)}, rng.fold(static_cast<uint64_t>(done)))[0]);
  return at::cat(parts);
}

/// Streams over the items; tells beforehand how long it will take, from the first ones.
ImportanceSummary importance(const Method& method, const Model& model, const Dataset& data, int64_t samples, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const int64_t chunk = std::max<int64_t>(1, std::min<int64_t>(kDecoderRows / samples, 64));
  std::vector<Tensor> log_likelihood, effective, k;
  const auto start = Clock::now();
  bool told = false;
  for (int64_t begin = 0; begin < data.size; begin += chunk) {
    const Batch batch = data.batch(at::arange(begin, std::min(data.size, begin + chunk), at::kLong), 0, model.dtype());
    const ImportanceSummary part = summarize_importance(log_weights(method, batch.at("x"), samples, Rng(seed).fold("importance").fold(static_cast<uint64_t>(begin))));
    log_likelihood.push_back(part.log_likelihood);
    effective.push_back(part.effective_samples);
    k.push_back(part.pareto_k);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double share = static_cast<double>(begin + batch.size()) / static_cast<double>(data.size);
    if (!told && begin > 0 && (seconds > 0.5 || share > 0.02)) {
      fmt::print(stderr, "{} importance samples for each of {} items: about {:.0f} s\n", samples, data.size, seconds / share);
      told = true;
    }
  }
  return {at::cat(log_likelihood), at::cat(effective), at::cat(k)};
}

}  // namespace

int evaluate(const cxxopts::ParseResult& a, const Registry& registry) {
  const int64_t samples = a["samples"].as<int64_t>();
  if (samples < 1) fail<UsageError>("--samples must be >= 1, got {}", samples);
  const LoadedRun run = load_run(a, registry);
  const Items items = load_items(a, run);
  const auto seed = a["seed"].as<uint64_t>();
  const auto methods = run.model->methods();
  nlohmann::ordered_json result{{"items", items.name}, {"seed", seed}};

  fmt::print("{} on {}, in nats per item\n", run.options.model.name, items.name);
  if (items.data.binarize != Binarize::none) fmt::print("  binarised once with seed {}\n", items.data.binarize_seed);
  const Expectation total = evaluate(*run.model, items.data, kBatch, seed);
  const double bound = (total.bound / total.count).item<double>();
  fmt::print("  {:<32}{:12.4f}\n", "bound", bound);
  result["bound"] = bound;
  for (const auto& [name, values] : run.model->report(total)) {
    if (values.size() != 1) continue;
    fmt::print("  {:<32}{:12.4f}\n", name, values[0]);
    result[name] = values[0];
  }
  if (const Method* exact = Model::find(methods, "log_prob")) {
    const auto [mean, error] = mean_and_error(map_items(*exact, *run.model, items.data, seed)[0].to(at::kDouble));
    fmt::print("  {:<32}{:12.4f}  +- {:.4f}\n", "log-likelihood", mean, error);
    result["log_likelihood"] = mean;
    result["log_likelihood_error"] = error;
  }
  if (const Method* method = Model::find(methods, "importance")) {
    const ImportanceSummary summary = importance(*method, *run.model, items.data, samples, seed);
    const auto [mean, error] = mean_and_error(summary.log_likelihood);
    const double effective = summary.effective_samples.median().item<double>();
    const double unreliable = (summary.pareto_k > 0.7).to(at::kDouble).mean().item<double>();
    fmt::print("  {:<32}{:>12}  +- {:.4f}\n", fmt::format("NLL, {} importance samples", samples), fmt::format("<= {:.4f}", -mean), error);
    fmt::print("  {:<32}{:12.1f}  (median over items)\n", "effective samples", effective);
    fmt::print("  {:<32}{:12.2f}  (median; above 0.7 for {:.0f} % of items: there the estimate is loose)\n", "Pareto k-hat", summary.pareto_k.median().item<double>(), 100 * unreliable);
    result["nll_upper_bound"] = -mean;
    result["nll_error"] = error;
    result["samples"] = samples;
    result["effective_samples"] = effective;
    result["pareto_k_above_0.7"] = unreliable;
  }
  write_text(run.directory.file("evaluation.json"), result.dump(2) + "\n");
  return 0;
}

}  // namespace vem
