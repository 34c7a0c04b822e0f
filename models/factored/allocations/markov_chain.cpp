// A Markov chain over the rows of an item: hidden Markov models, with Dirichlet priors on the start and on each row of
// transitions (MacKay 1997, "Ensemble learning for hidden Markov models"; Beal 2003, chapter 3). Extra mass on the
// diagonal makes states last; forbidden transitions stay forbidden. Legend: K states.
#include <limits>

#include "state_mixtures.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/dist/dirichlet.h"
#include "vem/infer/allocation.h"
#include "vem/infer/forward_backward.h"
#include "vem/infer/observation.h"
#include "vem/infer/torchscript_library.h"

namespace vem {
namespace {

struct MarkovChainOptions final : ConjugateOptions {
  enum class Topology { full, left_right };
  enum class Start { free, uniform, first };
  Topology topology = Topology::full;
  int64_t max_step = 0;
  Start start = Start::free;
  int64_t state_components = 1;
  double concentration = 1, stickiness = 0, start_concentration = 1, mixing_concentration = 1;

  void visit(OptionVisitor& v) override {
    v("topology", topology, {{"full", Topology::full}, {"left-right", Topology::left_right}},
      "transitions that exist: all, or from a state to itself and to later ones");
    v.when(topology == Topology::left_right, "topology is left-right",
           [&] { v("max_step", max_step, at_least(0), "states that a transition moves on at most; 0: any number"); });
    v("start", start, {{"free", Start::free}, {"uniform", Start::uniform}, {"first", Start::first}},
      "distribution of the first state: learned, uniform, or always the first one");
    v("state_components", state_components, {1, 4096}, "components of the observation that each state is a mixture of");
    v.when(has_prior(), "estimate is map or posterior", [&] {
      v("concentration", concentration, positive(), "alpha of the Dirichlet prior of each row of transitions");
      v("stickiness", stickiness, at_least(0), "added to the alpha of staying in a state");
      v.when(start == Start::free, "start is free", [&] {
        v("start_concentration", start_concentration, positive(), "alpha of the Dirichlet prior of the first state");
      });
      v.when(state_components > 1, "state_components is above 1", [&] {
        v("mixing_concentration", mixing_concentration, positive(),
          "alpha of the Dirichlet prior of the components' weights within a state");
      });
    });
  }
};

/// Rows of transitions, each over the states that it may go to. What is forbidden has eta = t = 0 and no part in
/// anything: chain() is what puts -infinity there. What is allowed and has never happened is -infinity at a mode.
class MaskedDirichlet final : public ExponentialFamily {
 public:
  /// allowed [K, K] bool.
  explicit MaskedDirichlet(Tensor allowed) : allowed_(std::move(allowed)) {}
  int64_t size() const override { return allowed_.size(1); }
  /// Of a row of which nothing is forbidden; MarkovChain::num_free() knows the others.
  int64_t num_free() const override { return size() - 1; }
  Tensor log_partition(const Tensor& eta) const override {
    const Tensor alpha = eta + 1;
    return masked(at::lgamma(alpha)).sum(-1) - at::lgamma(masked(alpha).sum(-1));
  }
  Tensor mean(const Tensor& eta) const override {
    const Tensor alpha = eta + 1;
    return masked(at::digamma(alpha) - at::digamma(masked(alpha).sum(-1, true)));
  }
  /// A row of which nothing was seen is uniform, as that of a Dirichlet.
  Tensor mode(const Tensor& eta) const override {
    const Tensor weights = masked(eta.clamp_min(0)), unseen = weights.sum(-1, true).eq(0);
    const Tensor uniform = -allowed_.sum(-1, true).to(at::kDouble).log();
    return allowed_only(at::where(unseen, uniform, log_normalized(weights)));
  }
  Tensor sample(const Tensor& eta, const Rng& rng) const override {
    return allowed_only(log_dirichlet_draw(masked(eta + 1), rng, "dirichlet"));
  }
  Tensor unconstrained(const Tensor& eta) const override { return masked(eta.log1p()); }
  Tensor constrained(const Tensor& coordinates) const override { return masked(coordinates.expm1()); }

 private:
  Tensor masked(const Tensor& x) const { return x * allowed_; }
  /// Likewise where forbidden entries may be infinite.
  Tensor allowed_only(const Tensor& x) const { return x.masked_fill(allowed_.logical_not(), 0); }
  static Tensor log_normalized(const Tensor& weights) { return weights.log() - weights.sum(-1, true).log(); }

