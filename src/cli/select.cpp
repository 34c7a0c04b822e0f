// vem select: one fit for each number of components, and the criteria by which to choose among them. The exact ELBO
// covers one of the K! labelings of the components, so models are compared by ELBO + ln K! (Bishop, PRML,
// section 10.2.4); AIC and BIC (Schwarz 1978) by the likelihood at a point, ICL (Biernacki, Celeux and Govaert 2000)
// with the entropy of the responsibilities on top of BIC; held-out log-likelihoods need data.validation or data.test.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "inputs.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/core/platform.h"
#include "vem/data/writers.h"
#include "verbs.h"

namespace vem {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// What one number of components came to; NaN where a criterion does not apply.
struct Score {
  int64_t components = 0, iterations = 0, parameters = 0;
  double log_likelihood = kNone, elbo = kNone, aic = kNone, bic = kNone, icl = kNone, held_out = kNone, error = kNone;
  bool floored = false;
  double elbo_of_all() const { return elbo + std::lgamma(static_cast<double>(components) + 1); }
};

/// "1..8" or "4" as the first and the last.
std::pair<int64_t, int64_t> range_of(const std::string& text) {
  const auto number = [&](const std::string& word) {
    if (word.empty() || word.size() > 5 || word.find_first_not_of("0123456789") != std::string::npos || word == "0")
      fail<UsageError>("--components is a range such as 1..8, got '{}'", text);
    return static_cast<int64_t>(std::stoll(word));
  };
  const size_t dots = text.find("..");
  const std::pair<int64_t, int64_t> range{number(text.substr(0, dots)),
                                          number(dots == std::string::npos ? text : text.substr(dots + 2))};
  if (range.second < range.first) fail<UsageError>("--components is a range such as 1..8, got '{}'", text);
  return range;
}

/// Mean and standard error over items.
std::pair<double, double> mean_of(const Tensor& values) {
  const auto n = static_cast<double>(values.numel());
  return {values.mean().item<double>(), n > 1 ? values.std().item<double>() / std::sqrt(n) : kNone};
}

Score score_of(const Model& model, const Dataset& train, const Dataset& held_out, int64_t components) {
  Score score;
  score.components = components;
  score.floored = model.floored();
  const auto methods = model.methods();
  const Method* log_prob = Model::find(methods, "log_prob");
  const Method* responsibilities = Model::find(methods, "responsibilities");
  if (!log_prob || !responsibilities) fail<UsageError>("select: this model has no components to choose the number of");
  const Tensor kl = model.kl_global();
  const Expectation total = evaluate(model, train, 0, 0);
  bool posterior = false;
  for (const auto& block : model.blocks()) {
    score.parameters += block->num_free();
    if (const auto* conjugate = dynamic_cast<const ConjugateBlock*>(block.get()))
      posterior = posterior || conjugate->estimate() == Estimate::posterior;
  }
  if (posterior) {
    score.elbo = (total.bound - kl).item<double>();
  } else {
    const auto p = static_cast<double>(score.parameters);
    score.log_likelihood = total.bound.item<double>();
    score.aic = 2 * p - 2 * score.log_likelihood;
    score.bic = p * std::log(total.count.item<double>()) - 2 * score.log_likelihood;
    const Tensor r = map_items(*responsibilities, model, train, 0)[0].to(at::kDouble);
    score.icl = score.bic - 2 * at::xlogy(r, r).sum().item<double>();
  }
  if (held_out.size > 0) std::tie(score.held_out, score.error) = mean_of(map_items(*log_prob, model, held_out, 0)[0]);
  return score;
}

std::string cell(double value, int digits = 3) {
  return std::isnan(value) ? fmt::format("{:>14}", "-") : fmt::format("{:14.{}f}", value, digits);
}

void print_header() {
  fmt::print("{:>4}{:>7}{:>7}{:>14}{:>14}{:>14}{:>14}{:>14}{:>14}{:>14}\n", "K", "passes", "free", "ELBO",
             "ELBO + ln K!", "log-lik.", "AIC", "BIC", "ICL", "held out");
}

void print_score(const Score& s) {
  const double all = std::isnan(s.elbo) ? kNone : s.elbo_of_all();
  fmt::print("{:>4}{:>7}{:>7}{}{}{}{}{}{}{}{}{}\n", s.components, s.iterations, s.parameters, cell(s.elbo), cell(all),
             cell(s.log_likelihood), cell(s.aic), cell(s.bic), cell(s.icl), cell(s.held_out, 4),
             std::isnan(s.error) ? "" : fmt::format(" +- {:.4f}", s.error), s.floored ? "  variance at its floor" : "");
  std::fflush(stdout);
}

/// By ELBO + ln K! where there is a posterior, else by BIC; components without a variance of their own lose to others.
const Score& best_of(const std::vector<Score>& scores) {
  const auto worse = [](const Score& a, const Score& b) {
    if (a.floored != b.floored) return a.floored;
    return std::isnan(a.elbo) ? a.bic > b.bic : a.elbo_of_all() < b.elbo_of_all();
  };
  return *std::max_element(scores.begin(), scores.end(), worse);
}

Json json_of(const Score& s) {
  Json row{{"num_components", s.components}, {"passes", s.iterations}, {"free_parameters", s.parameters}};
  const auto add = [&](const char* name, double value) {
    if (!std::isnan(value)) row[name] = value;
  };
  add("elbo", s.elbo);
  if (!std::isnan(s.elbo)) add("elbo_plus_log_factorial", s.elbo_of_all());
  add("log_likelihood", s.log_likelihood);
  add("aic", s.aic);
  add("bic", s.bic);
  add("icl", s.icl);
  add("held_out_log_likelihood", s.held_out);
  add("held_out_error", s.error);
  row["floored"] = s.floored;
  return row;
}

}  // namespace

int select(const Arguments& a, const Registry& registry) {
  if (!a.count("what") || !a.count("components"))
    fail<UsageError>("select: which model and which numbers? `vem select gmm --data table.csv --components 1..8`");
  const std::string what = a["what"].as<std::string>();
  const auto [first, last] = range_of(a["components"].as<std::string>());
  std::vector<Score> scores;
  Splits splits;
  for (int64_t k = first; k <= last; ++k) {
    RunOptions options;
    Config config = configuration(a, what);
    config.set(fmt::format("model.num_components={}", k));
    config.read(options, registry);
    if (k == first) {
      tune_platform(options.threads);
      splits = as_taken(load_splits(options.data), options.model);
      fmt::print("{} on {}\n", options.model.name, counted(splits.train.size, "item"));
      print_header();
    }
    const auto model = registry.create<Model>(options.model, {splits.train.schema, registry});
    if (model->sampled()) fail<ConfigError>("select: estimate = \"gibbs\" has no bound to compare; use posterior");
    const FitResult result = fit(*model, splits.train, options.train, {registry, &splits.validation});
    scores.push_back(score_of(*model, splits.train, splits.test.size > 0 ? splits.test : splits.validation, k));
    scores.back().iterations = result.epoch;
    print_score(scores.back());
  }
  const Score& best = best_of(scores);
  const char* criterion = std::isnan(best.elbo) ? "BIC" : "ELBO + ln K!";
  fmt::print("chosen by {}: model.num_components = {}\n", criterion, best.components);
  if (a.count("out")) {
    Json result{{"criterion", criterion}, {"num_components", best.components}, {"scores", Json::array()}};
    for (const Score& s : scores) result["scores"].push_back(json_of(s));
    write_text(a["out"].as<std::string>(), result.dump(2) + "\n");
  }
  return 0;
}

}  // namespace vem
