// A number that changes while a model is trained: learning rates, KL weights, step sizes, temperatures.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/infer/step.h"

namespace vem {

/// A pure function of the step, the bounds so far included. In TOML a number is a constant schedule, a table names
/// another kind.
class Schedule {
 public:
  static constexpr const char* kKind = "schedule";
  struct Context {
    const Registry& registry;  ///< schedules may be made of schedules
  };
  virtual ~Schedule() = default;
  virtual double at(const Step& step) const = 0;
};

/// `constant` with a value, for defaults in options structs.
Choice constant_schedule(double value);

/// By the name under which a step has the number.
using Schedules = std::map<std::string, std::shared_ptr<const Schedule>>;

}  // namespace vem
