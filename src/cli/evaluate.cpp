// vem evaluate: the bound, and the log-likelihood where the model has it, exact or by importance sampling. What is
// printed is also in evaluation.json: first "items" (in words), "source", "split" (train, validation, test, or all of
// another file), "num_items", "checkpoint" and "seed", then the numbers, in nats per item; "<name>_error" is a standard
// error. Of importance sampling: "nll_upper_bound", "samples", "effective_samples", "pareto_k" and, where it was asked
// for, "importance_bound" of "bound_samples".
#include "factors.h"
#include "text.h"
#include "topics.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/core/names.h"
#include "vem/data/writers.h"
#include "vem/infer/clustering.h"
#include "verbs.h"

namespace vem {
namespace {

constexpr int64_t kBoundBatch = 500;  // items of a pass for the bound
constexpr size_t kShown = 20;         // numbers of a line

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
  result[name + "_per_step"] = number_of_json(total / steps);
  print_row(fmt::format("{} per time step", name == "log_likelihood" ? "log-likelihood" : name), total / steps);
}

/// What a number is that models log beside the bound, in a few words.
std::string remark_on(const std::string& metric) {
  static const std::map<std::string, std::string> remarks{
      {"active_units", "dimensions of z whose mean given x varies by more than 0.01"},
      {"kl", "KL(q(z | x) || p(z)), of a mixture that of z and its component"},
      {"log_px", "E[log p(x | z)]"},
      {"accuracy", "of q(class | x), where the class is known; the bound of such an item is on log p(x, class)"}};
  const auto it = remarks.find(metric.substr(0, metric.find('.')));  // "kl.z2" is that of one of several groups
  return it == remarks.end() ? "" : it->second;
}

/// The bound per item and its parts; where the parameters have a distribution of their own, also the bound of the set.
Json print_bound(const Model& model, const Dataset& data, uint64_t seed) {
  const Expectation total = evaluate(model, data, kBoundBatch, seed);
  const double bound = (total.bound / total.count).item<double>(), kl = model.kl_global().item<double>();
  Json result{{"bound", number_of_json(bound)}};
  print_row("bound", bound);
  print_per_step(result, "bound", total.bound.item<double>(), data);
  if (kl != 0) {
    result["kl_global"] = kl;
    result["total_bound"] = number_of_json(total.bound.item<double>() - kl);
    print_row("bound of the whole set", total.bound.item<double>() - kl,
              fmt::format("in nats, {:.4f} for the parameters taken off", kl));
  }
  for (const auto& [name, values] : model.report(total)) {
    if (values.size() == 1) {
      const bool tiny = values[0] != 0 && std::abs(values[0]) < 5e-5;
      print_row(name, values[0], tiny ? fmt::format("({:.2g})", values[0]) : remark_on(name));
      result[name] = values[0];
    } else {  // one number a dimension
      const size_t shown = std::min(values.size(), kShown);
      fmt::print("  {:<32}{:.2f}{}\n", name, fmt::join(values.begin(), values.begin() + shown, " "),
                 shown < values.size() ? fmt::format(" ... ({} in evaluation.json)", values.size()) : "");
      result[name] = values;
    }
  }
  return result;
}

/// Of items that the model gives a probability: the others have made the mean -infinity, which says no more.
Json print_possible(const Tensor& values, const Dataset& data) {
  const Tensor places = values.ne(-kInfinity).nonzero().view({-1});
  if (places.numel() == 0) return Json::object();
  const Dataset others = data.subset(places);
  const Tensor own = values.index_select(0, places), total = others.weight.defined() ? own * others.weight : own;
  const Estimated mean(own);
  print_row("log-likelihood of the others", mean, "mean over " + counted(others.size, "possible item"));
  Json result{{"log_likelihood_of_others", mean.mean}, {"log_likelihood_of_others_error", number_of_json(mean.error)}};
  if (const double steps = num_steps(others); steps > 0) {
    result["log_likelihood_of_others_per_step"] = total.sum().item<double>() / steps;
    print_row("the same per time step", total.sum().item<double>() / steps);
  }
  return result;
}

Json print_exact(const std::vector<Method>& methods, const Model& model, const Tensor& values, const Dataset& data) {
  const Estimated exact(values);
  const int64_t impossible = values.eq(-kInfinity).sum().item<int64_t>();
  const std::string remark =
      impossible == 0 ? ""
                      : fmt::format("{} of {} impossible (probability 0): {}", grouped(impossible),
                                    counted(data.size, "item"), first_impossible(methods, model, data, values));
  print_row("log-likelihood", exact, remark);
  Json result{{"log_likelihood", number_of_json(exact.mean)}, {"log_likelihood_error", number_of_json(exact.error)}};
  const Tensor total = data.weight.defined() ? values * data.weight : values;
  if (impossible == 0) {
    print_per_step(result, "log_likelihood", total.sum().item<double>(), data);
    return result;
  }
  result["impossible_items"] = impossible;
  result.update(print_possible(values, data));
  fmt::print(
      "  A maximum of the likelihood gives what was not seen in training probability 0, as it does numbers so far off "
      "that their density is beyond the range of numbers; model.estimate = \"posterior\", or \"map\" with priors above "
      "their defaults, does not.\n");
  return result;
}

constexpr double kCollapsed = 0.05;  // nats an item: less than that and x might as well be any other

/// In plain words, where q(z | x) is the prior whatever x is.
void warn_of_collapse(const Json& result) {
  if (!result.contains("active_units") || !result.contains("kl")) return;
  const double kl = result.at("kl").get<double>(), active = result.at("active_units").get<double>();
  if (kl > kCollapsed && active > 0) return;
  fmt::print(stderr,
             "vem: warning: the posterior has collapsed: z carries {:.3f} nats about an item, and {} of its dimensions "
             "vary with it, so the decoder works without z. A KL weight that rises from 0 "
             "(model.objective.kl_weight), free bits (model.objective.free_bits) or a weaker decoder may help.\n",
             kl, active > 0 ? fmt::format("{:.0f}", active) : "none");
}

/// How well components or paths agree with the classes of the data.
Json print_clusters(const Method& predict, const Model& model, const Dataset& data, uint64_t seed) {
  Tensor clusters = map_items(predict, model, data, seed)[0];
  const Tensor classes = data.columns.at("label").view({-1});
  if (clusters.numel() != classes.numel() || !(classes >= 0).any().item<bool>()) return Json::object();
  // Rows that no component explains are a cluster of their own.
  clusters = at::where(clusters < 0, clusters.max() + 1, clusters);
  const ClusteringScores scores = clustering_scores(clusters.view({-1}), classes.to(at::kLong));
  print_row("clustering accuracy", scores.accuracy, "of components matched with classes, one to one");
  print_row("mutual information", scores.mutual_information, "of components and classes, normalised (NMI)");
  print_row("adjusted Rand index", scores.rand_index);
  return {{"clustering_accuracy", scores.accuracy},
          {"normalized_mutual_information", scores.mutual_information},
          {"adjusted_rand_index", scores.rand_index}};
}

/// The run of --against; `ours` is what the items of this one look like.
LoadedRun load_other_run(const std::string& path, const Registry& registry, const Schema& ours) {
  LoadedRun other = load_run(path, registry, "", at::get_num_threads());
  const auto methods = other.model->methods();
  if (!Model::find(methods, "log_prob") && !Model::find(methods, "importance"))
    fail<UsageError>("--against {}: {} has no log-likelihood of an item", path, other.options.model.name);
  const Schema& theirs = other.checkpoint.schema;
  if (theirs.item_shape != ours.item_shape || theirs.feature_names != ours.feature_names)
    fail<DataError>("--against {}: that run's items have shape [{}] and these [{}]; the same columns are expected",
                    path, fmt::join(theirs.item_shape, ", "), fmt::join(ours.item_shape, ", "));
  return other;
}

/// The difference of two runs on the same items, whose noise the items share.
Json print_difference(const LoadedRun& other, const Tensor& ours, const Dataset& data, int64_t samples, uint64_t seed) {
  const std::string path = one_line(other.directory.path());
  const Tensor values = log_likelihood(other.model->methods(), *other.model, data, samples, seed);
  const Tensor possible = ours.isfinite().logical_and(values.isfinite()).nonzero().view({-1});
  if (possible.numel() == 0) fail<DataError>("--against {}: no item is possible under both models", path);
  const Tensor differences = (ours - values).index_select(0, possible);
  const Estimated difference(differences);
  const double higher = (differences > 0).to(at::kDouble).mean().item<double>();
  const std::string over = possible.numel() == ours.numel()
                               ? ""
                               : fmt::format(", over the {} possible under both", counted(possible.numel(), "item"));
  print_row("log-likelihood less the other's", difference,
            fmt::format("paired, {} ({} checkpoint; {:.0f} % of items higher){}", path, other.checkpoint_name,
                        100 * higher, over));
  return {{"against", path},
          {"difference", difference.mean},
          {"difference_error", number_of_json(difference.error)},
          {"difference_items", possible.numel()}};
}

/// What `vem evaluate` is asked for beside its run and its items; 0 and "" are not asked for.
struct Requests {
  int64_t samples, bound_samples, temperatures, gap_steps;
  std::string factors, against, held_out;
};

/// A number >= `least`.
int64_t number_of(const Arguments& a, const char* option, int64_t least) {
  const auto number = a[option].as<int64_t>();
  if (number < least) fail<UsageError>("--{} must be >= {}, got {}", option, least, number);
  return number;
}

Requests requests_of(const Arguments& a) {
  const auto word = [&](const char* name) { return a.count(name) ? a[name].as<std::string>() : ""; };
  const Requests requests{number_of(a, "samples", 1),
                          number_of(a, "bound-samples", 0),
                          number_of(a, "annealing", 0),
                          number_of(a, "gaps", 0),
                          word("factors"),
                          word("against"),
                          word("held-out")};
  if (requests.bound_samples > requests.samples)
    fail<UsageError>("--bound-samples must be <= --samples = {}, got {}", requests.samples, requests.bound_samples);
  return requests;
}

/// Refuses what this kind of model can not answer.
void check_requests(const Arguments& a, const std::vector<Method>& methods, const std::string& kind) {
  const auto need = [&](const char* option, std::initializer_list<const char*> names, const std::string& why) {
    const auto has = [&](const char* name) { return Model::find(methods, name) != nullptr; };
    if (std::none_of(names.begin(), names.end(), has)) a.refuse(option, kind + " " + why);
  };
  need("annealing", {"annealed"}, "has no 'annealed'");
  need("gaps", {"bounds"}, "has no encoder");
  need("factors", {"encode"}, "has no 'encode'");
  need("held-out", {"completion"}, "has no 'completion'");
  need("bound-samples", {"importance"}, "has no importance samples");
  need("against", {"log_prob", "importance"}, "has no log-likelihood of an item");
  if (!a.count("against")) need("samples", {"importance"}, "has no importance samples");
}

}  // namespace

