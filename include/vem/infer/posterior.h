// q(z | x): a family of distributions over the latents, by the numbers that an encoder (or per-item state) gives.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/dist/normal.h"
#include "vem/infer/block.h"

namespace vem {

class Posterior {
 public:
  static constexpr const char* kKind = "posterior";
  struct Context {
    int64_t latent_dim;
    at::ScalarType dtype = at::kFloat;
    std::shared_ptr<GradientBlock> block = nullptr;  ///< for learned parameters that all rows share, "<prefix>.<name>"
    const Registry* registry = nullptr;
    std::string prefix = "posterior";  ///< of the names of its parameters
  };
  virtual ~Posterior() = default;
  /// Numbers a row: the width of an encoder's output.
  virtual int64_t num_parameters() const = 0;
  /// Standard normal numbers that a draw takes: the width of the noise for rsample() of at().
  virtual int64_t num_noise() const = 0;
  /// q at parameters [rows, num_parameters] or, where it reads draws, [S, rows, num_parameters]: the batch shape is
  /// that without the numbers. Of a flow, the distribution that it begins with.
  virtual std::shared_ptr<const Distribution> at(const Tensor& parameters) const = 0;
  /// Whether z is the image of a draw from at(): then q's density is log q(z0) - log |det|, known along draws only.
  virtual bool flows() const { return false; }
  /// z and log |det dz / dz0| [S, rows] (undefined: 0) of draws z0 [S, rows, L].
  virtual std::pair<Tensor, Tensor> transform(const Tensor& z0, const Tensor& /*parameters*/) const { return {z0, {}}; }
  /// Whether the dimensions of z are independent given x.
  virtual bool independent() const { return false; }
  /// Whether z is a corner of a grid (one-hot), of which no draw is a differentiable function of the parameters.
  virtual bool discrete() const { return false; }
  /// The z0 [S, rows, L] at which an E-step looks, from noise [S, rows, num_noise]. Draws of at() or, of discrete
  /// latents, what stands for them in training.
  virtual Tensor states(const Tensor& parameters, const Tensor& noise, const Step& /*step*/) const {
    return at(parameters)->rsample(noise);
  }
  /// What states() are: draws with a slope, draws without one, or all that there are.
  enum class States { differentiable, scored, all };
  virtual States states_are() const { return States::differentiable; }
  /// How many states there are where they are all looked at; else 1.
  virtual int64_t num_states() const { return 1; }
  /// Numbers [S, rows] or [S, rows, C] whose mean over S is E_q[f] and has its gradient with respect to the parameters
  /// of q, from as many values f at z0 = states(), each of which may stand there several times. What reaches the
  /// parameters by way of z0 itself is not counted here.
  virtual Tensor expected(const Tensor& f, const Distribution& /*q*/, const Tensor& /*z0*/) const { return f; }
  /// Throws ConfigError for numbers of draws that it has no use for.
  virtual void check_samples(int64_t /*num_samples*/) const {}
  /// Numbers that change with the step, by the name under which states() finds them in it.
  virtual Schedules schedules() const { return {}; }
  virtual void initialize(const Rng&) {}
  /// The parameters by name ("mean", "log_std" [rows, L]), for `encode`.
  virtual std::vector<std::pair<std::string, Tensor>> named(const Tensor& parameters) const = 0;
  /// Their names alone.
  std::vector<std::string> names() const;
};

}  // namespace vem
