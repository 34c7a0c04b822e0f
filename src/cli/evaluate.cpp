// vem evaluate: the bound, and the log-likelihood where the model has it, exact or by importance sampling.
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "inputs.h"
#include "text.h"
#include "topics.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/infer/importance.h"
#include "verbs.h"

namespace vem {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr int64_t kBatch = 500;         // items of a pass for the bound
constexpr int64_t kDecoderRows = 4000;  // samples x items a call, which bounds memory

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Mean over items with its standard error, float64.
struct Estimated {
  explicit Estimated(const Tensor& values) : mean(values.mean().item<double>()) {
    if (values.numel() > 1) error = values.std().item<double>() / std::sqrt(static_cast<double>(values.numel()));
  }
  double mean, error = 0;
};

/// The importance weights of a run of items, in calls of bounded size. Chunks are fixed, so an item's draws depend on
/// its place and on the seed only.
class Importance {
 public:
  Importance(const Method& method, const Model& model, const Dataset& data, int64_t samples, uint64_t seed)
      : method_(method),
        model_(model),
        data_(data),
        samples_(samples),
        rng_(Rng(seed).fold("importance")),
        chunk_(std::clamp<int64_t>(kDecoderRows / samples, 1, 64)) {}

  /// Seconds that all of it will take: two calls, of which the second is warm.
  double estimated_seconds() const {
    const Tensor x = rows(0);
    log_weights(x, 0, 0);
    const auto start = Clock::now();
    log_weights(x, 0, 0);
    const auto chunks = static_cast<double>((data_.size + chunk_ - 1) / chunk_);
    return seconds_since(start) * chunks * static_cast<double>((samples_ + most(x) - 1) / most(x));
  }

  ImportanceSummary summary() const {
    std::vector<Tensor> log_likelihood, effective, k;
    const bool live = isatty(STDERR_FILENO) != 0;
    for (int64_t begin = 0; begin < data_.size; begin += chunk_) {
      const Tensor x = rows(begin);
      std::vector<Tensor> parts;
      for (int64_t done = 0; done < samples_; done += most(x)) parts.push_back(log_weights(x, begin, done));
      const ImportanceSummary part = summarize_importance(at::cat(parts));
      log_likelihood.push_back(part.log_likelihood);
      effective.push_back(part.effective_samples);
      k.push_back(part.pareto_k);
      if (live) fmt::print(stderr, "\r\033[K{} of {} items", grouped(begin + x.size(0)), grouped(data_.size));
    }
    if (live) fmt::print(stderr, "\r\033[K");
    return {at::cat(log_likelihood), at::cat(effective), at::cat(k)};
  }

 private:
  Tensor rows(int64_t begin) const {
    const Tensor positions = at::arange(begin, std::min(data_.size, begin + chunk_), at::kLong);
    return data_.batch(positions, 0, model_.dtype()).at("x");
  }
  int64_t most(const Tensor& x) const { return std::max<int64_t>(1, kDecoderRows / x.size(0)); }
  Tensor log_weights(const Tensor& x, int64_t begin, int64_t done) const {
    const Tensor count = at::scalar_tensor(std::min(most(x), samples_ - done), at::kLong);
    const Rng rng = rng_.fold(static_cast<uint64_t>(begin)).fold(static_cast<uint64_t>(done));
    return method_.call({x, count}, rng)[0];
  }

