// The step is limited, as in the authors' own program: the limit grows while longer steps are kept and shrinks with one
// that is taken back.
#include "squarem.h"

#include "fit_state.h"
#include "vem/core/error.h"

namespace vem {
namespace {

constexpr double kFirstLimit = 4, kGrowth = 4;

TensorMap coordinates(const Model& model) {
  TensorMap all;
  for (const auto& block : model.blocks())
    if (const Tensor u = block->coordinates(); u.defined()) all[block->name()] = u;
  return all;
}

double squared_norm(const Tensor& x) {
  return at::where(at::isfinite(x), x, at::zeros_like(x)).square().sum().item<double>();
}

}  // namespace

void Squarem::check(const Model& model) const {
  const TensorMap now = coordinates(model);
  for (const auto& [key, value] : memory_) {
    const bool point = key.compare(0, 2, "0/") == 0 || key.compare(0, 2, "1/") == 0;
    const auto it = point ? now.find(key.substr(2)) : now.end();
    const bool fits =
        value.scalar_type() == at::kDouble &&
        (point ? it != now.end() && value.sizes() == it->second.sizes() : key == "limit" && value.dim() == 0);
    if (!fits)
      fail<DataError>("trainer/extrapolation/{}: {} does not fit this model", key,
                      type_and_shape(value.scalar_type(), value.sizes()));
  }
}

double Squarem::limit() const {
  const auto it = memory_.find("limit");
  return it == memory_.end() ? kFirstLimit : it->second.item<double>();
}

void Squarem::set_limit(double limit) { memory_["limit"] = at::scalar_tensor(limit, at::kDouble); }

void Squarem::forget() {
  const Tensor kept = at::scalar_tensor(limit(), at::kDouble);
  memory_.clear();
  memory_["limit"] = kept;
}

bool Squarem::extrapolate(Model& model) {
  const TensorMap now = coordinates(model);
  const auto remember = [&](const std::string& place) {
    for (const auto& [name, u] : now) memory_[place + name] = u.clone();
  };
  const auto has = [&](const std::string& place) { return memory_.count(place + now.begin()->first) > 0; };
  if (now.empty() || !has("0/") || !has("1/")) {
    if (!now.empty()) remember(has("0/") ? "1/" : "0/");
    return false;
  }
  TensorMap r, v;
  double r2 = 0, v2 = 0;
  for (const auto& [name, u] : now) {
    r[name] = memory_["1/" + name] - memory_["0/" + name];
    v[name] = u - memory_["1/" + name] - r[name];
    r2 += squared_norm(r[name]);
    v2 += squared_norm(v[name]);
  }
  length_ = v2 > 0 ? std::min(std::sqrt(r2 / v2), limit()) : 1;
  if (!(length_ > 1)) {  // 1 is where two passes have led anyway
    forget();
    remember("0/");
    return false;
  }
  before_.clear();
  for (const auto& [key, value] : model.state()) before_[key] = value.detach().clone();
  for (const auto& block : model.blocks())
    if (now.count(block->name()))
      block->set_coordinates(memory_["0/" + block->name()] + 2 * length_ * r[block->name()] +
                             length_ * length_ * v[block->name()]);
  forget();
  return true;
}

void Squarem::keep() {
  if (length_ >= limit()) set_limit(kGrowth * limit());
}

void Squarem::undo(Model& model) {
  model.load(before_);
  set_limit(std::max(2.0, length_ / kGrowth));
}

}  // namespace vem
