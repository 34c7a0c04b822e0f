// The options that several models share.
#include "vem/core/options.h"

namespace vem {

at::ScalarType scalar_type(Precision precision) { return precision == Precision::float32 ? at::kFloat : at::kDouble; }

void visit_precision(OptionVisitor& v, Precision& precision) {
  v("precision", precision, {{"float32", Precision::float32}, {"float64", Precision::float64}},
    "floating-point type of the matrix products");
}

}  // namespace vem
