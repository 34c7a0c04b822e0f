// Trainer state to tensors and back.
#include "fit_state.h"

#include "vem/core/error.h"

namespace vem {
namespace {

const std::string kPrefix = "trainer/";

void put(TensorMap& out, const std::string& prefix, const Expectation& e) {
  if (!e.count.defined()) return;
  out[prefix + "count"] = e.count.clone();
  out[prefix + "bound"] = e.bound.clone();
  for (const auto& [key, value] : e.sums) out[prefix + "sums/" + key] = value.clone();
  for (const auto& [key, value] : e.metrics) out[prefix + "metrics/" + key] = value.clone();
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

/// The entries below a prefix, by what follows it.
TensorMap below(const TensorMap& in, const std::string& prefix) {
  TensorMap out;
  for (const auto& [key, value] : in)
    if (starts_with(key, prefix)) out[key.substr(prefix.size())] = value.clone();
  return out;
}

Expectation get_expectation(const TensorMap& in, const std::string& prefix) {
  Expectation e;
  if (!in.count(prefix + "count")) return e;
  e.count = in.at(prefix + "count").clone();
  e.bound = in.at(prefix + "bound").clone();
  e.sums = below(in, prefix + "sums/");
  e.metrics = below(in, prefix + "metrics/");
  return e;
}

}  // namespace

FitState::FitState()
    : best(-std::numeric_limits<double>::infinity()),
      previous(std::nan("")),
      pass_end(std::nan("")),
      bounds(at::empty({0}, at::kDouble)) {}

TensorMap FitState::to_tensors() const {
  TensorMap out;
  out[kPrefix + "counters"] = at::tensor({epoch, batch, iteration, epochs_since_best}, at::kLong);
  out[kPrefix + "bounds"] = at::tensor({best, previous, pass_end}, at::kDouble);
  out[kPrefix + "judged"] = bounds.clone();
  put(out, kPrefix + "epoch_total/", epoch_total);
  put(out, kPrefix + "total/", total);
  for (const auto& [key, value] : local) out[kPrefix + "local/" + key] = value.clone();
  for (const auto& [key, value] : extrapolation) out[kPrefix + "extrapolation/" + key] = value.clone();
  for (size_t b = 0; b < cache.size(); ++b) put(out, fmt::format("{}cache/{}/", kPrefix, b), cache[b]);
  if (!cache.empty()) {
    out[kPrefix + "batches"] = at::scalar_tensor(static_cast<int64_t>(cache.size()), at::kLong);
    for (size_t b = 0; b < entropy.size(); ++b)
      if (entropy[b].defined()) out[fmt::format("{}entropy/{}", kPrefix, b)] = entropy[b].clone();
  }
  return out;
}

FitState FitState::from_tensors(const TensorMap& in) {
  FitState s;
  if (!in.count(kPrefix + "counters")) fail<DataError>("fit: the checkpoint holds no trainer state to resume from");
  const Tensor counters = in.at(kPrefix + "counters"), bounds = in.at(kPrefix + "bounds");
  if (const auto judged = in.find(kPrefix + "judged"); judged != in.end()) s.bounds = judged->second.clone();
  const auto* n = counters.data_ptr<int64_t>();
  s.epoch = n[0], s.batch = n[1], s.iteration = n[2], s.epochs_since_best = n[3];
  s.best = bounds.data_ptr<double>()[0], s.previous = bounds.data_ptr<double>()[1];
  s.pass_end = bounds.data_ptr<double>()[2];
  s.epoch_total = get_expectation(in, kPrefix + "epoch_total/");
  s.total = get_expectation(in, kPrefix + "total/");
  s.local = below(in, kPrefix + "local/");
  s.extrapolation = below(in, kPrefix + "extrapolation/");
  if (const auto it = in.find(kPrefix + "batches"); it != in.end()) {
    const auto batches = static_cast<size_t>(it->second.item<int64_t>());
    s.cache.resize(batches);
    s.entropy.resize(batches);
    for (size_t b = 0; b < batches; ++b) {
      s.cache[b] = get_expectation(in, fmt::format("{}cache/{}/", kPrefix, b));
      if (const auto e = in.find(fmt::format("{}entropy/{}", kPrefix, b)); e != in.end())
        s.entropy[b] = e->second.clone();
    }
  }
  return s;
}

}  // namespace vem
