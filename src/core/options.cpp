// The options that several models share.
#include "vem/core/options.h"

namespace vem {

at::ScalarType scalar_type(Precision precision) { return precision == Precision::float64 ? at::kDouble : at::kFloat; }

void visit_precision(OptionVisitor& v, Precision& precision, bool with_bf16) {
  if (with_bf16)
    v("precision", precision,
      {{"float32", Precision::float32}, {"float64", Precision::float64}, {"bf16", Precision::bf16}},
      "floating-point type; bf16: float32, but for the products of training steps where that is faster");
  else
    v("precision", precision, {{"float32", Precision::float32}, {"float64", Precision::float64}},
      "floating-point type of the matrix products");
}

}  // namespace vem
