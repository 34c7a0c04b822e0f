// Objectives of amortised inference, as functions of a trace: what was drawn and how probable it was.
// Legend: S samples, B items, L latent dimensions.
#pragma once

#include <memory>
#include <vector>

#include "vem/infer/posterior.h"
#include "vem/infer/prior.h"
#include "vem/infer/step.h"

namespace vem {

/// One latent group. The parameters of q and the draws z0 from at() are leaf copies: the graph that drew z0 and the
/// graph of densities meet only here, so one backward pass of each network serves every objective. Flows are a part of
/// the graph of densities. Nothing else is computed before it is asked for.
class Latent {
 public:
  Latent(const Posterior& posterior, const Tensor& parameters, const Tensor& z0, const Prior& prior, const Batch& batch,
         const TensorMap& globals);

  const Tensor& z() const { return z_; }   ///< [S, rows, L]: z0, or its image
  Tensor mean() const;                     ///< E_q[z] [rows, L]; of a flow, that of the draws
  const Tensor& log_q() const;             ///< [S, items], computed once
  Tensor log_q_stopped() const;            ///< [S, items], a gradient through z alone
  const Tensor& log_p() const;             ///< [S, items], computed once
  Tensor expected(const Tensor& f) const;  ///< [S, rows]: f at z, as samples whose mean is E_q[f] (Posterior::expected)
  bool scored() const;       ///< whether draws have no derivative, so that q learns by its score function only
  const Tensor& kl() const;  ///< [items, L or 1], computed once; undefined without a closed form
  const Distribution& q() const { return *q_; }           ///< of a flow, what it begins with
  const Tensor& weight() const { return batch_.weight; }  ///< [items] float64

 private:
  const Posterior& posterior_;
  Tensor parameters_, z0_;  // leaves: the parameters of q, and [S, rows, L]
  Tensor z_, log_det_;      // [S, rows]; undefined without a flow
  std::shared_ptr<const Distribution> q_;
  const Prior& prior_;
  const Batch& batch_;
  const TensorMap& globals_;
  mutable Tensor kl_, log_q_values_, log_p_values_;
  mutable bool kl_known_ = false;
};

/// The mean over the first dimension of [S, ...]; one sample is only renamed.
Tensor mean_over_samples(const Tensor& x);

struct Trace {
  std::vector<Latent> latents;
  Tensor log_px;      ///< [S, items]: log p(x | z) at the draws
  Tensor expected{};  ///< [S, items]: samples whose mean is E_q[log p(x | z)] (Latent::expected); undefined: log_px
  const Tensor& expected_log_px() const { return expected.defined() ? expected : log_px; }
};

struct ObjectiveValue {
  Tensor bound;  ///< [items]: the objective's bound on log p(x), never weighted; conjugate blocks take its gradient
  Tensor
      surrogate;  ///< [items]: what networks ascend; KL weights and free bits act here only. `bound` itself where equal
  Tensor q_surrogate{};  ///< [items]: what q ascends where that is another; undefined: surrogate
  Tensor path_scale{};   ///< [S, items]: multiplies what reaches z on its way to the encoder (DReG); undefined: 1
};

class Objective {
 public:
  static constexpr const char* kKind = "objective";
  struct Context {
    const Registry& registry;
  };
  virtual ~Objective() = default;
  virtual ObjectiveValue operator()(const Trace& trace, const Step& step) const = 0;
  virtual int64_t num_samples() const = 0;
  /// Of these, the draws that are compared with each other.
  virtual int64_t group_size() const { return num_samples(); }
  /// What it makes of discrete latents, whose draws have no derivative: nothing; closed-form KLs and the expected
  /// log p(x | z); or weights of draws, with a gradient of its own where q is scored.
  enum class Discrete { none, expectation, weights };
  virtual Discrete discrete() const { return Discrete::none; }
  /// What it asks of q beyond draws and their density: the density of any z, or of any one dimension of it.
  enum class Needs { draws, density, independent };
  virtual Needs needs() const { return Needs::draws; }
  /// Whether it takes the prior to be N(0, I).
  virtual bool standard_prior() const { return false; }
  /// False for objectives that are not sums over items: each of several processes then takes its part of a batch for
  /// the whole.
  virtual bool additive() const { return true; }
  virtual Schedules schedules() const { return {}; }
};

}  // namespace vem
