// First-order update rules. What all of them share stands here and in optimizer.cpp once: the learning rate, groups of
// parameters, weight decay, clipping, skipping of outlier steps, averages of parameters. A rule of its own is one
// function of an element's value, gradient and moments (models/optimizers).
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "vem/core/registry.h"
#include "vem/infer/schedule.h"

namespace vem {

/// A parameter as an optimiser sees it: the value is changed in place, `slots` are its moments, saved with it.
struct Parameter {
  std::string name;
  Tensor value;
  TensorMap slots;  ///< "first", "second" ...: shapes as value, zero at first; "average" where parameters are averaged
  int64_t updates = 0;  ///< so far
};

/// What differs for parameters whose names begin alike. A decoder that moves at every tenth step only leaves the
/// encoder time to follow it: aggressive training against a posterior that lags behind (He et al. 2019).
struct ParameterGroup final : Options {
  double learning_rate = 1, weight_decay = 1;
  Choice every = constant_schedule(1);
  void visit(OptionVisitor& v) override;
};

/// The options that every optimiser has; one of its own visits these first.
struct OptimizerOptions : Options {
  Choice learning_rate = constant_schedule(1e-3);
  double weight_decay = 0;
  bool decoupled = false, decay_biases = true, normalize = false;
  double clip_norm = 0, clip_value = 0, skip_above = 0, average = 0;
  Sections groups{[] { return std::make_shared<ParameterGroup>(); }};
  void visit(OptionVisitor& v) override;
};

/// One update of one parameter, the rule's own numbers left out. With g = clamp(scale * sum, +-clip) - coupled * p, the
/// rule moves keep * p up g.
struct Update {
  double scale = 1, clip = std::numeric_limits<double>::infinity(), coupled = 0, keep = 1;
  double learning_rate = 0;
  int64_t steps = 1;          ///< updates so far, this one included: for the correction of moments that began at zero
  double average_weight = 0;  ///< of the new value in the average
};

/// What an optimiser remembers beside the moments.
struct OptimizerState {
  int64_t steps = 0, skipped = 0;  ///< updates made, and left out
  double norm = 0;                 ///< running mean of the gradient's norm, as 1 - 0.99^seen of it
  int64_t seen = 0;                ///< norms in that mean
};

class Optimizer {
 public:
  static constexpr const char* kKind = "optimizer";
  struct Context {
    const Registry& registry;
  };
  Optimizer(const OptimizerOptions& options, const Context& context);
  virtual ~Optimizer() = default;

  /// Moves every parameter whose turn it is up `sums` / `count`, the gradient per item of what is maximised; or, where
  /// that is an outlier and `skip_above` is set, leaves all as they are and counts it.
  void update(std::vector<Parameter>& parameters, const std::vector<Tensor>& sums, const Tensor& count,
              const Step& step, OptimizerState& state) const;
  /// Throws ConfigError if a group has none of these parameters.
  void check_groups(const std::vector<Parameter>& parameters) const;
  /// Names of the tensors that each parameter carries: the rule's moments and, if wanted, its average.
  std::vector<std::string> slots() const;
  /// "learning_rate", and "NAME.every" of each group.
  const Schedules& schedules() const { return schedules_; }
  /// Whether parameters may have been updated a different number of times.
  bool has_groups() const { return !options_.groups.entries.empty(); }
  /// Whether outlier steps are left out, those with a gradient that is not finite among them.
  bool skips() const { return options_.skip_above > 0; }
  bool averages() const { return options_.average > 0; }

 private:
  /// Names of the rule's own moments.
  virtual std::vector<std::string> moments() const = 0;
  /// Applies the rule to a parameter whose gradient sums are contiguous, in one pass over memory.
  virtual void apply(Parameter& parameter, const Tensor& sums, const Update& update) const = 0;

  bool is_outlier(double norm, OptimizerState& state) const;
  /// The name and options of the group with the longest name that fits, or nulls.
  std::pair<const std::string*, const ParameterGroup*> group_of(const std::string& name) const;
  /// Whether it is the parameter's turn at this update.
  bool is_due(const Parameter& parameter, const Step& step, int64_t steps) const;
  Update update_of(const Parameter& parameter, double learning_rate) const;

  OptimizerOptions options_;
  Schedules schedules_;
};

/// `adam` with its defaults, for options structs.
Choice default_optimizer();

}  // namespace vem
