// What evaluation estimates of models with latent variables: likelihoods, what they cost, and what latents look like.
// Each prints its rows, in nats per item, and returns them for evaluation.json.
#pragma once

#include <limits>

#include "impossible.h"

namespace vem {

using Json = nlohmann::ordered_json;

/// Mean over items, -infinity if one of them is, with its standard error; NaN where that is not known (one item, or an
/// infinite mean). float64.
struct Estimated {
  explicit Estimated(const Tensor& values);
  /// "+- 0.1234", or why there is none.
  std::string error_text() const;
  double mean, error = std::numeric_limits<double>::quiet_NaN();
};

void print_row(const std::string& name, double value, const std::string& remark = "");
void print_row(const std::string& name, const Estimated& value, const std::string& remark);

/// The log-likelihood of each item [items] float64, where the model has it exactly or by importance sampling; undefined
/// where it has neither.
Tensor log_likelihood(const std::vector<Method>& methods, const Model& model, const Dataset& data, int64_t samples,
                      uint64_t seed);

/// Importance samples an item.
struct ImportanceSamples {
  int64_t all;           ///< of the estimate of the log-likelihood
  int64_t of_bound = 0;  ///< of the bound that is also shown, the mean over groups of so many of them; 0: none
};
/// Importance sampling, with the log-likelihood of each item [items] float64.
std::pair<Json, Tensor> print_importance(const Method& importance, const Model& model, const Dataset& data,
                                         const ImportanceSamples& samples, uint64_t seed);

/// What the family of q costs, and what the encoder costs on top of that (Cremer, Li and Duvenaud 2018): differences of
/// means over the same items, with the standard error of the difference.
Json print_gaps(const Method& bounds, const Model& model, const Dataset& data, int64_t steps, int64_t samples,
                uint64_t seed);

/// The likelihood by annealing; and on as many items that the model itself has made, for which there is an upper bound
/// too, how far apart the bounds are: as far off is the estimate (Grosse, Ghahramani and Adams 2015).
Json print_annealed(const std::vector<Method>& methods, const Model& model, const Dataset& data, int64_t temperatures,
                    uint64_t seed);

/// The mean KL to the prior in parts, by the aggregate posterior of some items (Hoffman and Johnson 2016).
Json print_aggregate(const Method& aggregate, const Model& model, const Dataset& data, uint64_t seed);

}  // namespace vem
