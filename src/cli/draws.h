// draws.jsonl: the draws of a Gibbs sampler, one JSON object a line, and what is said about them.
#pragma once

#include <fstream>
#include <optional>

#include "row_sample.h"
#include "vem/train/callback.h"

namespace vem {

/// Writes a line for every `thin`-th pass after `burn_in`: the pass ("epoch"), the log-likelihood per item at the
/// parameters that the pass began with ("bound"), the most probable component of some rows ("assignments") with a
/// number that tells these rows from others ("rows"), and what component_parameters and allocation_parameters give for
/// each component of the parameters that it has drawn.
class DrawsLog final : public Callback {
 public:
  /// A run that resumes after `epochs_done` keeps the lines of those passes; 0 begins a new file.
  DrawsLog(std::string path, int64_t epochs_done, int64_t burn_in, int64_t thin, const Splits& splits)
      : path_(std::move(path)), epochs_done_(epochs_done), burn_in_(burn_in), thin_(thin), splits_(splits) {}
  /// Throws OutputError, as every line that can not be written does.
  void on_start(const Model& model, int64_t num_epochs, int64_t batches) override;
  bool on_epoch(const Model& model, const EpochReport& report, const std::function<TensorMap()>& state) override;

 private:
  std::string path_;
  int64_t epochs_done_, burn_in_, thin_;
  const Splits& splits_;
  std::optional<RowSample> rows_;  // none of a model without components
  std::ofstream out_;
};

/// The draws of several chains of one length n.
struct Chains {
  Tensor log_likelihood;                ///< [M, n], per item
  std::vector<std::string> parameters;  ///< names of component_parameters; empty for a model without components
  std::vector<Tensor> values;           ///< of each: [M n, K, ...], chain after chain
  Tensor assignments;  ///< [M n, R] int64: the component of some rows; undefined where draws have none of the same rows
};
/// Reads the draws of runs, one chain each, without the first `skip` and of the others every `thin`-th. Chains are cut
/// to the shortest. Throws MissingInputError, and DataError if fewer than 4 draws are left or chains have different K.
Chains read_chains(const std::vector<std::string>& paths, int64_t skip, int64_t thin);

/// One scalar of a draw: its posterior mean and standard deviation over all chains, and whether these have mixed.
struct Convergence {
  std::string name;
  double mean, deviation, r_hat, effective;
};
/// Whether a parameter is a square matrix, such as transition probabilities: both of its axes are components.
bool from_component_to_component(const std::string& parameter);
/// Of quantities that do not depend on the order of components.
std::vector<Convergence> invariants(const Chains& chains);

/// How well the components of rows agree with those in the most probable draw, by the adjusted Rand index. It does not
/// depend on labels either: where chains differ in it, no order of components makes them alike.
Convergence agreement(const Chains& chains);

/// Posterior means and standard deviations of the parameters, components of all draws in one order: by the assignments
/// of rows or, where draws have none, by the parameters.
struct PosteriorSummary {
  std::vector<Tensor> mean, deviation;  ///< [K, ...], in the order of Chains::parameters
  Convergence worst;                    ///< the one with the largest split R-hat
};
PosteriorSummary posterior_of(const Chains& chains);

}  // namespace vem
