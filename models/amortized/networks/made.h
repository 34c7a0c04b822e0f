// A masked network in which output i of each kind sees inputs 0 .. i - 1 only, and all of a context (MADE: Germain et
// al. 2015).
#pragma once

#include <vector>

#include "linear.h"

namespace vem {

struct MadeOptions : Options {
  std::vector<int64_t> widths{64, 64};
  void visit(OptionVisitor& v) override;
};

class Made {
 public:
  /// `kinds` numbers an input; `context` further inputs, which may be 0.
  Made(const MadeOptions& options, GradientBlock& block, const std::string& name, int64_t inputs, int64_t context,
       int64_t kinds, at::ScalarType dtype);
  /// x [..., inputs], context [..., context] or undefined -> `kinds` tensors [..., inputs].
  std::vector<Tensor> operator()(const Tensor& x, const Tensor& context = {}) const;
  /// The outputs begin at zero.
  void initialize(const Rng& rng) const;

 private:
  int64_t kinds_;
  std::vector<Linear> layers_;
  std::vector<Linear> context_;  // from the context to the first layer; or none
  std::vector<Tensor> masks_;
};

}  // namespace vem
