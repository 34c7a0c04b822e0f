// Likelihoods with a location, which is the decoder's first output, and a scale that is fixed, learned as one number a
// feature, or predicted. A learned scale is min_scale + exp(parameter): the floor is approached but never reached, so
// no gradient dies on it.
#pragma once

#include "vem/infer/likelihood.h"

namespace vem {

enum class Scale { fixed, shared, predicted };

struct LocationScaleOptions : LikelihoodOptions {
  Scale scale = Scale::shared;
  double value = 1, min_scale = 1e-3;
  Cells cells() const override { return Cells::real; }
  bool scale_given() const override { return scale == Scale::fixed; }
  void visit(OptionVisitor& v) override;
};

class LocationScale : public IndependentLikelihood {
 public:
  /// `std` is the standard deviation at scale one.
  LocationScale(const LocationScaleOptions& options, const Context& context, double std);
  int64_t parameters_per_feature() const override { return o_.scale == Scale::predicted ? 2 : 1; }
  Tensor mean(const Tensor& outputs) const override { return location(outputs); }
  /// The mean and, where the scale is learned, the scale of that variance.
  Tensor output_bias(const Tensor& mean, const Tensor& variance) const override;
  Range support() const override { return {}; }

 protected:
  Tensor location(const Tensor& outputs) const { return parameter(outputs, 0, parameters_per_feature()); }
  /// [] where it is fixed, else [D] or [..., D].
  Tensor scale(const Tensor& outputs) const;

 private:
  LocationScaleOptions o_;
  double std_;
  Tensor log_scale_;  // [D], where it is shared
};

}  // namespace vem
