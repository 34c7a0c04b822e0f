#include "vem/core/error.h"
#include "vem/data/mapped_files.h"
#include "vem/train/fit.h"

namespace vem {

Expectation evaluate(const Model& model, const Dataset& data, int64_t batch_size, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const int64_t size = batch_size > 0 ? batch_size : std::max<int64_t>(1, data.size);
  const Rng rng = Rng(seed).fold("evaluate");
  Step step;
  step.training = false;
  step.total_weight = data.total_weight();
  Expectation total;
  for (int64_t begin = 0; begin < data.size; begin += size) {
    const Tensor positions = at::arange(begin, std::min(data.size, begin + size), at::kLong);
    Expectation part = model.e_step(data.batch(positions, 0, model.dtype()), step, rng);
    part.local.clear();
    part.sums.clear();
    total += part;
    if (std::isnan(total.bound.item<double>()))
      fail<NumericError>(
          "evaluate: the bound is not a number (NaN) among items {} to {}; are there very large numbers in the data?",
          begin, std::min(data.size, begin + size) - 1);
  }
  expect_mapped_files_whole();
  if (total.count.defined() && total.count.item<double>() == 0)
    fail<DataError>("evaluate: none of the {} items has any weight, so there is no mean over them", data.size);
  return total;
}

}  // namespace vem
