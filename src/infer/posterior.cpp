#include "vem/infer/posterior.h"

namespace vem {

std::vector<std::string> Posterior::names() const {
  std::vector<std::string> names;
  for (const auto& entry : named(at::zeros({1, num_parameters()}))) names.push_back(entry.first);
  return names;
}

}  // namespace vem
