// The columns of a row that is to come, each on its own: their distributions under every component, and what a mixture
// of components says of them. Legend: N rows, K components, D columns, C symbols of a column.
#pragma once

#include <functional>
#include <vector>

#include "vem/core/types.h"

namespace vem {

/// Under each component, parameters integrated out where they have a posterior, else at their point. Tensors are
/// [K, D] float64.
struct Marginals {
  Tensor mean;      ///< infinite where it diverges; the centre of a symmetric density that has none; NaN of symbols
  Tensor variance;  ///< infinite where it diverges; NaN of symbols
  Tensor location, spread;  ///< finite: about where the mass is and how far it reaches; where a search begins
  Tensor whole;             ///< [D] bool: columns of whole numbers >= 0
  /// P(x_column <= x | component), for columns of numbers.
  std::function<double(int64_t component, int64_t column, double x)> cdf;
  std::vector<Tensor> symbols;  ///< of each column: probabilities of its symbols [K, C]; undefined of numbers
};

/// Normal columns, or Student-t ones where `degrees` of freedom [K, D] is defined. `scale` [K, D]: the standard
/// deviation, or that of the Student-t.
Marginals normal_marginals(const Tensor& mean, const Tensor& scale, const Tensor& degrees = {});

/// What is said of rows to come. Tensors end with [D].
struct ColumnForecast {
  Tensor mean, variance;        ///< as in Marginals
  Tensor lower, upper;          ///< the central interval of a given probability; NaN of symbols
  std::vector<Tensor> symbols;  ///< of each column: probabilities of its symbols [.., C]; undefined of numbers
};
/// Of rows whose components have the probabilities p [N, K]. `level` in (0, 1): the probability of the intervals, whose
/// ends are the quantiles (1 - level) / 2 and (1 + level) / 2 of the mixture; of whole numbers the smallest with at
/// least that much below or at them. Rows of p with NaN give NaN.
ColumnForecast mixture_forecast(const Marginals& marginals, const Tensor& p, double level);

}  // namespace vem
