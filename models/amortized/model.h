// The amortised model: groups of latents with priors, posteriors and networks x likelihood x objective (Kingma and
// Welling 2014; Rezende et al. 2014), with three E-steps: encoders, parameters of q optimised for each datum until the
// bound stops rising (textbook variational EM), or encoders refined by a few such steps (Kim et al. 2018).
// Legend: S samples, R rows of a batch, B items, L dimensions of a group, D features.
#pragma once

#include "inference.h"
#include "refinement.h"
#include "rows.h"

namespace vem {

/// Of the training sequences on average; what is drawn has it.
constexpr const char* kLength = "sequences.length";

class Amortized final : public Model {
 public:
  Amortized(const AmortizedOptions& options, const Context& context);

  at::ScalarType dtype() const override { return rows_.read_type(); }
  Schedules schedules() const override;
  void initialize(const Dataset& train, const Rng& rng) override;
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override;
  std::map<std::string, std::vector<double>> report(const Expectation& total) const override;
  std::vector<Method> methods() const override;
  std::vector<Dependence> dependences() const override;
  /// How draws and densities are made, for programs that look inside.
  const Inference& inference() const { return inference_; }

 private:
  /// Throws ConfigError for factors that do not go together.
  void check_combination() const;
  void check_group(const Group& group, const std::string& posterior, const std::string& prior) const;
  void check_discrete(const Group& group, const std::string& posterior) const;
  /// Items of several rows where some group has one value for all of them.
  bool of_sequences() const { return o_.of_sequences(); }

  /// The E-step of items that all have a class or, where `known` is empty, of items without one.
  Expectation e_step_of(const Batch& batch, const TensorMap& known, const Step& step, const Rng& rng) const;
  /// The items of a batch whose class is known in one step and the others in another, so that no class of what is known
  /// is summed over.
  Expectation e_step_by_class(const Batch& batch, const Group& group, const Step& step, const Rng& rng) const;
  /// Nats of log q at what is known, by group.
  std::map<std::string, double> label_weights() const;
  std::string label_weight_name(const Group& group) const { return group.name + ".label_weight"; }
  void learn_label_weight(const Dataset& train, const Group& group);
  /// Hidden units that a training step keeps, a function of items and not of batches; null elsewhere.
  Network::Noise dropout(const Batch& batch, const Step& step, const Rng& rng) const;
  /// The world of rows x that are scaled already. `gaps`: whether cells may be missing.
  std::unique_ptr<World> world(const Batch& batch, const Tensor& x, bool gaps = true,
                               Network::Noise dropout = nullptr) const;
  /// Where per-datum inference begins: at what it found the last time, else at zeros.
  TensorMap starts(const World& sampling) const;
  int64_t inner_steps(const Step& step) const;
  void measure(Expectation& e, const Pass& pass, const Batch& batch) const;
  void measure_accuracy(Expectation& e, const Group& group, const Pass& pass, const Batch& batch) const;

