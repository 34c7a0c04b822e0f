#include "vem/infer/over_time.h"

#include "vem/infer/time_order.h"

namespace vem {
namespace {

/// A value by steps. It is put in the order of time and split once: the backward pass of a split is one concatenation,
/// that of a selection in each step would be a tensor of all rows in each step.
std::vector<Tensor> by_step(const Tensor& value, const TimeOrder& order, int64_t samples) {
  const Tensor all = value.dim() == 2 ? value.unsqueeze(0).expand({samples, value.size(0), value.size(1)}) : value;
  return all.index_select(1, order.row).split_with_sizes(order.sizes, 1);
}

}  // namespace

Tensor over_time(const World& world, const std::string& latent, const Tensor& first, int64_t samples,
                 const std::vector<Names>& lists, const std::function<Tensor(const TimeStep&)>& step) {
  const TimeOrder order(world.batch(Level::rows).offsets);
  if (order.empty()) return first.new_zeros({samples, 0, first.size(0)});
  const std::string own = latent + ".previous";
  std::map<std::string, std::vector<Tensor>> values;
  for (const Names& list : lists)
    for (const std::string& name : list)
      if (name != own && values.count(name) == 0) values[name] = by_step(world.at({name}, Level::rows), order, samples);
  const auto rows = order.row.split_with_sizes(order.sizes, 0);
  Tensor previous = first.view({1, 1, -1}).expand({samples, order.sizes[0], first.size(0)});
  std::vector<Tensor> z;
  for (size_t t = 0; t < order.sizes.size(); ++t) {
    previous = previous.narrow(1, 0, order.sizes[t]);
    TimeStep now;
    now.row = rows[t];
    for (const Names& list : lists) {
      std::vector<Tensor> parts;
      for (const std::string& name : list) parts.push_back(name == own ? previous : values.at(name)[t]);
      now.inputs.push_back(parts.size() == 1 ? parts[0] : at::cat(parts, -1));
    }
    previous = step(now);
    z.push_back(previous);
  }
  return at::cat(z, 1).index_select(1, order.place());
}

}  // namespace vem
