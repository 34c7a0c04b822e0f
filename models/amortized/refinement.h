// The inner optimisation of q: textbook variational EM for a deep model, from zeros, from the last q, or from encoders.
#pragma once

#include "inference.h"

namespace vem {

struct RefinementSettings {
  int64_t steps = 20;
  bool settle = false;  ///< steps shrink to nothing, so that what remains of their noise goes too
};

class Refinement {
 public:
  /// All of it must outlive this.
  Refinement(const AmortizedOptions& options, const Inference& inference, const Objective& objective);
  /// What stands for the outputs of encoders, by group, after some steps from `start`. `columns`: the world of the
  /// batch; x: rows as the likelihood takes them.
  TensorMap operator()(const World& columns, const Tensor& x, const TensorMap& start,
                       const RefinementSettings& settings, const Step& step, const Rng& rng) const;

 private:
  /// The gradient of what q ascends with respect to each entry of `own`, at one set of draws.
  TensorMap gradients(const World& columns, const Tensor& x, const TensorMap& own, const Step& step,
                      const Rng& rng) const;
  /// The bound of each item [B, 1].
  Tensor bounds(const World& columns, const Tensor& x, const TensorMap& own, int64_t samples, const Step& step,
                const Rng& rng) const;

  const AmortizedOptions& o_;
  const Inference& inference_;
  const Objective& objective_;
};

}  // namespace vem