  const Method& method_;
  const Model& model_;
  const Dataset& data_;
  const int64_t samples_;
  const Rng rng_;
  const int64_t chunk_;
};

void print_row(const std::string& name, double value, const std::string& remark = "") {
  fmt::print("  {:<32}{:14.4f}{}{}\n", name, value, remark.empty() ? "" : "  ", remark);
}

/// Time steps of sequences, weighted as their items are; 0 where items are something else.
double num_steps(const Dataset& data) {
  if (!data.offsets.defined() || !data.columns.count("x")) return 0;
  const Tensor lengths = (data.offsets.slice(0, 1) - data.offsets.slice(0, 0, -1)).to(at::kDouble);
  return (data.weight.defined() ? lengths * data.weight : lengths).sum().item<double>();
}

/// A total over all items, per time step where there are any.
void print_per_step(Json& result, const std::string& name, double total, const Dataset& data) {
  const double steps = num_steps(data);
  if (steps == 0) return;
  result[name + "_per_step"] = total / steps;
  print_row(fmt::format("{} per time step", name == "log_likelihood" ? "log-likelihood" : name), total / steps);
}

/// The bound per item and its parts; where the parameters have a distribution of their own, also the bound of the set.
Json print_bound(const Model& model, const Dataset& data, uint64_t seed) {
  const Expectation total = evaluate(model, data, kBatch, seed);
  const double bound = (total.bound / total.count).item<double>(), kl = model.kl_global().item<double>();
  Json result{{"bound", bound}};
  print_row("bound", bound);
  print_per_step(result, "bound", total.bound.item<double>(), data);
  if (kl != 0) {
    result["kl_global"] = kl;
    result["total_bound"] = total.bound.item<double>() - kl;
    print_row("bound of the whole set", total.bound.item<double>() - kl,
              fmt::format("in nats, {:.4f} for the parameters taken off", kl));
  }
  for (const auto& [name, values] : model.report(total)) {
    if (values.size() != 1) continue;
    print_row(name, values[0]);
    result[name] = values[0];
  }
  return result;
}

Json print_exact(const Method& method, const Model& model, const Dataset& data, uint64_t seed) {
  const Tensor values = map_items(method, model, data, seed)[0].to(at::kDouble);
  const Estimated exact(values);
  print_row("log-likelihood", exact.mean, fmt::format("+- {:.4f}", exact.error));
  Json result{{"log_likelihood", exact.mean}, {"log_likelihood_error", exact.error}};
  const Tensor total = data.weight.defined() ? values * data.weight : values;
  print_per_step(result, "log_likelihood", total.sum().item<double>(), data);
  return result;
}

/// What the family of q costs, and what the encoder costs on top of that (Cremer, Li and Duvenaud 2018): differences of
/// means over the same items, with the standard error of the difference.
Json print_gaps(const Method& method, const Model& model, const Dataset& data, int64_t steps, uint64_t seed,
                const Tensor& log_likelihood) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> amortized, local;
  const Rng rng = Rng(seed).fold("gaps");
  for (int64_t begin = 0; begin < data.size; begin += kBatch) {
    const Tensor positions = at::arange(begin, std::min(data.size, begin + kBatch), at::kLong);
    const auto bounds =
        method.call({data.batch(positions, 0, model.dtype()).at("x"), at::scalar_tensor(steps, at::kLong)},
                    rng.fold(static_cast<uint64_t>(begin)));
    amortized.push_back(bounds[0]);
    local.push_back(bounds[1]);
  }
  const Tensor best = at::cat(local);
  const Estimated family(log_likelihood - best), encoder(best - at::cat(amortized));
  const auto row = [](const char* name, const Estimated& gap, const char* what) {
    print_row(name, gap.mean, fmt::format("+- {:.4f}  {}", gap.error, what));
  };
  row("approximation gap", family, "log-likelihood less the best bound of the family");
  row("amortisation gap", encoder, fmt::format("that bound ({} inner steps) less the encoder's", steps).c_str());
  return {{"approximation_gap", family.mean},
          {"approximation_gap_error", family.error},
          {"amortisation_gap", encoder.mean},
          {"amortisation_gap_error", encoder.error},
          {"inner_steps", steps}};
}

constexpr int64_t kChains = 16;

/// Log weights [chains, items] and the mean acceptance of annealing, items in batches.
std::pair<Tensor, double> anneal_items(const Method& method, const Tensor& x, const Tensor& second,
                                       int64_t temperatures, const Rng& rng) {
  std::vector<Tensor> weights, accepted;
  const bool live = isatty(STDERR_FILENO) != 0;
  for (int64_t begin = 0; begin < x.size(0); begin += kBatch) {
    const int64_t end = std::min(x.size(0), begin + kBatch);
    const auto out = method.call({x.slice(0, begin, end), second.dim() == 0 ? second : second.slice(0, begin, end),
                                  at::scalar_tensor(temperatures, at::kLong)},
                                 rng.fold(static_cast<uint64_t>(begin)));
    weights.push_back(out[0]);
    accepted.push_back(out[1]);
    if (live) fmt::print(stderr, "\r\033[K{} of {} items annealed", grouped(end), grouped(x.size(0)));
  }
  if (live) fmt::print(stderr, "\r\033[K");
  return {at::cat(weights, 1), at::cat(accepted).mean().item<double>()};
}

Tensor log_mean_exp(const Tensor& x) { return x.logsumexp(0) - std::log(static_cast<double>(x.size(0))); }

/// The likelihood by annealing; and on as many items that the model itself has made, for which there is an upper bound
/// too, how far apart the bounds are: as far off is the estimate (Grosse, Ghahramani and Adams 2015).
Json print_annealed(const std::vector<Method>& methods, const Model& model, const Dataset& data, int64_t temperatures,
                    uint64_t seed) {
  const auto method = [&](const char* name) -> const Method& { return *Model::find(methods, name); };
  const Rng rng = Rng(seed).fold("annealed");
  const Tensor chains = at::scalar_tensor(kChains, at::kLong),
               x = data.batch(at::arange(data.size, at::kLong), 0, model.dtype()).at("x");
  const auto [weights, acceptance] = anneal_items(method("annealed"), x, chains, temperatures, rng);
  const auto made = method("simulate").call({at::scalar_tensor(data.size, at::kLong)}, rng.fold("simulate"));
  const Tensor up = anneal_items(method("annealed"), made[0], chains, temperatures, rng.fold("up")).first,
               down = anneal_items(method("annealed_from"), made[0], made[1], temperatures, rng.fold("down")).first;
  const Estimated likelihood(log_mean_exp(weights)), gap(-log_mean_exp(down) - log_mean_exp(up));
  fmt::print("  {:<32}{:>14}  +- {:.4f}  {} chains, {:.0f} % of moves accepted\n",
             fmt::format("NLL, annealed {} times", grouped(temperatures)), fmt::format("<= {:.4f}", -likelihood.mean),
             likelihood.error, kChains, 100 * acceptance);
  print_row("upper less lower bound", gap.mean, fmt::format("+- {:.4f}  on data that the model made", gap.error));
  return {{"annealed_nll", -likelihood.mean}, {"annealed_nll_error", likelihood.error},
          {"temperatures", temperatures},     {"chains", kChains},
          {"acceptance", acceptance},         {"annealed_gap", gap.mean},
          {"annealed_gap_error", gap.error}};
}

