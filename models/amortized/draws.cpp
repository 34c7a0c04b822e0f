// Draws of every group from q, one group after the other, and the rows of a chain one after the other.
#include "inference.h"
#include "vem/infer/over_time.h"
#include "vem/infer/time_order.h"

namespace vem {
namespace {

/// The normalised product of two normals with independent dimensions, as mean and log standard deviation side by side.
/// Precisions add up by their logarithms, so that neither overflows where the other is tiny.
Tensor merged(const DiagonalNormal& a, const DiagonalNormal& b) {
  const Tensor log_precision = at::logaddexp(-2 * a.log_std(), -2 * b.log_std());
  const Tensor share = (-2 * a.log_std() - log_precision).exp();
  return at::cat({share * a.mean() + (1 - share) * b.mean(), -0.5 * log_precision}, -1);
}

}  // namespace

TensorMap Inference::encoded(const World& world) const {
  TensorMap own;
  for (const Group& group : latents_.groups())
    if (!group.of_draws) own[group.name] = world.read(group.encoder);
  return own;
}

Tensor Inference::parameters_of(const Group& group, const Tensor& own, const Tensor& parents, bool stopped) const {
  if (!group.merged) return own;
  const auto p = group.prior->at(parents, stopped)->of_rows(), q = group.posterior->at(own);
  return merged(dynamic_cast<const DiagonalNormal&>(*q), dynamic_cast<const DiagonalNormal&>(*p));
}

Tensor Inference::parents_of_merged(const Group& group, const World& world) const {
  return group.merged ? world.at(group.parents, group.level) : Tensor();
}

Tensor Inference::parameters_in(const Group& group, const World& world, const TensorMap& own) const {
  const auto it = own.find(group.name);
  return parameters_of(group, it != own.end() ? it->second : world.read(group.encoder), parents_of_merged(group, world),
                       false);
}

Draw Inference::chain(const Group& group, World& world, int64_t samples,
                      const std::function<Tensor(const Tensor& parameters, const Tensor& row)>& value) const {
  std::vector<Names> lists{group.encoder.given};
  if (group.merged) lists.push_back(group.parents);
  std::vector<Tensor> parameters, z0;
  const Tensor z =
      over_time(world, group.name, latents_.graph().first.at(group.name), samples, lists, [&](const TimeStep& now) {
        const Tensor& input = now.inputs[0];
        const Tensor own =
            group.encoder.network->forward(input.flatten(0, 1)).unflatten(0, {input.size(0), input.size(1)});
        parameters.push_back(parameters_of(group, own, now.inputs.back(), false));
        z0.push_back(value(parameters.back(), now.row));
        return group.posterior->transform(z0.back(), parameters.back()).first;
      });
  world.set(group.name, z);
  if (z0.empty()) return {z.new_zeros({samples, 0, group.posterior->num_parameters()}), z};
  const Tensor place = TimeOrder(world.batch(Level::rows).offsets).place();
  return {at::cat(parameters, 1).index_select(1, place), at::cat(z0, 1).index_select(1, place)};
}

// Of a flow, the image of the mean that it begins with.
TensorMap Inference::set_means(World& world, const TensorMap& own) const {
  TensorMap all;
  for (const Group& group : latents_.groups()) {
    const auto mean = [&](const Tensor& parameters) { return group.posterior->at(parameters)->mean(); };
    if (group.chained) {
      const Draw at = chain(group, world, 1, [&](const Tensor& parameters, const Tensor&) { return mean(parameters); });
      world.set(group.name, world.at(group.name)[0]);
      all[group.name] = at.parameters[0];
      continue;
    }
    const Tensor parameters = parameters_in(group, world, own);
    world.set(group.name, group.posterior->transform(mean(parameters), parameters).first);
    all[group.name] = parameters;
  }
  return all;
}

bool Inference::enumerates(const Group& group, const DrawSettings& settings) {
  return !settings.from_q && settings.known.count(group.name) == 0 && group.posterior->num_states() > 1;
}

int64_t Inference::states_times(const DrawSettings& settings) const {
  int64_t states = 1;
  bool drawn = false;  // or else all that there is to see is in the states
  for (const Group& group : latents_.groups()) {
    if (enumerates(group, settings)) states *= group.posterior->num_states();
    drawn = drawn || (!enumerates(group, settings) && settings.known.count(group.name) == 0);
  }
  return drawn ? states * settings.num_samples : states;
}

std::vector<Draw> Inference::draw(World& sampling, const TensorMap& own, const DrawSettings& settings, const Step& step,
                                  const Rng& rng) const {
  std::vector<Draw> draws;
  for (const Group& group : latents_.groups()) {
    draws.push_back(draw_group(group, sampling, own, settings, step, rng));
    const Draw& draw = draws.back();
    if (draw.known.defined())
      sampling.set(group.name, draw.known);
    else if (group.inner && !group.chained)
      sampling.set(group.name, group.posterior->transform(draw.z0, draw.parameters).first);
  }
  return draws;
}

Draw Inference::draw_group(const Group& group, World& sampling, const TensorMap& own, const DrawSettings& settings,
                           const Step& step, const Rng& rng) const {
  const Posterior& q = *group.posterior;
  if (const auto known = settings.known.find(group.name); known != settings.known.end())
    return {parameters_in(group, sampling, own), {}, known->second};
  const int64_t samples = states_times(settings);
  const auto noise = [&] {
    return sampling.batch(group.level)
        .normal(rng, {samples, q.num_noise()}, latents_.word(settings.stream, group), dtype_)
        .transpose(0, 1)
        .contiguous();
  };
  const auto value = [&](const Tensor& parameters, const Tensor& draws) {
    return settings.from_q ? q.at(parameters)->rsample(draws) : q.states(parameters, draws, step);
  };
  if (group.chained) {
    const Tensor draws = noise();
    return chain(group, sampling, samples, [&](const Tensor& parameters, const Tensor& row) {
      return value(parameters, draws.index_select(1, row));
    });
  }
  const Tensor parameters = parameters_in(group, sampling, own);
  if (enumerates(group, settings)) return {parameters, enumerated(group, parameters, samples, settings, step)};
  return {parameters, value(parameters, noise())};
}

// Sample s holds the states of all enumerated groups as the digits of s, the first group's the slowest, and the draws
// of the other groups below.
Tensor Inference::enumerated(const Group& group, const Tensor& parameters, int64_t samples,
                             const DrawSettings& settings, const Step& step) const {
  const Tensor states = group.posterior->states(parameters, {}, step);
  const int64_t count = group.posterior->num_states();
  if (count == samples) return states;
  int64_t above = 1;
  for (const Group& other : latents_.groups()) {
    if (other.name == group.name) break;
    if (enumerates(other, settings)) above *= other.posterior->num_states();
  }
  const Tensor sample = at::arange(samples, at::kLong), below = sample.div(samples / above / count, "floor");
  return states.index_select(0, below.remainder(count));
}

}  // namespace vem