  // ---- evaluation: what methods are made of ----
  /// A batch of rows, or of the sequences that they make.
  Batch batch_of(const Tensor& x, const Tensor& offsets = {}) const;
  /// A batch, its rows x as the likelihood takes them, and the world of what encoders see of them.
  struct Prepared {
    const Batch& batch;
    Tensor x;
    std::unique_ptr<World> columns;
  };
  Prepared prepared(const Batch& batch) const;
  /// What stands for the encoders' outputs, by group, by the E-step's own way.
  TensorMap own_parameters(const Prepared& items, const Rng& rng) const;
  TensorMap refined(const Prepared& items, const TensorMap& own, const RefinementSettings& settings,
                    const Rng& rng) const;
  /// A world in which each group is at the mean of its q, given the means of the groups before it.
  struct AtMeans {
    std::unique_ptr<World> world;
    TensorMap parameters;  // of q, by group
  };
  AtMeans at_means(const Batch& batch, const Rng& rng) const;
  /// Names of the parameters of q of every group; with several groups as GROUP.NAME.
  std::vector<std::string> names_of_q() const;
  /// These parameters.
  std::vector<Tensor> encoded(const Batch& batch, const Rng& rng) const;
  /// Inputs of a method and, behind them, the columns that networks read besides x; examples of the latter likewise.
  std::vector<std::string> with_columns(std::vector<std::string> inputs) const;
  std::vector<Tensor> with_examples(std::vector<Tensor> example) const;
  /// A batch of these columns, which begin at in[first].
  Batch columns_of(const std::vector<Tensor>& in, size_t first) const;
  /// The batch of a method's inputs: rows in[0], and the columns from in[first] on.
  Batch rows_of(const std::vector<Tensor>& in, size_t first = 1, const Tensor& offsets = {}) const;
  /// Items without anything but the number of a draw.
  Batch batch_of_draws(const Tensor& index) const;
  /// A world with a draw from p of every group for each item of a batch, which must outlive it.
  std::unique_ptr<World> drawn_from_prior(const Batch& batch, const Rng& rng) const;
  /// The latents of all groups in a world [..., L of all groups].
  Tensor side_by_side(const World& world) const;
  /// E[x | z] [R, D] or [S, R, D] in the user's units, at what the latents are in a world.
  Tensor mean_of_rows(const World& world) const;
  /// Draws of every group from q, their log importance weights [S, B] float64 (nats of x in the user's units), and the
  /// world in which they are set.
  struct WeightedDraws {
    std::unique_ptr<World> density;
    Tensor log_weights;
  };
  WeightedDraws weighted_draws(const Prepared& items, const TensorMap& own, int64_t samples, const Rng& rng) const;
  /// Those weights at the E-step's own q.
  Tensor log_weights(const Batch& batch, int64_t samples, const Rng& rng) const;
  Tensor impute(const Batch& batch, const Rng& rng) const;
  /// The bound of each row [R] float64 at the encoders' q and at what `steps` inner steps make of it, and log p(x) by
  /// importance samples from the latter.
  std::vector<Tensor> bounds(const Batch& batch, int64_t steps, int64_t samples, const Rng& rng) const;
  /// log p of the held words of documents and their number [documents] float64, given their other words: those and
  /// these as word, count and offsets.
  std::vector<Tensor> complete(const std::vector<Tensor>& documents, const Rng& rng) const;
  std::vector<Tensor> aggregate(const Batch& batch, const Rng& rng) const;
  /// Annealed importance sampling at the rows of a batch, from `draws` [C, R, L of all groups] of the prior or,
  /// backwards, of the posterior.
  std::vector<Tensor> annealed(const Batch& batch, const Tensor& draws, int64_t temperatures, bool back,
                               const Rng& rng) const;

  // ---- methods ----
  std::vector<Method> sequence_methods() const;
  void add_decoders_of_sequences(std::vector<Method>& methods) const;
  /// n items of as many rows each as the training data's have on average.
  Batch batch_of_sequences(const Tensor& index) const;
  /// E[x | z] [n * steps, D] of such sequences at a latent [n, L] of each, one after the other.
  Tensor decoded_sequences(const Tensor& z) const;
  void add_networks(std::vector<Method>& methods) const;
  void add_decode(std::vector<Method>& methods) const;
  void add_descents(std::vector<Method>& methods) const;
  /// Means of p(x | z) at values of the groups `given`, with those `below` them at the means of their p.
  Method decoder(const std::string& name, const std::string& help, const std::vector<const Group*>& given,
                 const std::vector<const Group*>& below) const;
  void add_draws(std::vector<Method>& methods) const;
  void add_sample(std::vector<Method>& methods) const;
  void add_annealing(std::vector<Method>& methods) const;
  void add_judgements(std::vector<Method>& methods) const;
  void add_priors(std::vector<Method>& methods) const;
  void add_classifier(std::vector<Method>& methods, const Group& group) const;
  /// Whether every row has a p(z) of its own.
  bool independent_rows() const;

  AmortizedOptions o_;
  Schema schema_;
  at::ScalarType dtype_;
  bool bags_ = false;  // rows are bags of words
  std::shared_ptr<GradientBlock> networks_;
  std::shared_ptr<ConstantBlock> constants_;
  std::shared_ptr<Objective> objective_;
  LatentGraph::Posteriors posteriors_;
  std::shared_ptr<Likelihood> likelihood_;
  Rows rows_;
  LatentGraph latents_;
  TensorMap globals_;  // of all blocks: the same leaves at every step
  Inference inference_;
  Refinement refinement_;
};

}  // namespace vem
