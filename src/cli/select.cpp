// vem select: one fit for each number of components, and the criteria by which to choose among them. The exact ELBO
// covers one of the equivalent labelings of the components, so models are compared by ELBO + ln K! where all components
// can be exchanged (Bishop, PRML, section 10.2.4); AIC and BIC (Schwarz 1978) by the likelihood at a point, ICL
// (Biernacki, Celeux and Govaert 2000) with the entropy of the posterior over components, or over the paths of a chain,
// on top of BIC; held-out log-likelihoods need data.validation or data.test. What is fitted is what `vem train` fits,
// and the state that is scored is the one that it would save as best.
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>

#include "inputs.h"
#include "message.h"
#include "output_file.h"
#include "preparation.h"
#include "signals.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/infer/component_model.h"
#include "verbs.h"

namespace vem {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// What one number of components came to; NaN where a criterion does not apply.
struct Score {
  int64_t components = 0, iterations = 0, parameters = 0;
  double rows = kNone;  // N of BIC and ICL
  double log_likelihood = kNone, elbo = kNone, aic = kNone, bic = kNone, icl = kNone, held_out = kNone, error = kNone;
  Labelings labelings{};
  bool floored = false;
  std::string start{};    // which one was kept
  std::string failure{};  // why there is no fit
  bool posterior() const { return !std::isnan(elbo); }
  double elbo_of_all() const { return elbo + labelings.log_count; }
  std::string criterion() const {
    return posterior() ? labelings.formula.empty() ? "ELBO" : "ELBO + " + labelings.formula : "BIC";
  }
};

/// The table.
struct Comparison {
  std::string title, row_name;
  std::string out;             // the JSON file, if any
  std::string held_out_split;  // "test", else "validation"; "" where neither has items
  std::vector<Score> scores{};
  bool complete = false;
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

/// Rows that have a density, by the weights of their items.
double rows_beyond_lags(const Dataset& data, int64_t lags) {
  if (!data.offsets.defined()) return data.total_weight();
  const Tensor lengths = (data.offsets.slice(0, 1) - data.offsets.slice(0, 0, -1) - lags).clamp_min(0);
  return (data.weight.defined() ? lengths * data.weight : lengths).sum().item<double>();
}

void score_model(Score& score, const Model& model, const Dataset& train, const Dataset& held_out) {
  const auto methods = model.methods();
  score.floored = model.floored();
  const auto& components = dynamic_cast<const ComponentModel&>(model);
  score.parameters = components.num_free();
  score.labelings = components.labelings();
  const auto notes = components.notes();
  if (const auto it = notes.find("start"); it != notes.end()) score.start = it->second;
  const Expectation total = evaluate(model, train, 0, 0);
  bool posterior = false;
  for (const auto& block : model.blocks())
    if (const auto* conjugate = dynamic_cast<const ConjugateBlock*>(block.get()))
      posterior = posterior || conjugate->estimate() == Estimate::posterior;
  if (posterior) {
    score.elbo = (total.bound - model.kl_global()).item<double>();
  } else {
    const auto p = static_cast<double>(score.parameters);
    score.log_likelihood = total.bound.item<double>();
    score.aic = 2 * p - 2 * score.log_likelihood;
    score.rows = rows_beyond_lags(train, components.lags());
    score.bic = p * std::log(score.rows) - 2 * score.log_likelihood;
    const Tensor entropy = map_items(*Model::find(methods, "entropy"), model, train, 0)[0];
    score.icl = score.bic + 2 * (train.weight.defined() ? entropy * train.weight : entropy).sum().item<double>();
  }
  if (held_out.size > 0)
    std::tie(score.held_out, score.error) =
        mean_of(map_items(*Model::find(methods, "log_prob"), model, held_out, 0)[0]);
}

/// Keeps the state with the best judged bound.
class BestState final : public Callback {
 public:
  bool on_epoch(const Model&, const EpochReport& report, const std::function<TensorMap()>& state) override {
    if (report.improved) state_ = state();
    return true;
  }
  const TensorMap& state() const { return state_; }

