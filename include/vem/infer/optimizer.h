// First-order update rules. One object serves all parameters of a gradient block.
#pragma once

#include <string>
#include <vector>

#include "vem/core/registry.h"
#include "vem/infer/schedule.h"

namespace vem {

/// A parameter as an optimiser sees it: the value is changed in place, `slots` are its moments, saved with it.
struct Parameter {
  std::string name;
  Tensor value;
  TensorMap slots;  ///< "first", "second" ...: shapes as value, zero at first
};

class Optimizer {
 public:
  static constexpr const char* kKind = "optimizer";
  struct Context {
    const Registry& registry;
  };
  virtual ~Optimizer() = default;
  /// Names of the moments that each parameter carries.
  virtual std::vector<std::string> slots() const = 0;
  /// Moves every parameter up `sums` / `count`, the gradient per item of what is maximised. `steps` counts updates
  /// from 1.
  virtual void update(std::vector<Parameter>& parameters, const std::vector<Tensor>& sums, const Tensor& count,
                      int64_t steps, double learning_rate) const = 0;
  virtual std::shared_ptr<const Schedule> learning_rate() const = 0;
};

/// `adam` with its defaults, for options structs.
Choice default_optimizer();

}  // namespace vem