std::pair<Json, Tensor> print_importance(const Method& method, const Model& model, const Dataset& data, int64_t samples,
                                         uint64_t seed) {
  const at::NoGradGuard no_grad;
  const Importance importance(method, model, data, samples, seed);
  fmt::print(stderr, "{} for each of {}, estimated time: {}\n", counted(samples, "importance sample"),
             counted(data.size, "item"), duration(importance.estimated_seconds()));
  const ImportanceSummary summary = importance.summary();
  const Estimated likelihood(summary.log_likelihood);
  const double effective = summary.effective_samples.median().item<double>();
  const double k = summary.pareto_k.median().item<double>();
  const double loose = (summary.pareto_k > 0.7).to(at::kDouble).mean().item<double>();
  fmt::print("  {:<32}{:>14}  +- {:.4f}\n", fmt::format("NLL, {}", counted(samples, "importance sample")),
             fmt::format("<= {:.4f}", -likelihood.mean), likelihood.error);
  fmt::print("  {:<32}{:14.1f}  median over items\n", "effective samples", effective);
  if (!std::isnan(k))
    fmt::print("  {:<32}{:14.2f}  median over items; above 0.7, where the estimate is loose, for {:.0f} %\n",
               "Pareto k-hat", k, 100 * loose);
  Json result{{"nll_upper_bound", -likelihood.mean}, {"nll_error", likelihood.error}, {"samples", samples}};
  result["effective_samples"] = effective;
  result["pareto_k"] = std::isfinite(k) ? Json(k) : Json(nullptr);
  result["pareto_k_above_0.7"] = loose;
  return {result, summary.log_likelihood};
}

}  // namespace

int evaluate(const cxxopts::ParseResult& a, const Registry& registry) {
  const int64_t samples = a["samples"].as<int64_t>();
  if (samples < 1) fail<UsageError>("--samples must be >= 1, got {}", samples);
  const LoadedRun run = load_run(a, registry);
  const Items items = load_items(a, run);
  const auto seed = a["seed"].as<uint64_t>();
  const auto methods = run.model->methods();
  Json result{{"items", items.name}, {"checkpoint", run.checkpoint_name}, {"seed", seed}};

  fmt::print("{} ({} checkpoint) on {}, in nats per item\n", run.options.model.name, run.checkpoint_name, items.name);
  if (items.data.binarize != Binarize::none) {
    fmt::print("  binarised once with seed {}\n", items.data.binarize_seed);
    result["binarize_seed"] = items.data.binarize_seed;
  }
  result.update(print_bound(*run.model, items.data, seed));
  if (const Method* method = Model::find(methods, "log_prob"))
    result.update(print_exact(*method, *run.model, items.data, seed));
  const int64_t temperatures = a["annealing"].as<int64_t>();
  if (temperatures < 0) fail<UsageError>("--annealing must be >= 0, got {}", temperatures);
  if (temperatures > 0 && !Model::find(methods, "annealed"))
    fail<UsageError>("--annealing has no effect: {} has no 'annealed'", run.options.model.name);
  const int64_t gap_steps = a["gaps"].as<int64_t>();
  const Method* bounds = Model::find(methods, "bounds");
  if (gap_steps < 0) fail<UsageError>("--gaps must be >= 0, got {}", gap_steps);
  if (gap_steps > 0 && !bounds) fail<UsageError>("--gaps has no effect: {} has no encoder", run.options.model.name);
  if (const Method* method = Model::find(methods, "importance")) {
    const auto [estimate, log_likelihood] = print_importance(*method, *run.model, items.data, samples, seed);
    result.update(estimate);
    if (temperatures > 0) result.update(print_annealed(methods, *run.model, items.data, temperatures, seed));
    if (gap_steps > 0) result.update(print_gaps(*bounds, *run.model, items.data, gap_steps, seed, log_likelihood));
  }
  if (const Method* method = Model::find(methods, "completion")) {
    const std::string held = a.count("held-out") ? a["held-out"].as<std::string>() : "";
    result.update(print_completion(*method, run, items.data, held, seed));
    result.update(print_topic_quality(*run.model, items.data));
  } else if (a.count("held-out")) {
    fail<UsageError>("--held-out has no effect: {} has no 'completion'", run.options.model.name);
  }
  write_text(run.directory.file("evaluation.json"), result.dump(2) + "\n");
  return 0;
}

}  // namespace vem
