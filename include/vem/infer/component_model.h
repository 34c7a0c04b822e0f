// What models with components offer beside Model, so that the number of components can be chosen.
#pragma once

#include <map>
#include <string>

#include "vem/infer/labelings.h"

namespace vem {

/// Implemented by models with the methods log_prob, responsibilities and entropy.
class ComponentModel {
 public:
  virtual ~ComponentModel() = default;
  /// Free parameters, for AIC and BIC.
  virtual int64_t num_free() const = 0;
  /// The numberings of components that leave the model as it is.
  virtual Labelings labelings() const = 0;
  /// First rows of each sequence that are given, so that no density is theirs (autoregressive rows).
  virtual int64_t lags() const = 0;
  /// What initialize() decided, by name, for people and for the run's checkpoints; empty for a model that was loaded.
  virtual std::map<std::string, std::string> notes() const = 0;
};

}  // namespace vem