int evaluate(const Arguments& a, const Registry& registry) {
  const Requests requests = requests_of(a);
  const LoadedRun run = load_run(a, registry);
  const Model& model = *run.model;
  const auto seed = a["seed"].as<uint64_t>();
  const auto methods = model.methods();
  const auto find = [&](const char* name) { return Model::find(methods, name); };
  const std::string& kind = run.options.model.name;
  check_requests(a, methods, kind);
  const Items items = load_items(a, run);
  const Dataset& data = items.data;
  std::optional<LoadedRun> other;
  if (!requests.against.empty()) other = load_other_run(requests.against, registry, data.schema);
  const Factors factors = requests.factors.empty() ? Factors() : read_factors(requests.factors, items);

  Json result{{"items", items.name},    {"source", data.schema.source},      {"split", items.split},
              {"num_items", data.size}, {"checkpoint", run.checkpoint_name}, {"seed", seed}};
  fmt::print("{} ({} checkpoint) on {}, in nats per item\n", kind, run.checkpoint_name, items.name);
  if (data.binarize != Binarize::none) {
    fmt::print("  binarised once with seed {}\n", data.binarize_seed);
    result["binarize_seed"] = data.binarize_seed;
  }
  result.update(print_bound(model, data, seed));
  warn_of_collapse(result);
  Tensor log_likelihoods;
  if (find("log_prob")) {
    log_likelihoods = log_likelihood(methods, model, data, requests.samples, seed);
    result.update(print_exact(methods, model, log_likelihoods, data));
  }
  if (const Method* method = find("importance")) {
    Json estimate;
    std::tie(estimate, log_likelihoods) =
        print_importance(*method, model, data, {requests.samples, requests.bound_samples}, seed);
    result.update(estimate);
    if (requests.temperatures > 0) result.update(print_annealed(methods, model, data, requests.temperatures, seed));
    if (requests.gap_steps > 0)
      result.update(print_gaps(*find("bounds"), model, data, requests.gap_steps, requests.samples, seed));
  }
  if (const Method* method = find("aggregate")) result.update(print_aggregate(*method, model, data, seed));
  if (const Method* method = find("completion")) {
    result.update(print_completion(*method, run, data, requests.held_out, seed));
    if (find("topics")) result.update(print_topic_quality(model, data));
  }
  if (const Method* method = find("predict"); method && data.columns.count("label"))
    result.update(print_clusters(*method, model, data, seed));
  if (!requests.factors.empty()) result.update(print_disentanglement(*find("encode"), model, data, factors, seed));
  if (other) result.update(print_difference(*other, log_likelihoods, data, requests.samples, seed));
  write_text(run.directory.file("evaluation.json"), result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  return 0;
}

}  // namespace vem
