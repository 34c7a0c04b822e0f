// Rows of data on their way into an amortised model: the units that the likelihood takes, what an encoder sees of them,
// and what is learned of both before training. Legend: B items, R rows, D features.
#pragma once

#include "options.h"
#include "vem/data/dataset.h"

namespace vem {

/// What the networks and the likelihood see of rows "x".
class Rows {
 public:
  Rows(const AmortizedOptions& options, const Schema& schema, std::shared_ptr<const Likelihood> likelihood,
       std::shared_ptr<ConstantBlock> constants);

  /// Of rows in an E-step: Undefined where they are standardised, since they are centred in float64 then.
  at::ScalarType read_type() const { return standardized_ ? at::ScalarType::Undefined : dtype_; }
  /// Of rows that a method makes, and that an exported one is shown.
  at::ScalarType row_type() const { return standardized_ ? at::kDouble : dtype_; }

  /// Rows in the type of the networks, centred and scaled before that where they are standardised.
  Tensor scaled(const Tensor& x) const;
  /// The inverse, float64 where rows are standardised: float32 has no digits for small changes far from zero.
  Tensor unscaled(const Tensor& x) const;
  /// log |d scaled / d x| of each row [R] float64, of the cells that are there; undefined where rows are as they were.
  Tensor log_jacobian(const Tensor& x) const;
  /// What an encoder sees of scaled rows: zeros in missing cells, which is the mean if rows are standardised (Mattei
  /// and Frellsen 2019), and AmortizedOptions::encoder_inputs. `gaps`: whether cells may be missing.
  Tensor seen(const Tensor& scaled_rows, bool gaps = true) const;
  /// Limits of the numbers that an encoder sees.
  Range seen_range() const;

  /// Learns scales from the training data, which must be within the likelihood's support, and returns the mean and the
  /// variance [D] of scaled rows. Throws DataError.
  std::pair<Tensor, Tensor> learn(const Dataset& train);
  /// Throws NumericError for a first training step whose bound is not finite, where the cause is most often a column
  /// whose numbers are too large for networks that have learned nothing yet. `scaled_rows`: those of that step.
  void check_first_bound(double bound, const Tensor& scaled_rows) const;
  /// How many rows are looked at at once.
  int64_t chunk() const;

 private:
  std::string feature_name(int64_t i) const;
  /// Mean and variance [D] float64 of the weighted training data; NaN is missing.
  std::pair<Tensor, Tensor> moments(const Dataset& train) const;
  /// Mean and variance [D] of all columns of an image's channel together; of a table, as they are.
  std::pair<Tensor, Tensor> by_channel(const Tensor& mean, const Tensor& variance) const;
  /// Throws DataError for a column whose values the networks' type would round to one and the same number.
  void require_digits(const Tensor& mean, const Tensor& deviation) const;
  void require_support(const Batch& batch) const;
  double seen_number(double x) const;

  const AmortizedOptions& o_;
  Schema schema_;
  at::ScalarType dtype_;
  int64_t num_features_;
  bool standardized_, has_encoder_;
  Cells seen_as_;  // what encoder_inputs scales; Cells::unit where an encoder sees numbers as they are
  std::shared_ptr<const Likelihood> likelihood_;
  std::shared_ptr<ConstantBlock> constants_;
};

}  // namespace vem
