// SQUAREM: extrapolation of a closed-form fit along the path of its last two passes (Varadhan and Roland 2008, "Simple
// and globally convergent methods for accelerating the convergence of any EM algorithm", Scandinavian Journal of
// Statistics 35:335-353, scheme SqS3 with the step length of equation 9): from x0, x1, x2 = F(F(x0)),
//   r = x1 - x0, v = (x2 - x1) - r, alpha = -|r| / |v|, x = x0 - 2 alpha r + alpha^2 v,
// in coordinates without constraints. The caller compares bounds and takes back what has lowered them.
#pragma once

#include "vem/infer/model.h"

namespace vem {

class Squarem {
 public:
  /// `memory` is what a resume needs.
  explicit Squarem(TensorMap& memory) : memory_(memory) {}
  /// To be called before the E-step of every pass. Every third time it extrapolates: then the model has changed, true
  /// is returned, and the caller has to keep() or undo() it.
  bool extrapolate(Model& model);
  void keep();
  void undo(Model& model);
  /// Throws DataError if what is remembered (from a checkpoint) does not fit the model.
  void check(const Model& model) const;
  /// Forgets the path: the model has been changed in another way.
  void forget();

 private:
  double limit() const;
  void set_limit(double limit);

  TensorMap& memory_;  // "0/BLOCK" and "1/BLOCK": coordinates before the last passes; "limit": the longest step
  TensorMap before_;
  double length_ = 0;
};

}  // namespace vem