  Tensor allowed_;
};

Tensor allowed_transitions(const MarkovChainOptions& options, int64_t K) {
  const Tensor k = at::arange(K, at::kLong), step = k.unsqueeze(0) - k.unsqueeze(1);
  if (options.topology == MarkovChainOptions::Topology::full) return at::ones({K, K}, at::kBool);
  return step.ge(0).logical_and(step.le(options.max_step > 0 ? options.max_step : K));
}

/// sum of counts * logs [], in which 0 * -inf is 0.
Tensor expected_log(const Tensor& counts, const Tensor& logs) {
  const Tensor zero = at::zeros({}, at::kDouble);
  return at::where(counts > 0, counts * logs.to(at::kDouble), zero).sum();
}

/// The index for each u on (0, 1) in weights laid end to end [K].
int64_t draw_state(const Tensor& weights, double u) {
  const Tensor edges = weights.cumsum(0);
  const double total = edges[-1].item<double>();
  return std::min<int64_t>(at::searchsorted(edges, u * total).item<int64_t>(), weights.size(0) - 1);
}

class MarkovChain final : public Allocation {
 public:
  MarkovChain(const MarkovChainOptions& options, const Context& context)
      : options_(options),
        K_(context.num_components),
        prefix_(context.prefix),
        allowed_(allowed_transitions(options, K_)),
        transition_(std::make_shared<ConjugateBlock>(
            prefix_ + "transition", std::make_shared<MaskedDirichlet>(allowed_), K_, context.estimate)) {
    if (options.start == MarkovChainOptions::Start::free)
      start_ = std::make_shared<ConjugateBlock>(prefix_ + "start", std::make_shared<DirichletFamily>(K_), 1,
                                                context.estimate);
  }

  std::vector<std::shared_ptr<ConjugateBlock>> blocks() const override {
    if (!start_) return {transition_};
    return {start_, transition_};
  }
  void set_priors() override {
    const Tensor alpha = options_.concentration + options_.stickiness * at::eye(K_, at::kDouble);
    transition_->set_prior((alpha - 1) * allowed_);
    if (start_) start_->set_prior(at::full({1, K_}, options_.start_concentration - 1, at::kDouble));
  }

  Tensor log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override {
    return chain_log_norm(chain(log_lik, batch, globals));
  }
  Counts expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const override {
    const ChainCounts counts = forward_backward(chain(log_lik, batch, globals), batch.weight);
    TensorMap sums{{transition_->key(), counts.transitions}};
    if (start_) sums[start_->key()] = counts.start.unsqueeze(0);
    return {bound_of(counts.log_norm, batch), counts.marginals.to(log_lik.scalar_type()), std::move(sums), {}};
  }

  /// Paths are drawn whole: filter forward, sample backward.
  Counts draw(const Tensor& log_lik, const Batch& batch, const TensorMap& globals, const Rng& rng) const override {
    const Chain potentials = chain(log_lik, batch, globals);
    const Tensor z = sample_paths(potentials, batch.uniform(rng, {}, "path")), weight = batch.row_weight();
    const Tensor item = batch.row_item(), first = at::ones({z.size(0)}, at::kBool);
    if (z.size(0) > 1) first.slice(0, 1).copy_(item.slice(0, 1).ne(item.slice(0, 0, -1)));
    const Tensor begin = first.nonzero().squeeze(-1), inside = first.logical_not().nonzero().squeeze(-1);
    const Tensor from = z.index_select(0, inside - 1), to = z.index_select(0, inside);
    const Tensor pairs = at::zeros({K_ * K_}, at::kDouble).index_add(0, from * K_ + to, weight.index_select(0, inside));
    TensorMap sums{{transition_->key(), pairs.view({K_, K_})}};
    if (start_)
      sums[start_->key()] = at::zeros({1, K_}, at::kDouble)
                                .index_add(1, z.index_select(0, begin), weight.index_select(0, begin).unsqueeze(0));
    const Tensor chosen = at::one_hot(z, K_).to(at::kDouble) * weight.unsqueeze(-1);
    return {bound_of(chain_filter(potentials).log_norm, batch), chosen.to(log_lik.scalar_type()), std::move(sums), {}};
  }

  bool independent_rows() const override { return false; }
  int64_t num_free() const override { return Allocation::num_free() - allowed_.logical_not().sum().item<int64_t>(); }
  bool ordered() const override { return options_.topology == MarkovChainOptions::Topology::left_right; }
  Labelings labelings() const override {
    if (ordered()) return {};
    if (options_.start != MarkovChainOptions::Start::first) return Labelings::all_orders(K_);
    return {std::lgamma(static_cast<double>(K_)), "ln (K-1)!"};
  }
  /// A state is entered from another, or first: sums of transitions into it, and starts.
  Tensor occupancy() const override {
    const Tensor entered = (transition_->eta() - transition_->eta_prior()).sum(0);
    return start_ ? entered + (start_->eta() - start_->eta_prior())[0] : Tensor();
  }
  std::vector<Readout> readouts() const override;

