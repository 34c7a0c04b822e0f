// Every distribution of the library, one row each: all tests of this folder run over these rows.
#pragma once

#include <functional>
#include <memory>
#include <ostream>

#include "vem/dist/distribution.h"

namespace vem {

using Parameters = std::vector<Tensor>;

/// Points of a quadrature or of a discrete support, and their weights [n]: sum w f(x) is the integral.
struct Grid {
  Tensor points;  // [n, event]
  Tensor weights;
};

/// A parameter out of its range, and the message.
struct Bad {
  size_t parameter;
  double value;
  std::string message;
};

struct Row {
  std::string name;
  std::function<std::shared_ptr<Distribution>(const Parameters&)> make;
  Parameters parameters, others;  ///< float64, of two different members with one batch shape
  Grid grid = {};                 ///< undefined where there are too many dimensions
  bool rejection = false;         ///< draws go through gamma draws, whose slope is not that of the algorithm
  std::vector<Bad> bad = {};
  size_t fixed = 0;  ///< leading parameters that closed-form divergences hold fixed
};
inline void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

const std::vector<Row>& rows();
const Row& row(const std::string& name);

}  // namespace vem
