// The two names that every other header uses. Cheap on purpose: not <torch/torch.h>.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace vem {

using at::Tensor;
using Shape = std::vector<int64_t>;
using TensorMap = std::map<std::string, Tensor>;

}  // namespace vem