  /// Share of time in each state in the long run, by the mean probabilities: the limit of start ((I + A) / 2)^n, which
  /// also exists where the chain has a period or several ends.
  Tensor log_weights() const override {
    Tensor lazy = 0.5 * (at::eye(K_, at::kDouble) + mean_transition());
    for (int i = 0; i < 64; ++i) {
      lazy = at::mm(lazy, lazy);
      lazy = lazy / lazy.sum(-1, true);
    }
    return at::mm(mean_start().unsqueeze(0), lazy).log();
  }

  Outlook outlook(const Tensor& log_lik, const Batch& batch) const override {
    const Tensor filtered = filtered_marginals(mean_chain(log_lik, batch)), transition = mean_transition();
    const Tensor begin = batch.offsets.slice(0, 0, -1), end = batch.offsets.slice(0, 1);
    const Tensor none = begin.eq(end).unsqueeze(-1);  // nothing was seen: the next row is the first
    const Tensor padded = at::cat({at::zeros({1, K_}, at::kDouble), filtered});
    return {at::where(none, mean_start().unsqueeze(0), at::mm(padded.index_select(0, end), transition)), transition};
  }

  std::vector<std::pair<std::string, Tensor>> describe() const override {
    const Tensor transition = mean_transition();
    return {{"start", mean_start()}, {"transition", transition}, {"duration", 1 / (1 - transition.diagonal())}};
  }

  /// One sequence of n steps.
  Tensor sample(const Tensor& index, const Rng& rng) const override {
    const Tensor start = mean_start(), transition = mean_transition(), u = rng.uniform(index, {}, "component");
    if (torchscript::recording()) return torchscript::chain_states(start, transition, u);
    const Tensor states = at::empty_like(index);
    for (int64_t t = 0, state = -1; t < states.size(0); ++t) {
      state = draw_state(state < 0 ? start : transition[state], u[t].item<double>());
      states[t] = state;
    }
    return states;
  }

