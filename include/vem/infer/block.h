// Blocks: named groups of globals, each with its own M-step. A conjugate block is updated in closed form, a gradient
// block by one optimiser step, and one rule feeds both: sums[key] = d(bound) / d(globals[key]), summed over items.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vem/core/expectation.h"
#include "vem/core/rng.h"
#include "vem/dist/exponential_family.h"
#include "vem/infer/optimizer.h"
#include "vem/infer/step.h"

namespace vem {

class Block {
 public:
  explicit Block(std::string name) : name_(std::move(name)) {}
  virtual ~Block() = default;
  const std::string& name() const { return name_; }

  /// What the E-step reads: leaf tensors by dotted name, the same objects at every call. The E-step may ask autograd
  /// for gradients with respect to them.
  virtual TensorMap globals() const = 0;
  /// Updates this block from its own sums in `total`.
  virtual void m_step(const Expectation& total, const Step& step, const Rng& rng) = 0;
  /// KL(q(theta) || p(theta)) for a posterior, -log p(theta) at a mode, 0 without a prior: [] float64, in nats.
  virtual Tensor kl_global() const;
  /// <sums, t> [] float64: the part of a bound that is linear in what this block handed out. 0 for gradient blocks.
  virtual Tensor linear(const Expectation& total) const;
  /// <eta - eta_prior, t> - kl_global, valid just after an M-step with rho = 1: [] float64.
  virtual Tensor gain() const;
  virtual bool conjugate() const = 0;
  /// Throws ConfigError for options that only the finished block can judge.
  virtual void check() const {}
  /// Numbers that change with the step, by the name under which Step::weights has them.
  virtual Schedules schedules() const { return {}; }
  /// Whether sums that are not finite leave this block as it is, and are counted.
  virtual bool skips_outliers() const { return false; }
  /// Exchanges the parameters with their average over steps; false without such an average.
  virtual bool swap_averages() { return false; }
  /// Whether what it hands out are draws.
  virtual bool sampled() const { return false; }
  /// Free parameters, for AIC and BIC.
  virtual int64_t num_free() const { return 0; }
  /// Numbers worth logging after an M-step ("components.floored"), per run and not per item.
  virtual std::map<std::string, double> diagnostics() const { return {}; }
  /// Its parameters in coordinates without constraints, and the inverse: where extrapolations are made. Undefined (the
  /// default) where there are none.
  virtual Tensor coordinates() const { return {}; }
  virtual void set_coordinates(const Tensor&) {}
  /// Everything that a checkpoint needs: keys start with "model/" (what an export takes) or "optimizer/".
  virtual TensorMap state() const = 0;
  /// The inverse of state(). Throws DataError for a missing key or another shape; then nothing has changed.
  virtual void load(const TensorMap& state) = 0;

 private:
  std::string name_;
};

/// Which functional of q(theta) = exp(<eta, t> - A(eta)) the E-step sees: mode, mode, mean or a draw.
enum class Estimate { ml, map, posterior, gibbs };

/// A conjugate exponential family: eta = eta_prior + sums. Hands out t as "<name>.t" [R, P] float64.
class ConjugateBlock final : public Block {
 public:
  ConjugateBlock(std::string name, std::shared_ptr<const ExponentialFamily> family, int64_t rows, Estimate estimate);

  /// Sets the prior [R, P] and q to it. ml keeps no prior: its eta_prior is zero.
  void set_prior(const Tensor& eta_prior);

  /// Sets the prior alone; q stays as it is until the next M-step.
  void replace_prior(const Tensor& eta_prior);

  std::string key() const { return name() + ".t"; }
  const Tensor& t() const { return t_; }
  const Tensor& eta() const { return eta_; }
  const Tensor& eta_prior() const { return eta_prior_; }
  const ExponentialFamily& family() const { return *family_; }
  Estimate estimate() const { return estimate_; }

  TensorMap globals() const override;
  void m_step(const Expectation& total, const Step& step, const Rng& rng) override;
  Tensor kl_global() const override;
  Tensor linear(const Expectation& total) const override;
  Tensor gain() const override;
  bool conjugate() const override { return true; }
  bool sampled() const override { return estimate_ == Estimate::gibbs; }
  int64_t num_free() const override { return t_.size(0) * family_->num_free(); }
  std::map<std::string, double> diagnostics() const override;
  /// Those of the family at eta [R, Q]. Rows that are not finite stay as they are.
  Tensor coordinates() const override;
  void set_coordinates(const Tensor& coordinates) override;
  TensorMap state() const override;
  void load(const TensorMap& state) override;

 private:
  /// t at eta: its mode, its mean or a draw.
  void set_t(const Rng& rng);

  std::shared_ptr<const ExponentialFamily> family_;
  Estimate estimate_;
  Tensor eta_prior_, eta_, t_;
};

/// Named parameters that ascend sums / count with one optimiser. Diagnostics count the steps that it left out.
class GradientBlock final : public Block {
 public:
  GradientBlock(std::string name, std::shared_ptr<const Optimizer> optimizer);

  /// Adds a parameter of zeros under its dotted name and returns the leaf that networks hold. Its value is set in
  /// place.
  Tensor add(const std::string& name, const Shape& shape, at::ScalarType dtype);
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// A block whose add() gives the parameters of this one, on the same memory, as tensors that get no gradient: for a
  /// second network on the same weights. It has none of its own.
  std::shared_ptr<GradientBlock> stopped() const;
  int64_t num_free() const override;

  TensorMap globals() const override;
  void m_step(const Expectation& total, const Step& step, const Rng& rng) override;
  bool conjugate() const override { return false; }
  void check() const override { optimizer_->check_groups(parameters_); }
  Schedules schedules() const override { return optimizer_->schedules(); }
  bool skips_outliers() const override { return optimizer_->skips(); }
  bool swap_averages() override;
  std::map<std::string, double> diagnostics() const override;
  TensorMap state() const override;
  void load(const TensorMap& state) override;

 private:
  std::shared_ptr<const Optimizer> optimizer_;
  std::vector<Parameter> parameters_;
  TensorMap stopped_;  // of stopped() blocks
  OptimizerState optimizer_state_;
};

/// Tensors that are learned once, before training: centres, scales, data moments. No globals, no M-step.
class ConstantBlock final : public Block {
 public:
  using Block::Block;
  /// Adds a tensor under its dotted name; its value is set in place with set().
  void add(const std::string& name, const Tensor& start);
  void set(const std::string& name, const Tensor& value);
  const Tensor& get(const std::string& name) const;

  TensorMap globals() const override { return {}; }
  void m_step(const Expectation&, const Step&, const Rng&) override {}
  bool conjugate() const override { return false; }
  TensorMap state() const override;
  void load(const TensorMap& state) override;

 private:
  TensorMap values_;
};

}  // namespace vem
