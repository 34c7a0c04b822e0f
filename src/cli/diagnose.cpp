// vem diagnose: what the draws of Gibbs sampling say. Every run is a chain: whether they have mixed, by quantities that
// do not depend on the labels of components, and posterior means and standard deviations of the parameters, components
// of all draws put into one order.
#include <nlohmann/json.hpp>

#include "draws.h"
#include "inputs.h"
#include "output_file.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/train/parameters.h"
#include "verbs.h"

namespace vem {
namespace {

using Json = nlohmann::ordered_json;

void print_convergence(const Convergence& c) {
  const auto number = [](double value, int digits) {
    return std::isnan(value) ? std::string("-") : fmt::format("{:.{}f}", value, digits);
  };
  fmt::print("  {:<32}{:>12.5g}{:>12.4g}{:>14}{:>12}\n", c.name, c.mean, c.deviation, number(c.r_hat, 4),
             number(c.effective, 0));
}

Json json_of(const Convergence& c) {
  Json row{{"name", c.name}, {"mean", c.mean}, {"deviation", c.deviation}};
  if (std::isfinite(c.r_hat)) row["split_r_hat"] = c.r_hat;
  if (std::isfinite(c.effective)) row["effective_sample_size"] = c.effective;
  return row;
}

constexpr double kDiffer = 1.1;  // split R-hat of the agreement about rows

/// Chains that part the rows in different ways are at different modes, and a mean over both describes neither.
void warn_of_other_partitions(const Convergence& rows) {
  if (!(rows.r_hat > kDiffer)) return;
  fmt::print(stderr,
             "vem: warning: the draws part the rows in ways that no order of components makes alike (adjusted Rand "
             "index with the likeliest draw {:.3f} +- {:.3f}, split R-hat {:.4g}): posterior means are over several "
             "modes. More passes, or fewer components, may help\n",
             rows.mean, rows.deviation, rows.r_hat);
}

/// Prints means and standard deviations of every parameter, and returns them.
Json print_posterior(const Chains& chains, const PosteriorSummary& posterior, const std::vector<std::string>& columns) {
  NamedTensors mean, deviation;
  for (size_t p = 0; p < chains.parameters.size(); ++p) {
    const std::string& name = chains.parameters[p];
    const auto& header = from_component_to_component(name) ? std::vector<std::string>() : columns;
    print_tensor(name + ", posterior mean", posterior.mean[p], header);
    print_tensor(name + ", posterior standard deviation", posterior.deviation[p], header);
    mean.emplace_back(name, posterior.mean[p]);
    deviation.emplace_back(name, posterior.deviation[p]);
  }
  return {{"mean", Json::parse(tensors_json(mean))}, {"deviation", Json::parse(tensors_json(deviation))}};
}

}  // namespace

int diagnose(const Arguments& a, const Registry& registry) {
  if (!a.count("runs")) fail<UsageError>("diagnose: which runs? Give the folders that `vem train` made, one a chain");
  const auto skip = a["skip"].as<int64_t>(), thin = a["thin"].as<int64_t>();
  if (skip < 0) fail<UsageError>("--skip must be >= 0, got {}", skip);
  if (thin < 1) fail<UsageError>("--thin must be >= 1, got {}", thin);
  const auto runs = a["runs"].as<std::vector<std::string>>();
  const std::string json = a.count("json") ? a["json"].as<std::string>() : "";
  if (!json.empty()) check_output(a, json, {}, {});
  const std::optional<int64_t> threads = threads_of(a);
  a.require_all_read();
  const at::NoGradGuard no_grad;
  std::vector<std::string> paths, columns;
  for (const std::string& path : runs) {
    const LoadedRun run = load_run(path, registry, "last", threads);
    if (!run.model->sampled())
      fail<UsageError>("{}: is no chain of draws; train with --set 'model.estimate=\"gibbs\"'", path);
    paths.push_back(run.directory.draws());
    columns = run.checkpoint.schema.feature_names;
  }
  const Chains chains = read_chains(paths, skip, thin);
  fmt::print("{} of {}\n  {:<32}{:>12}{:>12}{:>14}{:>12}\n", counted(chains.log_likelihood.size(0), "chain"),
             counted(chains.log_likelihood.size(1), "draw"), "", "mean", "deviation", "split R-hat", "effective");
  Json result{{"chains", chains.log_likelihood.size(0)}, {"draws", chains.log_likelihood.size(1)}};
  for (const Convergence& c : invariants(chains)) {
    print_convergence(c);
    result["invariants"].push_back(json_of(c));
  }
  if (!chains.parameters.empty()) {
    if (chains.assignments.defined()) {
      const Convergence rows = agreement(chains);
      print_convergence(rows);
      result["rows"] = json_of(rows);
      result["rows"]["differ"] = rows.r_hat > kDiffer;
      warn_of_other_partitions(rows);
    }
    const PosteriorSummary posterior = posterior_of(chains);
    print_convergence(posterior.worst);
    fmt::print(
        "  the last line is the parameter with the largest R-hat; chains have mixed where it is below 1.01 or so\n{}",
        chains.assignments.defined() ? "  components of all draws are paired by the rows that they explain\n"
                                     : "  components of all draws are paired by their parameters: the draws have no "
                                       "assignments of the same rows\n");
    result["posterior"] = print_posterior(chains, posterior, columns);
    result["worst"] = json_of(posterior.worst);
  }
  if (!json.empty()) write_text(json, result.dump(1) + "\n");
  return 0;
}

}  // namespace vem
