#include "inference.h"

#include <torch/csrc/jit/frontend/tracer.h>

#include "vem/core/error.h"
#include "vem/infer/gradients.h"

namespace vem {

Inference::Inference(const LatentGraph& latents, const Likelihood& likelihood, const Objective& objective,
                     const TensorMap& globals, at::ScalarType dtype)
    : latents_(latents), likelihood_(likelihood), objective_(objective), globals_(globals), dtype_(dtype) {}

void Inference::find_keys(const GradientBlock& networks) {
  const TensorMap weights = networks.globals();
  for (const auto& [key, value] : globals_) (weights.count(key) > 0 ? keys_ : conjugate_keys_).push_back(key);
}

std::unique_ptr<World> Inference::world(const Batch& batch, const Tensor& seen, Network::Noise dropout) const {
  auto world = std::make_unique<World>(latents_.graph(), batch, std::move(dropout));
  if (seen.defined()) world->set("x", seen);
  for (const std::string& name : latents_.columns()) world->set(name, one_hot(name, batch));
  return world;
}

Tensor Inference::one_hot(const std::string& column, const Batch& batch) const {
  const Tensor& values = batch.at(column);
  const int64_t classes = latents_.graph().names.at(column).width;
  if (!torch::jit::tracer::isTracing()) {
    const Tensor bad = (values < 0).logical_or(values >= classes);
    if (bad.any().item<bool>()) {
      const int64_t row = bad.view({-1}).nonzero()[0].item<int64_t>(), value = values.view({-1})[row].item<int64_t>();
      fail<DataError>("vae: {} is {} in row {}, but the model reads it and needs one of 0 .. {}", column,
                      value < 0 ? std::string("missing") : std::to_string(value), row + 1, classes - 1);
    }
  }
  return values.view({-1, 1}).eq(at::arange(classes, at::kLong)).to(dtype_);
}

std::shared_ptr<const Prior> Inference::prior_at(const Group& group, const World& world) {
  return group.prior->conditional() ? group.prior->at(world.at(group.parents, group.level), false) : group.prior;
}

Trace Inference::trace(const std::vector<Draw>& leaves, World& density, const World& data, const Tensor& x) const {
  const auto stopped = std::make_shared<std::unique_ptr<World>>();
  Trace trace;
  for (size_t i = 0; i < leaves.size(); ++i) {
    const Group& group = latents_.groups()[i];
    if (leaves[i].known.defined()) {
      density.set(group.name, leaves[i].known);
      continue;
    }
    LatentSite site;
    site.name = group.name;
    site.closed_form = group.closed_form;
    if (group.prior->conditional()) site.prior = [&density, &group] { return prior_at(group, density); };
    if (group.conditioned)
      site.stopped = [this, stopped, &group, &density, &data] {
        if (!*stopped) {
          *stopped = data.stopped();
          for (const Group& other : latents_.groups()) (*stopped)->set(other.name, density.at(other.name));
        }
        return parameters_of(group, (*stopped)->read(group.encoder), parents_of_merged(group, **stopped), true);
      };
    trace.latents.emplace_back(*group.posterior, leaves[i].parameters, leaves[i].z0, *group.prior,
                               density.batch(group.level), globals_, std::move(site));
    density.set(group.name, trace.latents.back().z());
  }
  const Tensor by_row = likelihood_.log_prob(decode(density), x);
  Tensor log_px = by_row, weighted = by_row;
  const bool of_rows = std::all_of(latents_.groups().begin(), latents_.groups().end(),
                                   [](const Group& group) { return group.level == Level::rows; });
  if (!of_rows) log_px = weighted = density.batch(Level::rows).per_item(by_row);
  for (const Latent& latent : trace.latents) weighted = latent.expected(weighted);
  const Batch& rows = density.batch(of_rows ? Level::rows : Level::items);
  trace.log_px = rows.per_item(log_px);
  trace.weighted_log_px = rows.per_item(weighted);
  return trace;
}

// p of what is known is a factor of the joint density, whatever q is.
void Inference::add_known(const std::vector<Draw>& draws, Pass& pass) const {
  for (size_t i = 0; i < draws.size(); ++i) {
    if (!draws[i].known.defined()) continue;
    const Group& group = latents_.groups()[i];
    const Tensor log_p =
        group.prior->log_prob(draws[i].known.unsqueeze(0), pass.density->batch(group.level), globals_)[0];
    pass.log_known[group.name] = log_p;
    pass.classes[group.name] = draws[i].parameters.detach();
    pass.trace.log_px = pass.trace.log_px + log_p;
    pass.trace.weighted_log_px = pass.trace.weighted_log_px + log_p;
  }
}

// Networks ascend the surrogate; conjugate blocks take the gradient of the bound itself, since a KL weight must not
// shrink the statistics that they count.
Pass Inference::pass(const std::vector<Draw>& draws, const World& sampling, const Tensor& x, const Step& step,
                     Sums wanted, const std::map<std::string, double>& weights) const {
  const bool differentiate = at::GradMode::is_enabled();
  const auto leaf = [differentiate](const Tensor& value) { return value.detach().requires_grad_(differentiate); };
  Pass pass;
  std::vector<Draw> cut;
  std::vector<Tensor> leaves;
  for (const Draw& draw : draws) {
    cut.push_back({leaf(draw.parameters), draw.z0.defined() ? leaf(draw.z0) : Tensor(), draw.known});
    // One entry for each draw and its parameters; where there is no draw the parameters stand for it.
    leaves.insert(leaves.end(), {draw.z0.defined() ? cut.back().z0 : cut.back().parameters, cut.back().parameters});
  }
  pass.density = sampling.with_columns();
  pass.trace = trace(cut, *pass.density, sampling, x);
  add_known(cut, pass);
  pass.value = objective_(pass.trace, step);
  if (!differentiate) return pass;
  for (size_t i = 0; i < cut.size(); ++i) {
    const Group& group = latents_.groups()[i];
    const auto weight = weights.find(group.name);
    if (!cut[i].known.defined() || weight == weights.end() || weight->second == 0) continue;
    const Tensor learned = weight->second * group.posterior->at(cut[i].parameters)->log_prob(cut[i].known);
    pass.value.surrogate = pass.value.surrogate + pass.density->batch(group.level).per_item(learned);
  }

  const ObjectiveValue& value = pass.value;
  const Tensor weight = sampling.batch(Level::rows).weight.to(dtype_);
  std::vector<Tensor> inputs = leaves;
  std::vector<std::string> keys;
  const auto ask_for = [&](const std::vector<std::string>& more) {
    for (const std::string& key : more) inputs.push_back(globals_.at(key));
    keys.insert(keys.end(), more.begin(), more.end());
  };
  if (wanted == Sums::densities) {
    ask_for(keys_);
    if (value.surrogate.is_same(value.bound)) {
      ask_for(conjugate_keys_);
    } else if (!conjugate_keys_.empty()) {
      std::vector<Tensor> statistics;
      for (const std::string& key : conjugate_keys_) statistics.push_back(globals_.at(key));
      const auto sums = gradients_of({value.bound}, statistics, {weight}, true);
      for (size_t i = 0; i < sums.size(); ++i) pass.sums[conjugate_keys_[i]] = sums[i];
    }
  }
  const bool apart = value.q_surrogate.defined() && !value.q_surrogate.is_same(value.surrogate);
  std::vector<Tensor> gradients = gradients_where_reached({value.surrogate}, inputs, {weight}, apart);
  if (apart) {
    const auto own = gradients_where_reached({value.q_surrogate}, leaves, {weight});
    std::copy(own.begin(), own.end(), gradients.begin());
  }
  for (size_t i = 0; i < keys.size(); ++i)
    if (const Tensor& sum = gradients[i + leaves.size()]; sum.defined()) pass.sums[keys[i]] = sum;

  for (size_t i = 0; i < draws.size(); ++i) {
    const auto send = [&](const Tensor& output, const Tensor& gradient) {
      if (!output.requires_grad() || !gradient.defined()) return;
      pass.outputs.push_back(output);
      pass.gradients.push_back(gradient);
    };
    Tensor path = gradients[2 * i];
    if (path.defined() && value.path_scale.defined()) {
      const Level level = latents_.groups()[i].level;
      const Batch& items = sampling.batch(level);
      const Tensor scale =
          items.offsets.defined() ? value.path_scale.index_select(1, items.row_item()) : value.path_scale;
      path = path * scale.unsqueeze(-1);
    }
    send(draws[i].parameters, gradients[2 * i + 1]);
    if (draws[i].z0.defined()) send(draws[i].z0, path);
  }
  return pass;
}

void Inference::add_sampling_sums(const Pass& pass, TensorMap& sums) const {
  std::vector<Tensor> weights;
  for (const std::string& key : keys_) weights.push_back(globals_.at(key));
  std::vector<Tensor> gradients(weights.size());
  if (!pass.outputs.empty()) gradients = gradients_where_reached(pass.outputs, weights, pass.gradients);
  for (size_t i = 0; i < keys_.size(); ++i) {
    Tensor& sum = sums[keys_[i]];
    if (gradients[i].defined()) sum = sum.defined() ? sum + gradients[i] : gradients[i];  // both graphs may reach it
    if (!sum.defined()) sum = at::zeros_like(weights[i]);
  }
}

}  // namespace vem
