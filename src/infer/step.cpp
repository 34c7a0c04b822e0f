#include "vem/infer/step.h"

namespace vem {

double Step::weight(const std::string& name) const {
  const auto it = weights.find(name);
  return it == weights.end() ? 1.0 : it->second;
}

}  // namespace vem
