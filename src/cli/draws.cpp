// Draws as lines of JSON, and back as tensors.
#include "draws.h"

#include <sstream>

#include "metrics_log.h"
#include "text.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/infer/clustering.h"
#include "vem/infer/mcmc.h"
#include "vem/train/parameters.h"

namespace vem {
namespace {

constexpr const char* kParameters = "component_parameters";
constexpr const char* kAllocation = "allocation_parameters";
constexpr const char* kResponsibilities = "responsibilities";
constexpr const char* kRowsEntry = "rows";
constexpr const char* kAssignments = "assignments";

Convergence convergence(std::string name, const Tensor& chains) {
  return {std::move(name), chains.mean().item<double>(), chains.std().item<double>(), split_r_hat(chains),
          effective_sample_size(chains)};
}

/// One line of the file.
struct Draw {
  double log_likelihood;
  NamedTensors parameters;
  int64_t rows;        // what tells them from others; 0 in files of earlier versions, which have no assignments
  Tensor assignments;  // [R] int64
};

/// Throws DataError unless parameters are lists of one entry a component, and assignments name such components.
void check_draw(const Draw& draw) {
  for (const auto& [name, values] : draw.parameters)
    if (values.dim() == 0 || values.numel() == 0 || values.size(0) != draw.parameters[0].second.size(0))
      fail<DataError>("{} is no list of one entry a component", name);
  const Tensor& z = draw.assignments;
  if (!z.defined()) return;
  const int64_t K = draw.parameters.empty() ? 0 : draw.parameters[0].second.size(0);
  if (z.dim() != 1 || z.numel() == 0 || z.lt(0).any().item<bool>() || z.ge(K).any().item<bool>())
    fail<DataError>("{} are no list of components from 0 to {}", kAssignments, K - 1);
}

const Tensor& scalar_of(const std::pair<std::string, Tensor>& entry) {
  if (entry.second.dim() > 0) fail<DataError>("{} is no number", entry.first);
  return entry.second;
}

Draw draw_of(const std::string& path, const std::string& line) {
  try {
    NamedTensors entries = tensors_from_json(line);
    if (entries.size() < 2 || entries[1].first != "bound") fail<DataError>("epoch and bound come first");
    Draw draw{scalar_of(entries[1]).item<double>(), {}, 0, {}};
    for (auto entry = entries.begin() + 2; entry != entries.end(); ++entry)
      if (entry->first == kRowsEntry)
        draw.rows = scalar_of(*entry).to(at::kLong).item<int64_t>();
      else if (entry->first == kAssignments)
        draw.assignments = entry->second.to(at::kLong);
      else
        draw.parameters.push_back(*entry);
    check_draw(draw);
    return draw;
  } catch (const DataError& e) {
    fail<DataError>("{}: holds a line that is no draw: {}: {}", path, line.substr(0, 60), e.what());
  }
}

std::vector<Draw> read_draws(const std::string& path, int64_t skip, int64_t thin) {
  std::ifstream in(path);
  if (!in) fail<MissingInputError>("{}: there are no draws; train with --set model.estimate=gibbs", path);
  std::vector<Draw> draws;
  int64_t i = 0;
  for (std::string line; std::getline(in, line); ++i)
    if (i >= skip && (i - skip) % thin == 0) draws.push_back(draw_of(path, line));
  if (draws.size() < 4)
    fail<DataError>("{}: {} kept of {}; 4 or more are needed", path,
                    counted(static_cast<int64_t>(draws.size()), "draw"), i);
  return draws;
}

/// Throws DataError unless a draw of `path` has what the first draw of `first_path` has.
void expect_like(const Draw& draw, const std::string& path, const Draw& first, const std::string& first_path) {
  if (draw.parameters.size() != first.parameters.size())
    fail<DataError>("{}: its draws have other parameters than those of {}", path, first_path);
  for (size_t p = 0; p < draw.parameters.size(); ++p) {
    const auto& [name, values] = draw.parameters[p];
    if (name != first.parameters[p].first)
      fail<DataError>("{}: its draws have {} where those of {} have {}", path, name, first_path,
                      first.parameters[p].first);
    if (values.sizes() != first.parameters[p].second.sizes())
      fail<DataError>("{}: {} have another shape than in {}", path, name, first_path);
  }
  const bool same_rows = draw.assignments.defined() && first.assignments.defined() && draw.rows == first.rows;
  if (same_rows && draw.assignments.sizes() != first.assignments.sizes())
    fail<DataError>("{}: {} are of other rows than in {}", path, kAssignments, first_path);
}

/// What the allocation has of each of `num_components` components: how chains begin and go on, how long they stay.
void add_allocation(const std::vector<Method>& methods, int64_t num_components, NamedTensors& line) {
  const Method* method = Model::find(methods, kAllocation);
  if (!method) return;
  const std::vector<Tensor> values = method->call({}, Rng(0));
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i].dim() > 0 && values[i].size(0) == num_components) line.emplace_back(method->outputs[i], values[i]);
}

/// Components of values [S, K, ...] in the order [S, K]; a square matrix of transitions also along its last axis.
Tensor reordered(const std::string& name, const Tensor& values, const Tensor& order) {
  const auto along = [&](const Tensor& x, int64_t dim) {
    Shape shape(static_cast<size_t>(x.dim()), 1), full = x.sizes().vec();
    shape[0] = x.size(0);
    shape[static_cast<size_t>(dim)] = order.size(1);
    return x.gather(dim, order.view(shape).expand(full));
  };
  const Tensor first = along(values, 1);
  return from_component_to_component(name) ? along(first, 2) : first;
}

}  // namespace

bool from_component_to_component(const std::string& parameter) { return parameter.rfind("transition", 0) == 0; }