 private:
  TensorMap state_;
};

/// Nothing where a signal ended the fit.
std::optional<Score> fitted(const RunOptions& options, const Splits& splits, int64_t components, Signals& signals,
                            const Registry& registry) {
  Score score;
  score.components = components;
  const auto model = registry.create<Model>(options.model, {splits.train.schema, registry});
  if (!dynamic_cast<const ComponentModel*>(model.get()))
    fail<UsageError>("select: this model has no components to choose the number of");
  const bool judged = splits.validation.size > 0;  // else the last pass is the best
  BestState best;
  FitContext context{registry, judged ? &splits.validation : nullptr, nullptr, {&signals}};
  if (judged) context.callbacks.push_back(&best);
  const FitResult result = fit(*model, splits.train, options.train, context);
  if (result.interrupted && Signals::received() != 0) return {};
  score.iterations = result.epoch;
  if (!best.state().empty()) model->load(best.state());
  score_model(score, *model, splits.train, splits.test.size > 0 ? splits.test : splits.validation);
  return score;
}

constexpr int kWide = 18;  // characters of the column whose head is "ELBO + ln (K-1)!"

std::string cell(double value, int digits = 3, int width = 14) {
  return std::isnan(value) ? fmt::format("{:>{}}", "-", width) : fmt::format("{:>{}.{}f}", value, width, digits);
}

void print_header(const Comparison& all, const Score& first) {
  const std::string formula = first.labelings.formula.empty() ? "ln K!" : first.labelings.formula;
  fmt::print("{}{}\n", all.title,
             std::isnan(first.rows) ? "" : fmt::format("; N of BIC and ICL: {:.0f} {}", first.rows, all.row_name));
  fmt::print("{:>4}{:>7}{:>7}{:>14}{:>{}}{:>14}{:>14}{:>14}{:>14}{:>14}\n", "K", "passes", "free", "ELBO",
             "ELBO + " + formula, kWide, "log-lik.", "AIC", "BIC", "ICL", "held out");
}

void print_score(const Score& s) {
  if (!s.failure.empty()) {
    fmt::print("{:>4}{:>7}{:>7}  no fit: {}\n", s.components, "-", "-", s.failure);
  } else {
    std::string words = s.floored ? "  variance at its floor" : "";
    if (s.start.find(',') != std::string::npos) words += "  start: " + s.start;  // several competed
    fmt::print("{:>4}{:>7}{:>7}{}{}{}{}{}{}{}{}{}\n", s.components, s.iterations, s.parameters, cell(s.elbo),
               cell(s.labelings.formula.empty() ? kNone : s.elbo_of_all(), 3, kWide), cell(s.log_likelihood),
               cell(s.aic), cell(s.bic), cell(s.icl), cell(s.held_out, 4),
               std::isnan(s.error) ? "" : fmt::format(" +- {:.4f}", s.error), words);
  }
  std::fflush(stdout);
}

/// By ELBO over all labelings where there is a posterior, else by BIC; components without a variance of their own lose
/// to others. Null where nothing was fitted.
const Score* best_of(const std::vector<Score>& scores) {
  const auto worse = [](const Score& a, const Score& b) {
    if (a.floored != b.floored) return a.floored;
    return a.posterior() ? a.elbo_of_all() < b.elbo_of_all() : a.bic > b.bic;
  };
  const Score* best = nullptr;
  for (const Score& s : scores)
    if (s.failure.empty() && (!best || worse(*best, s))) best = &s;
  return best;
}

Json json_of(const Score& s) {
  Json row{{"num_components", s.components}};
  if (!s.failure.empty()) {
    row["failure"] = s.failure;
    return row;
  }
  row["passes"] = s.iterations;
  row["free_parameters"] = s.parameters;
  const auto add = [&](const char* name, double value) {
    if (!std::isnan(value)) row[name] = value;
  };
  add("elbo", s.elbo);
  if (s.labelings.formula == "ln K!") add("elbo_plus_log_factorial", s.elbo_of_all());
  add("elbo_of_all_labelings", s.elbo_of_all());
  add("rows", s.rows);
  add("log_likelihood", s.log_likelihood);
  add("aic", s.aic);
  add("bic", s.bic);
  add("icl", s.icl);
  add("held_out_log_likelihood", s.held_out);
  add("held_out_error", s.error);
  row["floored"] = s.floored;
  if (!s.start.empty()) row["start"] = s.start;
  return row;
}

/// The file is whole after every fit, so that nothing is lost where a later one is stopped.
void write_json(const Comparison& all) {
  if (all.out.empty()) return;
  Json result{{"complete", all.complete}};
  if (!all.held_out_split.empty()) result["held_out_split"] = all.held_out_split;
  if (const Score* best = best_of(all.scores)) {
    result["criterion"] = best->criterion();
    result["num_components"] = best->components;
  }
  result["scores"] = Json::array();
  for (const Score& s : all.scores) result["scores"].push_back(json_of(s));
  write_text(all.out, result.dump(2) + "\n");
}

void add(Comparison& all, Score score) {
  if (all.scores.empty()) print_header(all, score);
  print_score(score);
  all.scores.push_back(std::move(score));
  write_json(all);
}

}  // namespace

int select(const Arguments& a, const Registry& registry) {
  if (!a.count("what") || !a.count("components"))
    fail<UsageError>("select: which model and which numbers? `vem select gmm --data table.csv --components 1..8`");
  const auto [first, last] = range_of(a["components"].as<std::string>());
  Comparison all;
  if (a.count("json")) all.out = a["json"].as<std::string>();
  Splits splits;
  std::exception_ptr failure;
  std::optional<Signals> signals;
  for (int64_t k = first; k <= last && !(signals && Signals::received() != 0); ++k) {
    const RunOptions options = run_options(a, "select", registry, {fmt::format("model.num_components={}", k)});
    if (k == first) {
      if (!all.out.empty()) check_output(a, all.out, {}, input_files(a, options.data));
      a.require_all_read();
      if (options.train.sampled)
        fail<ConfigError>("select: estimate = \"gibbs\" has no bound to compare; use posterior");
      prepare(options);
      splits = as_taken(load_splits(options.data), options.model);
      all.title = fmt::format("{} on {}", options.model.name, counted(splits.train.size, "item"));
      const bool test = splits.test.size > 0;
      if (const int64_t size = test ? splits.test.size : splits.validation.size; size > 0) {
        all.held_out_split = test ? "test" : "validation";
        all.title += fmt::format(", held out: {}", counted(size, all.held_out_split + " item"));
      }
      all.row_name = splits.train.offsets.defined() ? "time steps" : "items";
      write_json(all);
      signals.emplace();
    }
    try {
      if (std::optional<Score> score = fitted(options, splits, k, *signals, registry)) add(all, std::move(*score));
    } catch (const UsageError&) {
      throw;
    } catch (const std::exception& e) {
      failure = std::current_exception();
      Score none;
      none.components = k;
      none.failure = message_of(e);
      add(all, std::move(none));
    }
  }
  const int signal = Signals::received();
  const Score* best = best_of(all.scores);
  all.complete = static_cast<int64_t>(all.scores.size()) == last - first + 1;
  write_json(all);
  if (!best && failure) std::rethrow_exception(failure);
  if (signal)
    fmt::print("stopped by {} after {}\n", signal == SIGINT ? "Ctrl-C" : "SIGTERM",
               counted(static_cast<int64_t>(all.scores.size()), "fit"));
  if (best) fmt::print("chosen by {}: model.num_components = {}\n", best->criterion(), best->components);
  return signal ? 128 + signal : 0;
}

}  // namespace vem
