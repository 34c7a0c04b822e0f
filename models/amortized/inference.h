// Inference in an amortised model: draws from q, the trace that an objective sees, and the backward passes. An E-step
// has two graphs that meet in leaf copies of the draws and of the parameters of q: the sampling graph, in which draws
// are functions of networks' weights, and the graph of densities. One backward pass over each gives every gradient,
// whatever the number of groups: what the densities send to the leaves goes into the sampling graph all at once.
// Legend: S samples, R rows, B items, L dimensions of a group, P numbers of its q.
#pragma once

#include "latent_graph.h"

namespace vem {

/// A group's part of the sampling graph, or leaf copies of it.
struct Draw {
  Tensor parameters;  ///< of q: [R, P], or [S, R, P] where q reads draws
  Tensor z0;          ///< [S, R, L]: what q's own distribution gives; undefined where the latent is known
  Tensor known{};     ///< [R, L]: its value there
};

/// An objective at draws, and what it sends to the sampling graph.
struct Pass {
  std::unique_ptr<World> density;  // outlives the trace, which reads its batch
  TensorMap classes;               ///< parameters of q of groups that are known
  TensorMap log_known;  ///< log p [B] of the values of groups that are known: a part of log p(x, what is known)
  Trace trace;
  ObjectiveValue value;
  std::vector<Tensor> outputs, gradients;  ///< of the sampling graph, and what networks ascend there
  TensorMap sums;                          ///< by the name of the global: of all that the graph of densities reaches
};

/// What draws are for. Training and bounds look at what stands for q (every state of an enumeration, relaxed draws);
/// importance weights are those of draws from q itself.
struct DrawSettings {
  int64_t num_samples = 1;
  std::string stream = "posterior";
  bool from_q = false;
  TensorMap known{};  ///< values [R, L] of groups that need no draw
};

class Inference {
 public:
  /// `globals`: of all blocks. All of it must outlive this.
  Inference(const LatentGraph& latents, const Likelihood& likelihood, const Objective& objective,
            const TensorMap& globals, at::ScalarType dtype);
  /// Finds out, once all blocks are there, which globals are weights of networks; the others are conjugate blocks'.
  void find_keys(const GradientBlock& networks);

  const LatentGraph& latents() const { return latents_; }
  /// The world of a batch whose rows are, as encoders see them, `seen`; undefined: no network is asked to read rows.
  /// Other columns that networks read are one-hot; throws DataError where a class is missing.
  std::unique_ptr<World> world(const Batch& batch, const Tensor& seen, Network::Noise dropout = nullptr) const;
  /// What stands for the encoders of groups whose q reads no draws: their outputs, by group.
  TensorMap encoded(const World& world) const;
  /// p of a group at what its parents are in a world: the prior itself where it has none.
  static std::shared_ptr<const Prior> prior_at(const Group& group, const World& world);
  /// The parameters of a group's q in a world, from `own` where it has the group or else by the encoder.
  Tensor parameters_in(const Group& group, const World& world, const TensorMap& own = {}) const;
  /// Sets every group to the mean of its q, given the means of the groups before it, and returns the parameters of q.
  TensorMap set_means(World& world, const TensorMap& own) const;
  /// Draws of every group, set in `sampling`. `own`: what stands for outputs of encoders.
  std::vector<Draw> draw(World& sampling, const TensorMap& own, const DrawSettings& settings, const Step& step,
                         const Rng& rng) const;
  /// The trace at draws, whose images are set in `density`. `data`: the world of values that depend on no draw.
  Trace trace(const std::vector<Draw>& leaves, World& density, const World& data, const Tensor& x) const;
  /// One pass over the densities at leaf copies of draws. Sums are those of the globals where they are `wanted`.
  enum class Sums { none, densities };
  /// `weights`: by group, of log q at what is known, which networks ascend besides.
  Pass pass(const std::vector<Draw>& draws, const World& sampling, const Tensor& x, const Step& step, Sums wanted,
            const std::map<std::string, double>& weights = {}) const;
  /// Adds to `sums` what a pass sends on to the globals of the sampling graph; afterwards every global has its sum.
  void add_sampling_sums(const Pass& pass, TensorMap& sums) const;
  /// The decoder's outputs [R, outputs] or [S, R, outputs] in a world that has the latents.
  Tensor decode(const World& world) const { return world.read(latents_.decoder()); }

 private:
  Tensor one_hot(const std::string& column, const Batch& batch) const;
  /// The parameters of q from what the encoder gives: as they are, or merged with p at the values of its parents.
  Tensor parameters_of(const Group& group, const Tensor& own, const Tensor& parents, bool stopped) const;
  /// The values of p's parents where q is merged with p; else undefined.
  Tensor parents_of_merged(const Group& group, const World& world) const;
  /// A group whose q reads its own previous row. `value` makes z0 [S, n, L] of the parameters and the rows of a step.
  Draw chain(const Group& group, World& world, int64_t samples,
             const std::function<Tensor(const Tensor& parameters, const Tensor& row)>& value) const;
  Draw draw_group(const Group& group, World& sampling, const TensorMap& own, const DrawSettings& settings,
                  const Step& step, const Rng& rng) const;
  /// All states of a group [samples, R, L], each as often as every other.
  Tensor enumerated(const Group& group, const Tensor& parameters, int64_t samples, const DrawSettings& settings,
                    const Step& step) const;
  /// Adds log p of what is known to a pass's trace.
  void add_known(const std::vector<Draw>& draws, Pass& pass) const;
  int64_t states_times(const DrawSettings& settings) const;
  /// Whether all states of the group are looked at instead of drawing some.
  static bool enumerates(const Group& group, const DrawSettings& settings);

  const LatentGraph& latents_;
  const Likelihood& likelihood_;
  const Objective& objective_;
  const TensorMap& globals_;
  std::vector<std::string> keys_, conjugate_keys_;  // of networks' weights, of what conjugate blocks hand out
  at::ScalarType dtype_;
};

}  // namespace vem
