// What an objective sees of an amortised model: the draws of each group of latents and how probable they are.
// Legend: S samples, R rows of a batch, B items, L dimensions of a group.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vem/infer/posterior.h"
#include "vem/infer/prior.h"

namespace vem {

/// Where the group stands in the graph; by default it is alone.
struct LatentSite {
  std::string name = "z";
  /// p(z | parents) at the draws of the parents, in the place of the prior itself.
  std::function<std::shared_ptr<const Prior>()> prior = nullptr;
  /// The parameters of q as a function of the other groups' draws alone, the weights of networks stopped; null: q
  /// reads no draws.
  std::function<Tensor()> stopped = nullptr;
  /// Whether KL(q || p) may be taken in closed form: not if a parent of z was drawn from a q that reads z.
  bool closed_form = true;
};

/// One group of latents. The parameters of q and the draws z0 from at() are leaf copies: the graph that drew z0 and the
/// graph of densities meet only here, so one backward pass of each serves every objective. Flows are a part of the
/// graph of densities. Nothing else is computed before it is asked for.
class Latent {
 public:
  /// parameters [R, P], or [S, R, P] where q reads draws of other groups; z0 [S, R, L].
  Latent(const Posterior& posterior, const Tensor& parameters, const Tensor& z0, const Prior& prior, const Batch& batch,
         const TensorMap& globals, LatentSite site = {});

  const std::string& name() const { return site_.name; }
  const Tensor& z() const { return z_; }  ///< [S, R, L]: z0, or its image
  Tensor mean() const;                    ///< E_q[z] [R, L]; of a flow, that of the draws
  const Tensor& log_q() const;            ///< [S, B], computed once
  Tensor log_q_stopped() const;           ///< [S, B], a gradient through draws alone
  const Tensor& log_p() const;            ///< [S, B], computed once
  /// [S, R] or [S, R, C]: f at z, as samples whose mean is E_q[f] (Posterior::expected).
  Tensor expected(const Tensor& f) const;
  bool scored() const;  ///< whether draws have no derivative, so that q learns by its score function only
  /// KL(q || p) by dimension [B, L], whole [B, 1] or, where it depends on draws, [S, B, L or 1]; undefined without a
  /// closed form; computed once.
  const Tensor& kl() const;
  const Distribution& q() const { return *q_; }           ///< of a flow, what it begins with
  const Tensor& weight() const { return batch_.weight; }  ///< [B] float64
  /// The density that evaluations weigh draws by (Prior::log_predictive) [S, B].
  Tensor log_predictive() const;

 private:
  const Prior& prior() const;

  const Posterior& posterior_;
  Tensor parameters_, z0_;  // leaves
  Tensor z_, log_det_;      // [S, R]; undefined without a flow
  std::shared_ptr<const Distribution> q_;
  const Prior& unconditional_;
  const Batch& batch_;
  const TensorMap& globals_;
  LatentSite site_;
  mutable std::shared_ptr<const Prior> conditional_;
  mutable Tensor kl_, log_q_values_, log_p_values_;
  mutable bool kl_known_ = false;
};

/// The mean over the first dimension of [S, ...]; one sample is only renamed.
Tensor mean_over_samples(const Tensor& x);

struct Trace {
  std::vector<Latent> latents;
  Tensor log_px;             ///< [S, B]: log p(x | z) at the draws
  Tensor weighted_log_px{};  ///< [S, B]: samples whose mean is E_q[log p(x | z)]; undefined: log_px
  /// E_q[log p(x | z)] [B].
  Tensor expected_log_px() const { return mean_over_samples(weighted_log_px.defined() ? weighted_log_px : log_px); }
  /// E_q of values [S, B] or [S, B, C] at the draws, which may depend on the draws of any group: [B] or [B, C].
  Tensor expected(const Tensor& f) const;
  /// E_q of the closed-form KL of a group [B, L or 1]; undefined where there is none.
  Tensor kl(const Latent& latent) const;
};

}  // namespace vem
