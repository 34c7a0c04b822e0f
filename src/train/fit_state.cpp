// Trainer state to tensors and back. What comes back is from a file that may be damaged or of another run, so every
// entry is checked against the model and the data before it is used.
#include "fit_state.h"

#include <set>

#include "vem/core/error.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

const std::string kTrainerPrefix = "trainer/";

void put(TensorMap& out, const std::string& prefix, const Expectation& e) {
  if (!e.count.defined()) return;
  out[prefix + "count"] = e.count.clone();
  out[prefix + "bound"] = e.bound.clone();
  for (const auto& [key, value] : e.sums) out[prefix + "sums/" + key] = value.clone();
  for (const auto& [key, value] : e.metrics) out[prefix + "metrics/" + key] = value.clone();
}

/// The "trainer/" entries of a checkpoint. Each is taken by name, type and shape; what is left over is an error.
class Entries {
 public:
  explicit Entries(const TensorMap& tensors) : tensors_(tensors) {
    for (const auto& entry : tensors)
      if (entry.first.compare(0, kTrainerPrefix.size(), kTrainerPrefix) == 0) left_.insert(entry.first);
  }

  bool has(const std::string& name) const { return tensors_.count(kTrainerPrefix + name) > 0; }

  Tensor take(const std::string& name, at::ScalarType type, at::IntArrayRef sizes) {
    const auto it = tensors_.find(kTrainerPrefix + name);
    if (it == tensors_.end()) fail<DataError>("{}{}: is missing", kTrainerPrefix, name);
    left_.erase(it->first);
    if (it->second.scalar_type() != type || it->second.sizes() != sizes)
      fail<DataError>("{}{}: is {}, {} is expected", kTrainerPrefix, name,
                      type_and_shape(it->second.scalar_type(), it->second.sizes()), type_and_shape(type, sizes));
    return it->second.clone();
  }

  /// A whole number in [least, most].
  static int64_t in_range(const char* what, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most)
      fail<DataError>("{}counters: {} is {}, [{}, {}] is expected", kTrainerPrefix, what, value, least, most);
    return value;
  }

  /// One entry for each key of `like`, of its type and shape; with `rows`, of so many rows instead.
  TensorMap take_all(const std::string& prefix, const TensorMap& like, int64_t rows = -1) {
    TensorMap all;
    for (const auto& [key, value] : like) {
      Shape shape = value.sizes().vec();
      if (rows >= 0) shape.at(0) = rows;
      all[key] = take(prefix + key, value.scalar_type(), shape);
    }
    return all;
  }

  /// What put() wrote, if it wrote something; with `sums` or without.
  Expectation take_expectation(const std::string& prefix, const Expectation& like, bool sums) {
    Expectation e;
    if (!has(prefix + "count")) return e;
    e.count = take(prefix + "count", at::kDouble, {});
    e.bound = take(prefix + "bound", at::kDouble, {});
    if (sums) e.sums = take_all(prefix + "sums/", like.sums);
    e.metrics = take_all(prefix + "metrics/", like.metrics);
    return e;
  }

  /// Everything below a prefix, whatever it is, by what follows the prefix.
  TensorMap take_below(const std::string& prefix) {
    TensorMap all;
    const std::string whole = kTrainerPrefix + prefix;
    for (auto it = left_.lower_bound(whole); it != left_.end() && it->compare(0, whole.size(), whole) == 0;) {
      all[it->substr(whole.size())] = tensors_.at(*it).clone();
      it = left_.erase(it);
    }
    return all;
  }

  void expect_nothing_left() const {
    if (!left_.empty()) fail<DataError>("{}: is no part of this model's training", *left_.begin());
  }

 private:
  const TensorMap& tensors_;
  std::set<std::string> left_;
};

}  // namespace

std::string type_and_shape(at::ScalarType type, at::IntArrayRef sizes) {
  return fmt::format("{} [{}]", c10::toString(type), fmt::join(sizes, ", "));
}

FitState::FitState()
    : best(-kInfinity), previous(std::nan("")), pass_end(std::nan("")), bounds(at::empty({0}, at::kDouble)) {}

TensorMap FitState::to_tensors() const {
  TensorMap out;
  out[kTrainerPrefix + "counters"] = at::tensor({epoch, batch, iteration, epochs_since_best}, at::kLong);
  out[kTrainerPrefix + "bounds"] = at::tensor({best, previous, pass_end}, at::kDouble);
  out[kTrainerPrefix + "judged"] = bounds.clone();
  put(out, kTrainerPrefix + "epoch_total/", epoch_total);
  put(out, kTrainerPrefix + "total/", total);
  for (const auto& [key, value] : local) out[kTrainerPrefix + "local/" + key] = value.clone();
  for (const auto& [key, value] : extrapolation) out[kTrainerPrefix + "extrapolation/" + key] = value.clone();
  for (size_t b = 0; b < cache.size(); ++b) put(out, fmt::format("{}cache/{}/", kTrainerPrefix, b), cache[b]);
  if (!cache.empty()) {
    out[kTrainerPrefix + "batches"] = at::scalar_tensor(static_cast<int64_t>(cache.size()), at::kLong);
    for (size_t b = 0; b < entropy.size(); ++b)
      if (entropy[b].defined()) out[fmt::format("{}entropy/{}", kTrainerPrefix, b)] = entropy[b].clone();
  }
  return out;
}

FitState FitState::from_tensors(const TensorMap& tensors, const FitShape& shape) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 2;
  Entries entries(tensors);
  if (!entries.has("counters")) fail<DataError>("there is no trainer state to resume from");
  FitState s;
  const Tensor counters = entries.take("counters", at::kLong, {4}), bounds = entries.take("bounds", at::kDouble, {3});
  const auto* n = counters.data_ptr<int64_t>();
  s.epoch = Entries::in_range("epochs done", n[0], 0, kMost);
  s.batch = Entries::in_range("batches of the pass that are done", n[1], 0, shape.batches);
  s.iteration = Entries::in_range("updates done", n[2], 0, kMost);
  s.epochs_since_best = Entries::in_range("epochs since the best one", n[3], 0, s.epoch);
  const auto* b = bounds.data_ptr<double>();
  s.best = b[0], s.previous = b[1], s.pass_end = b[2];
  if (entries.has("judged")) s.bounds = entries.take("judged", at::kDouble, {s.epoch});  // older files have none
  s.epoch_total = entries.take_expectation("epoch_total/", shape.empty, /*sums=*/false);
  if (s.epoch > 0 || s.batch > 0)  // before the first E-step there is none
    s.local = entries.take_all("local/", shape.empty.local, shape.items);
  s.extrapolation = entries.take_below("extrapolation/");
  if (shape.memoised) {
    if (const int64_t batches = entries.take("batches", at::kLong, {}).item<int64_t>(); batches != shape.batches)
      fail<DataError>("{}batches: is {}, {} is expected", kTrainerPrefix, batches, shape.batches);
    s.total = entries.take_expectation("total/", shape.empty, /*sums=*/true);
    s.cache.resize(static_cast<size_t>(shape.batches));
    s.entropy.resize(s.cache.size());
    for (size_t i = 0; i < s.cache.size(); ++i) {
      s.cache[i] = entries.take_expectation(fmt::format("cache/{}/", i), shape.empty, /*sums=*/true);
      if (s.cache[i].count.defined()) s.entropy[i] = entries.take(fmt::format("entropy/{}", i), at::kDouble, {});
    }
  }
  entries.expect_nothing_left();
  return s;
}

}  // namespace vem
