// vem diagnose: whether the chains of Gibbs sampling have mixed. Every run is a chain; what is compared is the
// log-likelihood, which does not depend on the labels of components.
#include <fstream>
#include <nlohmann/json.hpp>

#include "run_directory.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/infer/mcmc.h"
#include "verbs.h"

namespace vem {
namespace {

/// The bound of every pass, from the log of a run.
std::vector<double> bounds_of(const RunDirectory& directory) {
  std::ifstream in(directory.metrics());
  std::vector<double> bounds;
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json.contains("bound") && json["bound"].is_number()) bounds.push_back(json["bound"]);
  }
  return bounds;
}

}  // namespace

int diagnose(const cxxopts::ParseResult& a, const Registry& registry) {
  if (!a.count("runs")) fail<UsageError>("diagnose: which runs? Give the folders that `vem train` made, one a chain");
  const auto burn_in = a["burn-in"].as<int64_t>(), thin = a["thin"].as<int64_t>();
  if (burn_in < 0) fail<UsageError>("--burn-in must be >= 0, got {}", burn_in);
  if (thin < 1) fail<UsageError>("--thin must be >= 1, got {}", thin);
  std::vector<std::vector<double>> chains;
  size_t shortest = std::numeric_limits<size_t>::max();
  for (const std::string& path : a["runs"].as<std::vector<std::string>>()) {
    const LoadedRun run = load_run(path, registry, "last");
    if (!run.model->sampled())
      fail<UsageError>("{}: is no chain of draws; train with --set 'model.estimate=\"gibbs\"'", path);
    chains.push_back(bounds_of(run.directory));
    shortest = std::min(shortest, chains.back().size());
  }
  const auto begin = static_cast<int64_t>(burn_in), end = static_cast<int64_t>(shortest);
  if (end - begin < 4 * thin)
    fail<DataError>("diagnose: the shortest chain has {}; 4 or more have to be left after --burn-in and --thin",
                    counted(end, "draw"));
  std::vector<Tensor> kept;
  for (const auto& chain : chains) kept.push_back(at::tensor(chain, at::kDouble).slice(0, begin, end, thin));
  const Tensor draws = at::stack(kept);
  fmt::print("{} of {} after {} of burn-in: log-likelihood per item {:.4f} +- {:.4f}\n",
             counted(draws.size(0), "chain"), counted(draws.size(1), "draw"), begin, draws.mean().item<double>(),
             draws.std().item<double>());
  fmt::print("  {:<28}{:10.4f}  at most 1.01 once chains have mixed\n", "split R-hat", split_r_hat(draws));
  fmt::print("  {:<28}{:10.0f}\n", "effective sample size", effective_sample_size(draws));
  return 0;
}

}  // namespace vem
