// Checks of parameters and values. The first offending element is looked up only after a check has failed.
#include "check.h"

#include <ATen/ExpandUtils.h>

namespace vem {
namespace {

std::string text(at::IntArrayRef sizes) { return fmt::format("[{}]", fmt::join(sizes, ", ")); }

/// "-1" for a scalar, else "-1 at [0, 2]": the first element of `value` where ok is false.
std::string first_failure(const Tensor& ok, const Tensor& value) {
  const int64_t flat = ok.reshape({-1}).logical_not().to(at::kLong).argmax().item<int64_t>();
  const Tensor values = value.detach().expand(ok.sizes()).reshape({-1});
  Shape place(static_cast<size_t>(ok.dim()));
  int64_t rest = flat;
  for (int64_t d = ok.dim() - 1; d >= 0; --d) {
    place[static_cast<size_t>(d)] = rest % ok.size(d);
    rest /= ok.size(d);
  }
  const std::string number = fmt::format("{:g}", values[flat].item<double>());
  return place.empty() ? number : fmt::format("{} at {}", number, text(place));
}

bool holds(const Tensor& ok) { return ok.all().item<bool>(); }

/// Whether `a` broadcasts with `b`.
bool fits(at::IntArrayRef a, at::IntArrayRef b) {
  for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const int64_t x = a[a.size() - i], y = b[b.size() - i];
    if (x != y && x != 1 && y != 1) return false;
  }
  return true;
}

struct SupportRule {
  Tensor ok;
  const char* wanted;
};

/// What each support asks of every number, and what messages call it.
SupportRule rule(const Tensor& x, Support support) {
  const auto whole = [&] { return at::logical_and(x >= 0, x == x.floor()); };
  switch (support) {
    case Support::nonnegative:
      return {x >= 0, "not be negative"};
    case Support::unit_interval:
      return {at::logical_and(x >= 0, x <= 1), "be in [0, 1]"};
    case Support::count:
      return {whole(), "be a count 0, 1, 2 ..."};
    case Support::one_hot:
      return {at::logical_or(x == 0, x == 1), "be 0 or 1"};
    case Support::simplex:
      return {x >= 0, "not be negative"};
    case Support::positive_definite:
      return {x == x, "be a number"};
    default:
      return {};
  }
}

/// What a whole event must satisfy beside its numbers [..., batch].
SupportRule event_rule(const Tensor& x, Support support) {
  switch (support) {
    case Support::one_hot:
      return {x.sum(-1) == 1, "have one 1"};
    case Support::simplex:  // K roundings of float32
      return {(x.sum(-1) - 1).abs() < 1e-5, "have sum one"};
    case Support::positive_definite:
      return {at::logical_and(std::get<1>(at::linalg_cholesky_ex(x)) == 0,
                              at::isclose(x, x.transpose(-2, -1), 1e-4, 1e-30).flatten(-2).all(-1)),
              "be symmetric and positive definite"};
    default:
      return {};
  }
}

}  // namespace

bool broadcasts_to(at::IntArrayRef from, at::IntArrayRef to) {
  return from.size() <= to.size() && fits(from, to) && at::infer_size(from, to) == to.vec();
}

Shape concatenated(const Shape& a, const Shape& b) {
  Shape shape(a);
  shape.insert(shape.end(), b.begin(), b.end());
  return shape;
}

std::vector<Tensor> broadcast(const char* where, std::initializer_list<NamedParameter> parameters) {
  const NamedParameter& first = *parameters.begin();
  Shape batch;
  for (const NamedParameter& p : parameters) {
    if (p.value.scalar_type() != at::kFloat && p.value.scalar_type() != at::kDouble)
      fail<Error>("{}: {} is {}, float32 or float64 is expected", where, p.name, toString(p.value.scalar_type()));
    if (p.value.scalar_type() != first.value.scalar_type())
      fail<Error>("{}: {} is {} but {} is {}", where, p.name, toString(p.value.scalar_type()), first.name,
                  toString(first.value.scalar_type()));
    if (p.value.dim() < p.event_dims)
      fail<Error>("{}: {} has shape {} but at least {} dimension(s) are expected", where, p.name, text(p.value.sizes()),
                  p.event_dims);
    const auto own = p.value.sizes().slice(0, static_cast<size_t>(p.value.dim() - p.event_dims));
    if (!fits(own, batch))
      fail<Error>("{}: {} has shape {}, which does not broadcast with the batch shape {} of the other parameters",
                  where, p.name, text(p.value.sizes()), text(batch));
    batch = at::infer_size(own, batch);
  }
  std::vector<Tensor> result;
  for (const NamedParameter& p : parameters) {
    const auto event = p.value.sizes().slice(static_cast<size_t>(p.value.dim() - p.event_dims));
    const Shape full = concatenated(batch, event.vec());
    result.push_back(p.value.sizes() == at::IntArrayRef(full) ? p.value : p.value.expand(full));
  }
  return result;
}

void require(const Tensor& ok, const Tensor& value, const char* where, const char* argument, const char* wanted) {
  if (!holds(ok)) fail<NumericError>("{}: {} must be {}, got {}", where, argument, wanted, first_failure(ok, value));
}

const Tensor& positive(const Tensor& value, const char* where, const char* argument) {
  require(at::logical_and(value > 0, value < INFINITY), value, where, argument, "positive and finite");
  return value;
}

void require_shape(bool ok, const Tensor& value, const char* where, const char* argument, const char* expected) {
  if (!ok) fail<Error>("{}: {} has shape {} but {} is expected", where, argument, text(value.sizes()), expected);
}

void check_shape(const char* name, const Tensor& x, const Shape& batch, const Shape& event) {
  const auto event_dims = static_cast<int64_t>(event.size());
  const bool ends_in_event =
      x.dim() >= event_dims && x.sizes().slice(static_cast<size_t>(x.dim() - event_dims)) == at::IntArrayRef(event);
  if (!ends_in_event || !fits(x.sizes(), concatenated(batch, event)))
    fail<Error>("{}.log_prob: x has shape {}, which does not broadcast with batch {} and event {}", name,
                text(x.sizes()), text(batch), text(event));
}

void check_support(const char* name, const Tensor& x, Support support) {
  if (support == Support::real || support == Support::other) return;
  const Tensor value = x.detach();
  const SupportRule numbers = rule(value, support);
  if (numbers.ok.defined() && !holds(numbers.ok))
    fail<DataError>("{}.log_prob: x must {}, got {}", name, numbers.wanted, first_failure(numbers.ok, value));
  const SupportRule events = event_rule(value, support);
  if (events.ok.defined() && !holds(events.ok))
    fail<DataError>("{}.log_prob: event {} of x must {}", name,
                    events.ok.reshape({-1}).logical_not().to(at::kLong).argmax().item<int64_t>(), events.wanted);
}

}  // namespace vem
