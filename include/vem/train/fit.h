// The one loop: E-step, reduce, bound, M-step. Full batch, chunks, stochastic, memoised, amortised and mixed.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/train/callback.h"
#include "vem/train/communicator.h"

namespace vem {

struct FitOptions final : Options {
  enum class Acceleration { none, squarem };
  int64_t epochs = 100;                            ///< passes over the data at most
  int64_t batch_size = 0;                          ///< items; 0: all
  int64_t update_every = 1;                        ///< batches an M-step; 0: a pass
  bool shuffle = true;                             ///< a new order each epoch
  bool memoised = false;                           ///< keep each batch's sums and replace them
  Choice rho{"schedule", "power", nullptr};        ///< step size of stochastic conjugate updates
  bool moves = false;                              ///< full batch: try the model's moves whenever it has converged
  int64_t move_passes = 5;                         ///< passes after a move before bounds are compared
  Acceleration acceleration = Acceleration::none;  ///< full batch: extrapolations that are kept if the bound has risen
  int64_t burn_in = 100, thin = 1;  ///< sampling: passes before the first draw that is kept, and between two
  double tolerance = 1e-6;          ///< nats per item; full passes stop when the bound rises less
  int64_t patience = 0;             ///< epochs without a better validation bound before stopping; 0: never
  double max_minutes = 0;           ///< 0: no limit
  uint64_t seed = 0;                ///< set by the caller, not visited here

  /// Which regimes the model brings; set by the caller from ModelOptions, so that options without effect are refused.
  bool has_conjugate = true, has_gradient = true, has_validation = true, sampled = false;

  void visit(OptionVisitor& v) override;
};

/// What a fit takes beside the model, its data and the options.
struct FitContext {
  const Registry& registry;
  const Dataset* validation = nullptr;
  Communicator* communicator = nullptr;  ///< null: one process
  std::vector<Callback*> callbacks{};
  const TensorMap* resume = nullptr;  ///< the "trainer/" entries of a checkpoint; the model is loaded already
  std::string resume_from = "fit: the checkpoint";  ///< what messages about `resume` call it: a path
};

struct FitResult {
  std::string reason;        ///< why it stopped, in words
  bool interrupted = false;  ///< by a callback: the run can go on
  int64_t epoch = 0, iteration = 0;
  std::map<std::string, int64_t> kept;  ///< moves and extrapolations by name: how often they were kept
  /// Total bound, kl_global taken off: of closed-form models before every M-step (scaled to the data set), else one a
  /// pass. A pass whose extrapolation was not kept has no M-step.
  std::vector<double> bounds;
  std::vector<double>
      after;        ///< entropy + gain just after every exact M-step of a closed-form model; the memoised bound
  TensorMap state;  ///< "trainer/" entries: what a resume needs beside Model::state()
};

/// Fits `model` to `train`. A fit that resumes equals one that was never stopped, bit for bit.
/// Throws NumericError that names iteration and term if a bound or a sum goes non-finite, and DataError for a state to
/// resume from that does not fit the model, the data or the options.
FitResult fit(Model& model, const Dataset& train, const FitOptions& options, const FitContext& context);

/// Sums of an evaluation pass in batches: bound, count and metrics, every weight 1, without touching training streams.
Expectation evaluate(const Model& model, const Dataset& data, int64_t batch_size, uint64_t seed);

}  // namespace vem