void DrawsLog::on_start(const Model& model, int64_t, int64_t) {
  const auto methods = model.methods();
  if (Model::find(methods, kParameters) && Model::find(methods, kResponsibilities))
    rows_.emplace(splits_, model.dtype());
  std::ostringstream old;
  if (epochs_done_ > 0) old << std::ifstream(path_).rdbuf();
  write_text(path_, lines_of_epochs(old.str(), epochs_done_));
  out_.open(path_, std::ios::app);
}

bool DrawsLog::on_epoch(const Model& model, const EpochReport& r, const std::function<TensorMap()>&) {
  if (r.epoch <= burn_in_ || (r.epoch - burn_in_) % thin_ != 0) return true;
  NamedTensors line{{"epoch", at::scalar_tensor(r.epoch, at::kLong)},
                    {"bound", at::scalar_tensor(r.bound, at::kDouble)}};
  const auto methods = model.methods();
  if (const Method* method = Model::find(methods, kParameters)) {
    const std::vector<Tensor> values = method->call({}, Rng(0));
    const Tensor components =
        rows_ ? rows_->components(*Model::find(methods, kResponsibilities), values[0].size(0)) : Tensor();
    if (components.defined()) {
      line.emplace_back(kRowsEntry, at::scalar_tensor(rows_->id(), at::kLong));
      line.emplace_back(kAssignments, components);
    }
    for (size_t i = 0; i < values.size(); ++i) line.emplace_back(method->outputs[i], values[i]);
    add_allocation(methods, values[0].size(0), line);
  }
  out_ << tensors_json(line) << std::endl;
  if (!out_) fail<OutputError>("{}: can not be written; is the disk full?", path_);
  return true;
}

Chains read_chains(const std::vector<std::string>& paths, int64_t skip, int64_t thin) {
  std::vector<std::vector<Draw>> runs;
  size_t shortest = std::numeric_limits<size_t>::max();
  for (const std::string& path : paths) {
    runs.push_back(read_draws(path, skip, thin));
    shortest = std::min(shortest, runs.back().size());
  }
  Chains chains;
  std::vector<double> log_likelihood;
  std::vector<std::vector<Tensor>> values;
  std::vector<Tensor> assignments;
  for (size_t run = 0; run < runs.size(); ++run)
    for (size_t i = 0; i < shortest; ++i) {
      const Draw& draw = runs[run][i];
      log_likelihood.push_back(draw.log_likelihood);
      expect_like(draw, paths[run], runs[0][0], paths[0]);
      if (draw.assignments.defined() && draw.rows == runs[0][0].rows) assignments.push_back(draw.assignments);
      values.resize(draw.parameters.size());
      chains.parameters.resize(draw.parameters.size());
      for (size_t p = 0; p < values.size(); ++p) {
        chains.parameters[p] = draw.parameters[p].first;
        values[p].push_back(draw.parameters[p].second);
      }
    }
  const auto M = static_cast<int64_t>(runs.size());
  chains.log_likelihood = at::tensor(log_likelihood, at::kDouble).view({M, -1});
  for (const auto& draws : values) chains.values.push_back(at::stack(draws));
  if (assignments.size() == log_likelihood.size()) chains.assignments = at::stack(assignments);
  return chains;
}

std::vector<Convergence> invariants(const Chains& chains) {
  std::vector<Convergence> all{convergence("log-likelihood per item", chains.log_likelihood)};
  for (size_t p = 0; p < chains.parameters.size(); ++p) {
    if (chains.parameters[p] != "weights") continue;
    const Tensor w = chains.values[p].view({chains.log_likelihood.size(0), -1, chains.values[p].size(1)});
    if (w.size(2) < 2) continue;
    all.push_back(convergence("largest weight", w.amax(-1)));
    all.push_back(convergence("entropy of the weights", -at::xlogy(w, w).sum(-1)));
  }
  return all;
}

Convergence agreement(const Chains& chains) {
  const Tensor& z = chains.assignments;
  const Tensor reference = z[chains.log_likelihood.flatten().argmax()], index = at::empty({z.size(0)}, at::kDouble);
  for (int64_t s = 0; s < z.size(0); ++s) index[s] = clustering_scores(z[s], reference).rand_index;
  return convergence("Rand index with likeliest draw", index.view_as(chains.log_likelihood));
}

PosteriorSummary posterior_of(const Chains& chains) {
  const auto pivot = chains.log_likelihood.flatten().argmax().item<int64_t>();
  std::vector<Tensor> flat;
  for (size_t p = 0; p < chains.values.size(); ++p)
    if (!from_component_to_component(chains.parameters[p]))
      flat.push_back(chains.values[p].reshape({chains.values[p].size(0), chains.values[p].size(1), -1}));
  const Tensor parameters = at::cat(flat, 2);
  const Tensor order = chains.assignments.defined()
                           ? aligned_by_assignments(chains.assignments, parameters.size(1), pivot)
                           : aligned(parameters, pivot);
  PosteriorSummary posterior;
  for (size_t p = 0; p < chains.parameters.size(); ++p) {
    const Tensor values = reordered(chains.parameters[p], chains.values[p], order);
    posterior.mean.push_back(values.mean(0));
    posterior.deviation.push_back(values.std(0));
    const Tensor scalars = values.reshape({chains.log_likelihood.size(0), -1, posterior.mean.back().numel()});
    for (int64_t i = 0; i < scalars.size(2); ++i) {
      const int64_t k = i / (scalars.size(2) / values.size(1));
      const Convergence c =
          convergence(fmt::format("{} of component {}", chains.parameters[p], k), scalars.select(2, i));
      if (posterior.worst.name.empty() || c.r_hat > posterior.worst.r_hat) posterior.worst = c;
    }
  }
  return posterior;
}

}  // namespace vem
