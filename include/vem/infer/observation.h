// An observation family maps rows to sufficient statistics s with log p(row | k) = <s, t_k> + base, and back. An entry
// of t that is -infinity is the log of a probability of 0: 0 times that is 0, and rows that ask for it are impossible.
// For a distribution over a latent it gives E_q[s], which is all that makes it a prior as well. A missing cell (NaN) is
// integrated out: where cells are independent given the component it has no statistics, elsewhere its conditional
// moments take its place. Legend: N rows, D features, K components, P statistics.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "vem/core/registry.h"
#include "vem/data/dataset.h"
#include "vem/dist/exponential_family.h"
#include "vem/dist/normal.h"
#include "vem/infer/block.h"
#include "vem/infer/marginals.h"

namespace vem {

/// Means and variances [D], float64, that a data-dependent prior is centred on. Their covariance has D^2 numbers, so it
/// is formed only for a family that asks for it, and only of the columns that the family explains.
class Moments {
 public:
  Moments() = default;
  /// Of a distribution whose covariance [D, D] is known.
  Moments(const Tensor& mean, const Tensor& covariance);
  /// covariance_of: columns [d] int64 to their covariance [d, d], whose diagonal is their variance.
  using CovarianceOf = std::function<Tensor(const Tensor& columns)>;
  Moments(Tensor mean, Tensor variance, CovarianceOf covariance_of)
      : mean(std::move(mean)), variance(std::move(variance)), covariance_of_(std::move(covariance_of)) {}

  /// [D, D], formed anew by each call.
  Tensor covariance() const;
  /// Those of some columns [d] int64.
  Moments of(const Tensor& columns) const;
  /// Those of (x - center) / scale, both [D].
  Moments scaled(const Tensor& center, const Tensor& scale) const;

  Tensor mean, variance;

 private:
  CovarianceOf covariance_of_;
};
/// Weighted moments of rows x [N, D] with weights [N]; covariances have the divisor sum(weight) - 1, so that whole
/// weights count as repeated rows. Of missing cells (NaN) a column's mean and variance know nothing; in covariances
/// they stand at the mean, which keeps the matrix positive definite. The mean of a column without any cell is NaN. The
/// same bits for any number of threads.
Moments moments(const Tensor& x, const Tensor& weight);

/// Base of the options of conjugate parts. The model that encloses them tells its estimate (it is no option here), so
/// that options without effect are left out; as long as nobody did, every option counts.
struct ConjugateOptions : Options {
  std::optional<Estimate> estimate;
  /// Whether some column is a real number whose unit is arbitrary, so that it may be shifted and scaled.
  virtual bool real_valued() const { return false; }
  bool has_prior() const { return estimate != Estimate::ml; }
  bool has_mode() const { return !estimate || *estimate == Estimate::ml || *estimate == Estimate::map; }
  static void tell(const Choice& choice, Estimate estimate);
};
/// Throws the ConfigError of an option that was changed although the estimate leaves it without effect.
void refuse_without_effect(bool changed, const std::string& option, const std::string& condition);

/// Standard normal noise [rows, *shape] of the rows at hand, by the name of its stream.
using RowNoise = std::function<Tensor(const Shape& shape, std::string_view stream)>;

/// Rows against components at a fixed t: prepared once an E-step, then shared by its threads. No gradients.
/// Legend: C columns of what is made of rows once, for log_lik() and sums(); F of sums: statistics without repetitions.
class RowKernel {
 public:
  virtual ~RowKernel() = default;
  virtual Tensor features(const Tensor& x) const = 0;                          ///< rows [n, D] -> [n, C]
  virtual Tensor log_lik(const Tensor& features) const = 0;                    ///< -> [n, K]
  virtual Tensor sums(const Tensor& features, const Tensor& marginals) const;  ///< marginals [n, K] -> [K, F]
  virtual Tensor statistics(const Tensor& sums) const = 0;                     ///< [K, F] -> sums of s [K, P]
  /// As sums() for one component a row (marginals of ones and zeros), with missing cells drawn where they matter.
  virtual Tensor drawn_sums(const Tensor& features, const Tensor& marginals, const RowNoise& noise) const;
};

class Observation {
 public:
  static constexpr const char* kKind = "observation";
  struct Context {
    int64_t num_features;
    at::ScalarType dtype;  ///< of products of statistics: float32 means float32 products within a chunk
    Estimate estimate = Estimate::posterior;
    int64_t num_components = 1;
    std::string prefix{};                      ///< of its blocks' names: "" or "prior."
    std::vector<std::string> feature_names{};  ///< empty where they have none
    const Registry* registry = nullptr;        ///< for observations that are made of others
  };
  explicit Observation(const Context& context) : context_(context) {}
  virtual ~Observation() = default;
  const Context& context() const { return context_; }

  // Parameters.

