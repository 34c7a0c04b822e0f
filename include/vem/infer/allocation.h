// An allocation says which component explains a row: mixture weights, a Markov chain, an admixture. It is one
// differentiable function, the local bound at the best q; responsibilities and its own sums are that function's
// gradients.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "vem/data/dataset.h"
#include "vem/infer/block.h"
#include "vem/infer/labelings.h"

namespace vem {

class Allocation {
 public:
  static constexpr const char* kKind = "allocation";
  struct Context {
    std::string prefix;  ///< of its blocks' names: "" or "prior."
    int64_t num_components;
    Estimate estimate;
  };
  /// What expect() returns.
  struct Counts {
    Tensor bound;      ///< [] float64: sum over items of weight * log_norm
    Tensor marginals;  ///< [rows, K]: weighted responsibilities, d bound / d log_lik
    TensorMap sums;    ///< by key of this allocation's blocks: d bound / d t
    TensorMap local;   ///< new per-item state
  };
  virtual ~Allocation() = default;
  virtual std::vector<std::shared_ptr<ConjugateBlock>> blocks() const = 0;
  /// Sets its blocks' priors (and q to them).
  virtual void set_priors() = 0;
  /// max over q(local) of the local bound [items], differentiable in log_lik [rows, K] and in its blocks' t
  /// (`globals`).
  virtual Tensor log_norm(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const = 0;
  /// The default asks autograd; a fast kernel overrides it and is checked against the default. Must be safe to call
  /// from several threads, and keeps the type of log_lik in the marginals.
  virtual Counts expect(const Tensor& log_lik, const Batch& batch, const TensorMap& globals) const;
  /// Whether rows are independent given the globals: then log_joint() and log_weights() exist, and items are rows.
  virtual bool independent_rows() const { return true; }
  /// Free parameters of its blocks; the default: what they say themselves.
  virtual int64_t num_free() const;
  /// The numberings of components that are equivalent under the prior; the default: one.
  virtual Labelings labelings() const { return {}; }
  /// Whether states follow each other in the order of their numbers (a left-right chain).
  virtual bool ordered() const { return false; }
  /// Rows that each component explained when the blocks were last updated [K] float64; undefined (the default) where
  /// that is not known.
  virtual Tensor occupancy() const { return {}; }
  /// A quantity of items or rows that a model with this allocation offers as a method.
  struct Readout {
    std::string name, help;
    std::vector<std::string> outputs;
    /// Of log_lik: the predictive log density where theta has a posterior; else the value that the E-step uses.
    bool predictive;
    /// log_lik [rows, K] in the units of the data, items, globals at their current values -> `outputs`.
    std::function<std::vector<Tensor>(const Tensor&, const Batch&, const TensorMap&)> call;
    /// Whether it can be traced; where rows depend on each other, by functions of vem/infer/torchscript_library.h.
    bool traceable;
  };
  /// The default, for independent rows: log_prob, responsibilities, predict.
  virtual std::vector<Readout> readouts() const;
  /// As expect(), with components drawn from the posterior instead: marginals of ones and zeros and the sums that
  /// belong to them; the bound is that of expect(). A pure function of rng and the items' identities. Throws
  /// ConfigError where there is no sampler (the default).
  virtual Counts draw(const Tensor& log_lik, const Batch& batch, const TensorMap& globals, const Rng& rng) const;
  /// log p(x, z = k) of independent rows [rows, K] up to the allocation's own bound: log_norm() is its logsumexp.
  /// Traceable. Throws Error where the components of rows depend on each other.
  virtual Tensor log_joint(const Tensor& log_lik, const TensorMap& globals) const;
  /// log of the predictive probability of each component for a new row [1, K]; traceable, throws as log_joint().
  virtual Tensor log_weights() const;
  /// What comes after the end of each item: the probability of each component of the next row [items, K], and of each
  /// transition from then on [K, K]. Throws Error where rows are independent.
  struct Outlook {
    Tensor next, transition;
  };
  virtual Outlook outlook(const Tensor& log_lik, const Batch& batch) const;
  /// Components of the observation that one state of the allocation is made of: columns of log_lik come state by state.
  virtual int64_t per_state() const { return 1; }
  /// Its own parameters by name, as people read them: of a chain "transition" [K, K] ...; none where log_weights() says
  /// it all.
  virtual std::vector<std::pair<std::string, Tensor>> describe() const { return {}; }
  /// Component indices [n] int64 drawn for new rows, one for each entry of `index`, which is 0 .. n - 1 [n] int64;
  /// where rows depend on each other, those of one item. Traceable with Rng::recorded().
  virtual Tensor sample(const Tensor& index, const Rng& rng) const = 0;
};

}  // namespace vem
