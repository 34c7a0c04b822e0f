// Objectives of amortised inference, as functions of a trace: what was drawn and how probable it was.
// Legend: S samples.
#pragma once

#include <memory>
#include <vector>

#include "vem/infer/latent.h"
#include "vem/infer/schedule.h"

namespace vem {

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
