#include "estimates.h"

#include <unistd.h>

#include <chrono>

#include "clock.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/infer/importance.h"

namespace vem {
namespace {

constexpr int64_t kBatch = 500;            // items a call of a method
constexpr int64_t kDecoderRows = 4000;     // samples x items a call, which bounds memory
constexpr int64_t kChains = 16;            // of annealing, an item
constexpr int64_t kAggregateItems = 1000;  // the aggregate posterior of n items costs n x n densities

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
    const Batch items = chunk(0);
    log_weights(items, 0, 0);
    const auto start = Clock::now();
    log_weights(items, 0, 0);
    const int64_t chunks = (data_.size + chunk_ - 1) / chunk_, calls = (samples_ + most(items) - 1) / most(items);
    return seconds_since(start) * static_cast<double>(chunks * calls);
  }

  /// Beside the summary, the bound [items] of `of_bound` samples; undefined for 0.
  std::pair<ImportanceSummary, Tensor> summary(int64_t of_bound = 0) const {
    std::vector<Tensor> log_likelihood, effective, k, bound;
    const bool live = isatty(STDERR_FILENO) != 0;
    for (int64_t begin = 0; begin < data_.size; begin += chunk_) {
      const Batch items = chunk(begin);
      std::vector<Tensor> parts;
      for (int64_t done = 0; done < samples_; done += most(items)) parts.push_back(log_weights(items, begin, done));
      const Tensor weights = at::cat(parts);
      const ImportanceSummary part = summarize_importance(weights);
      if (of_bound > 0) bound.push_back(importance_bound(weights, of_bound));
      log_likelihood.push_back(part.log_likelihood);
      effective.push_back(part.effective_samples);
      k.push_back(part.pareto_k);
      if (live) fmt::print(stderr, "\r\033[K{} of {} items", grouped(begin + items.size()), grouped(data_.size));
    }
    if (live) fmt::print(stderr, "\r\033[K");
    return {{at::cat(log_likelihood), at::cat(effective), at::cat(k)}, of_bound > 0 ? at::cat(bound) : Tensor()};
  }

 private:
  Batch chunk(int64_t begin) const {
    return data_.batch(at::arange(begin, std::min(data_.size, begin + chunk_), at::kLong), 0, model_.dtype());
  }
  /// Samples a call: equal shares of what fits.
  int64_t most(const Batch& items) const {
    const int64_t rows = std::max<int64_t>(1, items.at("x").size(0));
    const int64_t calls = (samples_ * rows + kDecoderRows - 1) / kDecoderRows;
    return (samples_ + calls - 1) / calls;
  }
  Tensor log_weights(const Batch& items, int64_t begin, int64_t done) const {
    const std::vector<Tensor> inputs = inputs_of(method_, items, {{"samples", std::min(most(items), samples_ - done)}});
    return method_.call(inputs, rng_.fold(static_cast<uint64_t>(begin)).fold(static_cast<uint64_t>(done)))[0];
  }

  const Method& method_;
  const Model& model_;
  const Dataset& data_;
  const int64_t samples_;
  const Rng rng_;
  const int64_t chunk_;
};

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

}  // namespace

Estimated::Estimated(const Tensor& values) : mean(values.mean().item<double>()) {
  if (std::isnan(mean)) fail<NumericError>("evaluate: the estimate of an item is not a number (NaN)");
  if (values.numel() > 1) error = values.std().item<double>() / std::sqrt(static_cast<double>(values.numel()));
}

std::string Estimated::error_text() const {
  if (!std::isnan(error)) return fmt::format("+- {:.4f}", error);
  return std::isinf(mean) ? "" : "(no standard error of one item)";
}

void print_row(const std::string& name, double value, const std::string& remark) {
  fmt::print("  {:<32}{:>14.4f}{}{}\n", name, value, remark.empty() ? "" : "  ", remark);
}

void print_row(const std::string& name, const Estimated& value, const std::string& remark) {
  const std::string error = value.error_text();
  print_row(name, value.mean, fmt::format("{}{}{}", error, error.empty() || remark.empty() ? "" : "  ", remark));
}

Tensor log_likelihood(const std::vector<Method>& methods, const Model& model, const Dataset& data, int64_t samples,
                      uint64_t seed) {
  const at::NoGradGuard no_grad;
  if (const Method* exact = Model::find(methods, "log_prob"))
    return map_items(*exact, model, data, seed)[0].to(at::kDouble);
  if (const Method* method = Model::find(methods, "importance"))
    return Importance(*method, model, data, samples, seed).summary().first.log_likelihood;
  return {};
}

