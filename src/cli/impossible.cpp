#include "impossible.h"

#include "text.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

constexpr int64_t kNamed = 3;  // impossible items that are named

/// Rows [n] bool of an output that say of their item that it is impossible.
Tensor impossible_rows(const Tensor& output) {
  const Tensor rows = output.reshape({output.size(0), -1});
  if (!rows.is_floating_point()) return rows.lt(0).any(1);
  return rows.isnan().logical_or(rows.eq(-kInfinity)).any(1);
}

/// Methods whose result does not exist for an impossible row; elsewhere NaN is a fault.
bool may_be_missing(const std::string& method) {
  return method == "responsibilities" || method == "filter" || method == "predict";
}

}  // namespace

nlohmann::ordered_json number_of_json(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

void print_impossible_rows(const std::string& method, const std::vector<std::string>& names,
                           const std::vector<Tensor>& outputs) {
  Tensor impossible;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor bad = outputs[i].reshape({outputs[i].size(0), -1}).isnan().any(1);
    if (!may_be_missing(method) && bad.any().item<bool>())
      fail<NumericError>("{}: {} of row {} is not a number (NaN); are there very large numbers in the data?", method,
                         names[i], bad.to(at::kLong).argmax().item<int64_t>());
    const Tensor own = impossible_rows(outputs[i]);
    impossible = impossible.defined() ? impossible.logical_or(own) : own;
  }
  const int64_t count = impossible.sum().item<int64_t>();
  if (count == 0) return;
  const bool label = !outputs[0].is_floating_point();
  fmt::print("{} of {} {} impossible under the model (probability 0), the first is row {}: {} {}\n", grouped(count),
             counted(impossible.numel(), "row"), count == 1 ? "is" : "are",
             impossible.to(at::kLong).argmax().item<int64_t>(), fmt::join(names, " and "),
             may_be_missing(method) ? label ? "there is -1" : "is missing there" : "is -inf there");
}

std::string first_impossible(const std::vector<Method>& methods, const Model& model, const Dataset& data,
                             const Tensor& log_likelihood) {
  const Tensor all = log_likelihood.eq(-kInfinity).nonzero().view({-1}), places = all.slice(0, 0, kNamed);
  const Method* filter = data.offsets.defined() ? Model::find(methods, "filter") : nullptr;
  std::vector<std::string> words;
  for (int64_t i = 0; i < places.numel(); ++i) {
    const int64_t place = places[i].item<int64_t>();
    if (!filter) {
      words.push_back(std::to_string(place));
      continue;
    }
    const Dataset one = data.subset(places.slice(0, i, i + 1));
    const Tensor missing = map_items(*filter, model, one, 0)[0].isnan().any(1);
    words.push_back(fmt::format("{} at its step {}", place, missing.to(at::kLong).argmax().item<int64_t>()));
  }
  return fmt::format("{} {}{}",
                     filter              ? "sequence"
                     : words.size() == 1 ? "item"
                                         : "items",
                     fmt::join(words, ", "), places.numel() < all.numel() ? " ..." : "");
}

}  // namespace vem
