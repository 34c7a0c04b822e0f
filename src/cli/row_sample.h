// Some rows of the data whose components are looked at after each draw of a Gibbs sampler.
#pragma once

#include "vem/data/source.h"
#include "vem/infer/model.h"

namespace vem {

/// Up to 500 rows, spread over the file of the training items. The same of every run on that file, whatever items it
/// has kept for validation or a test: where a row belongs does not depend on whether the model was trained on it.
class RowSample {
 public:
  RowSample(const Splits& splits, at::ScalarType dtype);
  /// The most probable of `num_components` components for each row, [R] int64, by the method "responsibilities".
  /// Undefined if that speaks of something else, such as states that are mixtures of components.
  Tensor components(const Method& responsibilities, int64_t num_components) const;
  /// A hash of the rows, below 2^53.
  int64_t id() const { return id_; }

 private:
  std::vector<Batch> parts_;  // of the splits
  Tensor kept_;               // places of the sampled rows among those of all parts, in the order of the file
  int64_t id_;
};

}  // namespace vem
