// Checks at the boundary of the distributions, with messages that name function, argument and value.
#pragma once

#include <initializer_list>

#include "vem/core/error.h"
#include "vem/dist/distribution.h"

namespace vem {

struct NamedParameter {
  const char* name;
  const Tensor& value;
  int64_t event_dims = 0;
};

/// The parameters of distribution `where` with their batch dimensions broadcast; Error where types or shapes do not
/// fit.
std::vector<Tensor> broadcast(const char* where, std::initializer_list<NamedParameter> parameters);
/// NumericError "where: argument must be WANTED, got VALUE at [place]" unless `ok` everywhere.
void require(const Tensor& ok, const Tensor& value, const char* where, const char* argument, const char* wanted);
/// `value` itself, finite and above zero everywhere.
const Tensor& positive(const Tensor& value, const char* where, const char* argument);
/// Error unless `ok`: "where: argument has shape [...] but EXPECTED is expected".
void require_shape(bool ok, const Tensor& value, const char* where, const char* argument, const char* expected);

/// Error unless x broadcasts with [batch, event] and ends in the event shape.
void check_shape(const char* name, const Tensor& x, const Shape& batch, const Shape& event);
/// DataError unless every value of x is in the support (NaN is in none but the reals).
void check_support(const char* name, const Tensor& x, Support support);

/// Whether a tensor of sizes `from` expands to `to`.
bool broadcasts_to(at::IntArrayRef from, at::IntArrayRef to);
/// [a, b] as one shape.
Shape concatenated(const Shape& a, const Shape& b);

}  // namespace vem
