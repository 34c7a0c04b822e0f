// p(x | z): how a decoder's outputs become a distribution over a row.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/data/dataset.h"
#include "vem/dist/distribution.h"
#include "vem/infer/block.h"

namespace vem {

/// What the numbers of a row are: it decides whether a model may standardise them, and what an encoder sees of them.
enum class Cells {
  unit,     ///< on [0, 1], or on another scale that networks take as it is
  real,     ///< in an arbitrary unit
  counts,   ///< 0, 1, 2 ... without a limit
  symbols,  ///< 0 .. K - 1
};

/// Base of the options of likelihoods whose rows are not of kind Cells::unit.
struct LikelihoodOptions : Options {
  virtual Cells cells() const { return Cells::unit; }
  /// Whether the user states a scale of real numbers, so that their unit is not arbitrary after all.
  virtual bool scale_given() const { return false; }
};

class Likelihood {
 public:
  static constexpr const char* kKind = "likelihood";
  struct Context {
    int64_t num_features;
    at::ScalarType dtype;
    std::shared_ptr<GradientBlock> block;      ///< for learned parameters of its own, "likelihood.<name>"
    std::shared_ptr<ConstantBlock> constants;  ///< for what is learned once, by output_bias()
  };
  virtual ~Likelihood() = default;
  /// Decoder outputs a feature: 1, or 2 with a predicted scale. Outputs are [parameter, feature] flattened.
  virtual int64_t parameters_per_feature() const = 0;
  /// outputs [S, rows, parameters * D], x [rows, D] -> [S, rows] nats, all constants kept. Cells of x that are NaN are
  /// missing: the probability of the others, which is exact.
  virtual Tensor log_prob(const Tensor& outputs, const Tensor& x) const = 0;
  /// E[x] [..., D] from outputs [..., parameters * D].
  virtual Tensor mean(const Tensor& outputs) const = 0;
  /// A draw of x [rows, D] from outputs [rows, parameters * D].
  virtual Tensor sample(const Tensor& outputs, const Rng& rng) const = 0;
  /// The output bias [parameters * D] at which a constant decoder fits rows of that mean and variance [D] best, or
  /// nearly so where that takes more than two moments.
  virtual Tensor output_bias(const Tensor& mean, const Tensor& variance) const = 0;
  /// What a number of x may be, infinity apart.
  virtual Range support() const = 0;
  /// Of bags of words: the log of the number of orders that the words of rows x [rows, D] can stand in [rows] float64,
  /// which is in log_prob() and not in the probability of a text; undefined for anything else.
  virtual Tensor log_orders(const Tensor& /*x*/) const { return {}; }
  /// Whether a number of x must be a whole one.
  virtual bool whole_numbers() const { return false; }
};

/// Features that are independent given the decoder's outputs.
class IndependentLikelihood : public Likelihood {
 public:
  Tensor log_prob(const Tensor& outputs, const Tensor& x) const override;
  Tensor sample(const Tensor& outputs, const Rng& rng) const override { return at(outputs)->sample({}, rng); }

 protected:
  /// p(x | z) of every cell: the batch shape is [..., D] for outputs [..., parameters * D].
  virtual std::shared_ptr<const Distribution> at(const Tensor& outputs) const = 0;
  /// Nats of every cell [S, rows, D]; x has no NaN and was checked when it was read.
  virtual Tensor log_prob_cells(const Tensor& outputs, const Tensor& x) const { return at(outputs)->log_prob(x); }
  /// Their sums [S, rows] where no cell is missing, for kernels that add at once.
  virtual Tensor log_prob_rows(const Tensor& outputs, const Tensor& x) const {
    return log_prob_cells(outputs, x).sum(-1);
  }
  /// Parameter `i` of every feature [..., D], of `count` in all.
  static Tensor parameter(const Tensor& outputs, int64_t i, int64_t count);
};

}  // namespace vem