std::pair<Json, Tensor> print_importance(const Method& method, const Model& model, const Dataset& data,
                                         const ImportanceSamples& number, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const int64_t samples = number.all;
  const Importance importance(method, model, data, samples, seed);
  fmt::print(stderr, "{} for each of {}, estimated time: {}\n", counted(samples, "importance sample"),
             counted(data.size, "item"), duration(importance.estimated_seconds()));
  const auto [summary, bound] = importance.summary(number.of_bound);
  const Estimated likelihood(summary.log_likelihood);
  const double effective = summary.effective_samples.median().item<double>();
  const double k = summary.pareto_k.median().item<double>();
  const double loose = (summary.pareto_k > 0.7).to(at::kDouble).mean().item<double>();
  fmt::print("  {:<32}{:>14}  {}\n", fmt::format("NLL, {}", counted(samples, "importance sample")),
             fmt::format("<= {:.4f}", -likelihood.mean), likelihood.error_text());
  fmt::print("  {:<32}{:14.1f}  median over items\n", "effective samples", effective);
  if (!std::isnan(k))
    fmt::print("  {:<32}{:14.2f}  median over items; above 0.7, where the estimate is loose, for {:.0f} %\n",
               "Pareto k-hat", k, 100 * loose);
  Json result{{"nll_upper_bound", number_of_json(-likelihood.mean)},
              {"nll_error", number_of_json(likelihood.error)},
              {"samples", samples}};
  result["effective_samples"] = effective;
  result["pareto_k"] = std::isfinite(k) ? Json(k) : Json(nullptr);
  result["pareto_k_above_0.7"] = loose;
  if (bound.defined()) {
    const Estimated mean(bound);
    print_row(fmt::format("bound, {}", counted(number.of_bound, "importance sample")), mean, "");
    result["bound_samples"] = number.of_bound;
    result["importance_bound"] = mean.mean;
    result["importance_bound_error"] = mean.error;
  }
  return {result, summary.log_likelihood};
}

Json print_gaps(const Method& method, const Model& model, const Dataset& data, int64_t steps, int64_t samples,
                uint64_t seed) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> amortized, local, evidence;
  const Rng rng = Rng(seed).fold("gaps");
  for (int64_t begin = 0; begin < data.size; begin += kBatch) {
    const Tensor positions = at::arange(begin, std::min(data.size, begin + kBatch), at::kLong);
    const Batch batch = data.batch(positions, 0, model.dtype());
    const auto bounds = method.call(inputs_of(method, batch, {{"steps", steps}, {"samples", samples}}),
                                    rng.fold(static_cast<uint64_t>(begin)));
    amortized.push_back(bounds[0]);
    local.push_back(bounds[1]);
    evidence.push_back(bounds[2]);
  }
  const Tensor best = at::cat(local);
  const Tensor log_likelihood = at::cat(evidence);
  const Estimated likelihood(log_likelihood), family(log_likelihood - best), encoder(best - at::cat(amortized));
  fmt::print("  {:<32}{:>14}  {}  {} from the best q of each item\n", "NLL, refined",
             fmt::format("<= {:.4f}", -likelihood.mean), likelihood.error_text(),
             counted(samples, "importance sample"));
  print_row("approximation gap", family, "that log-likelihood less the best bound of the family");
  print_row("amortisation gap", encoder, fmt::format("that bound ({} inner steps) less the encoder's", steps));
  return {{"refined_nll_upper_bound", -likelihood.mean},
          {"refined_nll_error", number_of_json(likelihood.error)},
          {"approximation_gap", family.mean},
          {"approximation_gap_error", number_of_json(family.error)},
          {"amortisation_gap", encoder.mean},
          {"amortisation_gap_error", number_of_json(encoder.error)},
          {"inner_steps", steps}};
}

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
  fmt::print("  {:<32}{:>14}  {}  {} chains, {:.0f} % of moves accepted\n",
             fmt::format("NLL, annealed {} times", grouped(temperatures)), fmt::format("<= {:.4f}", -likelihood.mean),
             likelihood.error_text(), kChains, 100 * acceptance);
  print_row("upper less lower bound", gap, "on data that the model made");
  return {{"annealed_nll", -likelihood.mean},
          {"annealed_nll_error", number_of_json(likelihood.error)},
          {"temperatures", temperatures},
          {"chains", kChains},
          {"acceptance", acceptance},
          {"annealed_gap", gap.mean},
          {"annealed_gap_error", number_of_json(gap.error)}};
}

Json print_aggregate(const Method& aggregate, const Model& model, const Dataset& data, uint64_t seed) {
  const int64_t items = std::min(data.size, kAggregateItems);
  const Batch batch = data.batch(at::arange(items, at::kLong), 0, model.dtype());
  const auto out = aggregate.call(inputs_of(aggregate, batch), Rng(seed).fold("aggregate"));
  const Estimated information(out[0] - out[1]), marginal(out[1] - out[2]);
  const std::string of = items < data.size ? fmt::format(", of the first {} items", grouped(items)) : "";
  const double most = std::log(static_cast<double>(items));
  print_row("information I(x; z)", information,
            information.mean > 0.95 * most
                ? fmt::format("all that {} items can show (their log): there is more, and less in the next lines",
                              grouped(items))
                : fmt::format("at most log {} = {:.4f}{}", grouped(items), most, of));
  print_row("KL(q(z) || p(z))", marginal, "of the aggregate posterior" + of);
  Json result{{"information", information.mean},
              {"information_error", number_of_json(information.error)},
              {"aggregate_kl", marginal.mean},
              {"aggregate_kl_error", number_of_json(marginal.error)},
              {"aggregate_items", items}};
  if (out.size() > 3) {
    const Estimated correlation(out[1] - out[3]);
    print_row("total correlation of q(z)", correlation, "how far its dimensions are from independent" + of);
    result["total_correlation"] = correlation.mean;
    result["total_correlation_error"] = number_of_json(correlation.error);
  }
  return result;
}

}  // namespace vem