 private:
  /// An item without weight takes no part, impossible or not.
  static Tensor bound_of(const Tensor& log_norm, const Batch& batch) {
    return at::where(batch.weight == 0, at::zeros_like(batch.weight), log_norm * batch.weight).sum();
  }
  bool posterior() const { return transition_->estimate() == Estimate::posterior; }
  /// Entropy of the posterior over the paths of each item [items], in nats: log_norm - E[log p(x, z)].
  Tensor path_entropy(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
    const Tensor entropy = at::zeros({batch.size()}, at::kDouble);
    for (int64_t n = 0; n < batch.size(); ++n) {
      const int64_t begin = batch.offsets[n].item<int64_t>(), end = batch.offsets[n + 1].item<int64_t>();
      Batch item;
      item.offsets = at::tensor({int64_t{0}, end - begin}, at::kLong);
      const Chain one = chain(log_lik.slice(0, begin, end), item, globals);
      const ChainCounts counts = forward_backward(one, at::ones({1}, at::kDouble));
      entropy[n] = counts.log_norm[0] - expected_log(counts.start, one.log_start) -
                   expected_log(counts.transitions, one.log_transition) - expected_log(counts.marginals, one.log_lik);
    }
    return entropy.clamp_min(0);
  }
  /// p(z_t = k | x_1 .. x_t) [rows, K]; NaN from the first row on that is impossible after those before it.
  static Tensor filtered_marginals(const Chain& chain) {
    const Tensor marginals = chain_filter(chain).marginals;
    return marginals.masked_fill(marginals.sum(-1, true).eq(0), std::nan(""));
  }
  /// p(z_t = k | x) [rows, K]; NaN in a sequence that is impossible.
  static Tensor smoothed_marginals(const Chain& chain, const Batch& batch) {
    const ChainCounts counts = forward_backward(chain, batch.weight);
    const Tensor impossible = counts.log_norm.eq(-kInfinity).index_select(0, batch.row_item());
    return counts.marginals.masked_fill(impossible.unsqueeze(-1), std::nan(""));
  }
  Tensor log_start(const TensorMap& globals) const {
    if (start_) return globals.at(start_->key());
    if (options_.start == MarkovChainOptions::Start::uniform)
      return at::full({1, K_}, -std::log(static_cast<double>(K_)), at::kDouble);
    return at::where(at::arange(K_, at::kLong).eq(0), at::zeros({1, K_}, at::kDouble), -kInfinity);
  }
  Chain chain(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const {
    return {log_lik, log_start(globals), globals.at(transition_->key()).masked_fill(allowed_.logical_not(), -kInfinity),
            batch.offsets};
  }
  /// The chain with the mean of every probability under q, for densities of new data.
  Chain mean_chain(const Tensor& log_lik, const Batch& batch) const {
    return {log_lik, mean_start().log(), mean_transition().log(), batch.offsets};
  }
  Tensor mean_start() const {
    if (!start_) return log_start({}).exp().squeeze(0);
    if (!posterior()) return start_->t().detach().exp().squeeze(0);
    const Tensor alpha = start_->eta() + 1;
    return (alpha / alpha.sum()).squeeze(0);
  }
  Tensor mean_transition() const {
    if (!posterior()) return transition_->t().detach().exp() * allowed_;
    const Tensor alpha = (transition_->eta() + 1) * allowed_;
    return alpha / alpha.sum(-1, true);
  }

  MarkovChainOptions options_;
  int64_t K_;
  std::string prefix_;
  Tensor allowed_;
  std::shared_ptr<ConjugateBlock> start_, transition_;
};

std::vector<Allocation::Readout> MarkovChain::readouts() const {
  using Tensors = std::vector<Tensor>;
  return {
      {"log_prob",
       "log density of each sequence; where parameters have a posterior, with the mean transition probabilities "
       "and every row's predictive density",
       {"log_prob"},
       true,
       [this](const Tensor& log_lik, const Batch& batch, const TensorMap&) {
         const Chain mean = mean_chain(log_lik, batch);
         return Tensors{torchscript::recording()
                            ? torchscript::chain_log_norm(log_lik, mean.log_start, mean.log_transition, mean.offsets)
                            : chain_filter(mean).log_norm};
       },
       true},
      {"responsibilities",
       "smoothed probability of each state for each row, given the whole sequence, as in the E-step",
       {"responsibilities"},
       false,
       [this](const Tensor& log_lik, const Batch& batch, const TensorMap& globals) {
         return Tensors{smoothed_marginals(chain(log_lik, batch, globals), batch)};
       },
       false},
      {"entropy",
       "entropy of the posterior over the paths of states of each sequence, in nats",
       {"entropy"},
       false,
       [this](const Tensor& log_lik, const Batch& batch, const TensorMap& globals) {
         return Tensors{path_entropy(log_lik, batch, globals)};
       },
       false},
      {"filter",
       "probability of each state for each row, given the rows up to it",
       {"filtered"},
       false,
       [this](const Tensor& log_lik, const Batch& batch, const TensorMap& globals) {
         return Tensors{filtered_marginals(chain(log_lik, batch, globals))};
       },
       false},
      {"predict",
       "the most probable path of states of each sequence, a state a row (Viterbi); -1 from the first row on that is "
       "impossible after those before it",
       {"label"},
       false,
       [this](const Tensor& log_lik, const Batch& batch, const TensorMap& globals) {
         const Chain now = chain(log_lik, batch, globals);
         return Tensors{torchscript::recording()
                            ? torchscript::chain_best_paths(log_lik, now.log_start[0], now.log_transition, now.offsets)
                            : viterbi(now).states};
       },
       true}};
}

void refuse_ml_priors(const MarkovChainOptions& options) {
  const MarkovChainOptions defaults;
  const char* condition = "estimate is map or posterior";
  refuse_without_effect(options.concentration != defaults.concentration, "markov-chain: concentration", condition);
  refuse_without_effect(options.stickiness != defaults.stickiness, "markov-chain: stickiness", condition);
  refuse_without_effect(options.start_concentration != defaults.start_concentration,
                        "markov-chain: start_concentration", condition);
  refuse_without_effect(options.mixing_concentration != defaults.mixing_concentration,
                        "markov-chain: mixing_concentration", condition);
}

std::shared_ptr<Allocation> create_markov_chain(const MarkovChainOptions& options, const Allocation::Context& context) {
  if (context.estimate == Estimate::ml) refuse_ml_priors(options);
  for (const auto& [name, value] : {std::pair<const char*, double>{"concentration", options.concentration},
                                    {"start_concentration", options.start_concentration},
                                    {"mixing_concentration", options.mixing_concentration}})
    if (context.estimate == Estimate::map && value < 1)
      fail<ConfigError>(
          "markov-chain: {} must be >= 1 when estimate is map, got {}: below 1 the density of the probabilities has no "
          "mode",
          name, value);
  const auto chain = std::make_shared<MarkovChain>(options, context);
  if (options.state_components == 1) return chain;
  return std::make_shared<StateMixtures>(chain, options.state_components, options.mixing_concentration, context);
}

}  // namespace

void register_markov_chain(Registry& registry) {
  registry.add<Allocation, MarkovChainOptions>("markov-chain", "rows of a sequence, each state given the one before",
                                               create_markov_chain);
}

}  // namespace vem