  const std::vector<std::shared_ptr<ConjugateBlock>>& blocks() const { return blocks_; }
  /// Sets the blocks' priors, and q to them.
  virtual void set_priors(const Moments& moments) = 0;
  /// t of every component [K, P], linear in the blocks' t and differentiable. The default: that of the one block.
  virtual Tensor point(const TensorMap& globals) const;
  /// Likewise at the blocks' own t, without gradients.
  Tensor point() const;
  /// The adjoint of point(): sums of s [K, P] to sums by key.
  virtual TensorMap spread(const Tensor& sums) const;
  /// The components at t in the units of the rows: "means" [K, D], "covariances" [K, D, D], "rates" ...
  virtual TensorMap describe(const Tensor& t) const = 0;
  /// The names that describe() gives, in the order in which people read them.
  virtual std::vector<std::string> parameters() const = 0;
  /// What describe() gave, for rows that are x * scale + center instead; only real_columns() have either.
  virtual TensorMap rescaled(TensorMap parts, const Tensor& scale, const Tensor& center) const;

  // Rows.

  /// How many rows before a row its density depends on. Where there are any, "rows x" below means with_history() of
  /// rows, [N, D (1 + lags)], except in supported() and coordinates(): those see the rows alone.
  virtual int64_t lags() const { return 0; }

  /// [D] bool: columns that are real numbers whose unit is arbitrary; a model may shift and scale these, and no others.
  virtual Tensor real_columns() const;
  /// [D] bool: columns of symbols, which have probabilities and no moments. The default: none.
  virtual Tensor symbol_columns() const;
  /// [N, D] bool: cells that the family can explain; a missing one counts as explained where it can be missing.
  virtual Tensor supported(const Tensor& x) const = 0;
  /// What supported() asks of a column, in words: "a finite number".
  virtual std::string support(int64_t column) const = 0;
  /// Rows as points between which distances mean something: for starts. Missing coordinates are NaN. Default: the rows.
  virtual Tensor coordinates(const Tensor& x) const { return x; }
  /// s of rows x [N, D] -> [N, P], float64.
  virtual Tensor statistics(const Tensor& x) const = 0;
  /// E_q[s] [N, P], differentiable; ConfigError where the family is no prior for that kind of q (the default).
  virtual Tensor statistics(const Distribution& q) const;
  /// log p(row | k) - <s, t_k>, the same for every component: [] or [N, 1].
  virtual Tensor log_base(const Tensor& s) const = 0;
  /// [N, K] log-likelihoods, differentiable in s and t [K, P].
  Tensor log_lik(const Tensor& s, const Tensor& t) const;
  /// The adjoint: marginals [N, K] -> sums [K, P].
  Tensor sums(const Tensor& s, const Tensor& marginals) const;
  /// What the closed-form E-step runs on rows; the default is statistics(), log_lik() and sums(). `exact`: in float64
  /// whatever the context says, for rows whose distance from the components at t says nothing (a start).
  virtual std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool exact = false) const;
  /// The kernel of chunks with missing cells; null (the default) where kernel() takes them too.
  virtual std::unique_ptr<const RowKernel> incomplete_kernel(const Tensor& t) const;

  // For methods and exports: in float64 from rows x of any floating type, from tensors of the blocks only, for any
  // number of rows, so that they can be traced (with complete rows).

  /// log p(row | k) at t [N, K].
  virtual Tensor log_prob(const Tensor& x, const Tensor& t) const;
  /// x with its missing cells filled by what is expected (for symbols: most probable), given the probabilities of the
  /// components r [N, K]. Not for tracing. The default, for independent cells: from marginals().
  virtual Tensor completed(const Tensor& x, const Tensor& r) const;
  /// log of the predictive density of a row, theta integrated over q [N, K].
  virtual Tensor log_predictive(const Tensor& x) const = 0;
  /// Latent variables that each component has of its own, L.
  virtual int64_t num_latents() const { return 0; }
  /// Their posterior means [N, K, L] given rows x, at the blocks' t; traceable with complete rows. Where there are
  /// some.
  virtual Tensor latents(const Tensor&) const { return {}; }
  /// The columns of a new row on their own, where rows do not depend on each other given their components: predictive
  /// distributions for a posterior, else those at the blocks' t. Throws Error where they do (the default).
  virtual Marginals marginals() const;
  /// Where rows depend on those before: [items, horizon, D] of the rows to come, from the probabilities of the
  /// component of the next row [items, K], transitions [K, K] after it, and the last rows of each item, the last first
  /// [items, D lags]. Intervals as in mixture_forecast(). Throws Error elsewhere (the default).
  virtual ColumnForecast forecast(const Tensor& next, const Tensor& transition, const Tensor& past, int64_t horizon,
                                  double level) const;
  /// Draws a row for each component index [n]: [n, D] from the components at t, where `index` is 0 .. n - 1 [n] int64.
  /// With lags, one item of n rows. Traceable with Rng::recorded().
  virtual Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const = 0;
  /// Likewise from the predictive density.
  virtual Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const = 0;

  /// Numbers worth a remark about the fitted family: "components.flat", directions in which the training rows do not
  /// vary, so that the prior alone gives components a width there. Without an entry: nothing to be said.
  virtual std::map<std::string, double> diagnostics() const { return {}; }

 protected:
  int64_t D() const { return context_.num_features; }
  int64_t K() const { return context_.num_components; }
  /// Adds the one block of most families, "<prefix>components".
  void add_components(std::shared_ptr<const ExponentialFamily> family, int64_t rows);
  const ConjugateBlock& components() const { return *blocks_.at(0); }

  Context context_;
  std::vector<std::shared_ptr<ConjugateBlock>> blocks_;
};

}  // namespace vem
