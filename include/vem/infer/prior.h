// p(z): what the latents of an amortised model come from.
#pragma once

#include <memory>
#include <vector>

#include "vem/data/dataset.h"
#include "vem/dist/normal.h"
#include "vem/infer/model.h"
#include "vem/infer/posterior.h"

namespace vem {

class Prior {
 public:
  static constexpr const char* kKind = "prior";
  struct Context {
    int64_t latent_dim;
    at::ScalarType dtype;
    std::shared_ptr<GradientBlock> block;  ///< for learned parameters, "<prefix>.<name>"
    const Registry& registry;
    std::shared_ptr<ConstantBlock> constants = nullptr;  ///< for what is set once, by initialize()
    std::shared_ptr<const Posterior> posterior = nullptr;
    std::function<Tensor(const Tensor&)> encode = nullptr;  ///< rows as the encoder sees them -> parameters of q
    int64_t num_features = 0;                               ///< of such a row
    Range range = {};                                       ///< of its numbers
    std::string prefix = "prior";                           ///< of the names of its parameters and blocks
    int64_t num_given = 0;  ///< numbers of the parents that p depends on; 0: it has none
  };
  virtual ~Prior() = default;
  /// z [S, rows, L] -> [S, items], differentiable in z and in the prior's entries of `globals`.
  virtual Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap& globals) const = 0;
  /// KL(q || p) [items, L] where it is a sum over dimensions, [items, groups] where it is one over groups of them, else
  /// [items, 1]; undefined where there is no closed form.
  /// Where the prior has latent variables of its own, such as the component of a mixture, it is the KL of these and z
  /// together at the best q of theirs, which is never below KL(q || p).
  virtual Tensor kl(const Distribution& q, const Batch& batch, const TensorMap& globals) const = 0;
  /// log of the density that sample() draws from, which integrates to one: what evaluations weigh draws of z by. As
  /// log_prob(), which it is unless the prior's parameters theta have a posterior: then log_prob() is E[log p(z |
  /// theta)], as the bound needs it, whose exponential integrates to less than one, and this is log E[p(z | theta)],
  /// which is never smaller (Jensen's inequality). So the bound stays below any log-likelihood by this density. For
  /// priors with independent_rows().
  virtual Tensor log_predictive(const Tensor& z, const Batch& batch, const TensorMap& globals) const {
    return log_prob(z, batch, globals);
  }
  /// Whether p is p(z | parents): then densities and draws are those of at().
  virtual bool conditional() const { return false; }
  /// p(z | parents), whose rows differ, at parents [R, C] or [S, R, C]; `stopped`: by weights that get no gradient.
  virtual std::shared_ptr<const Prior> at(const Tensor& /*parents*/, bool /*stopped*/) const { return nullptr; }
  /// p of each row where it is a distribution of a known family, for posteriors that are merged with it; else null.
  virtual std::shared_ptr<const Distribution> of_rows() const { return nullptr; }
  /// Blocks that the prior brings (conjugate ones).
  virtual std::vector<std::shared_ptr<Block>> blocks() const { return {}; }
  /// Chooses the start; `rows` [n, D] are training data as the encoder sees them.
  virtual void initialize(const Tensor& /*rows*/, const Rng&) {}
  /// Whether log_prob() depends on the encoder's parameters.
  virtual bool uses_encoder() const { return false; }
  /// Draws [n, L] from the density of log_predictive(), one for each entry of `index`, which is 0 .. n - 1 [n] int64.
  /// Traceable with Rng::recorded(): the number of draws comes from the tensor, so that an exported file draws as many
  /// as it is asked for.
  virtual Tensor sample(const Tensor& index, const Rng& rng) const = 0;
  /// Methods that the prior adds to the model's.
  virtual std::vector<Method> methods() const { return {}; }
  /// Whether z is one-hot.
  virtual bool discrete() const { return false; }
  /// Whether the rows of an item are independent: only then can rows be drawn, or weighed, one by one.
  virtual bool independent_rows() const { return true; }
  /// Whether the prior has components that items belong to.
  virtual bool clusters() const { return false; }
  /// [rows, K] probabilities of the components given q, where clusters().
  virtual Tensor responsibilities(const Distribution&, const TensorMap& /*globals*/) const { return {}; }
};

/// Options of a prior say whether it is updated in closed form.
struct PriorOptions : Options {
  virtual bool conjugate() const { return false; }
};

}  // namespace vem
