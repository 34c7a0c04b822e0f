#include "vem/infer/scaling.h"

#include <limits>

#include "vem/core/warning.h"

namespace vem {

Tensor number_spacing(const Tensor& values, at::ScalarType type) {
  const double epsilon = type == at::kFloat    ? std::numeric_limits<float>::epsilon()
                         : type == at::kDouble ? std::numeric_limits<double>::epsilon()
                                               : 0;
  return epsilon * values.abs().to(at::kDouble);
}

Tensor scales_of(const Tensor& mean, const Tensor& deviation, at::ScalarType read_as, const std::string& model,
                 const std::function<std::string(int64_t column)>& name_of) {
  const Tensor spacing = number_spacing(mean, read_as), varies = deviation > 0;
  const Tensor rounding = varies.logical_and(deviation < spacing), columns = rounding.nonzero();
  for (int64_t i = 0; i < columns.size(0); ++i) {
    const int64_t column = columns[i][0].item<int64_t>();
    warn(
        "{}: column {} has standard deviation {:.3g} about {:.10g}, where neighbouring {} numbers are {:.3g} apart: "
        "what "
        "was read is rounding, and is not scaled up",
        model, name_of(column), deviation[column].item<double>(), mean[column].item<double>(),
        read_as == at::kFloat ? "float32" : "float64", spacing[column].item<double>());
  }
  return at::where(varies.logical_and(rounding.logical_not()), deviation, at::ones_like(deviation));
}

}  // namespace vem
