#include "vem/infer/graph.h"

#include "vem/core/error.h"
#include "vem/infer/time_order.h"

namespace vem {
namespace {

constexpr std::string_view kPrevious = ".previous";

/// A network on [R, C] or [S, R, C].
Tensor applied(const Network& network, const Tensor& input, const Network::Noise& noise) {
  if (input.dim() == 2) return network.forward(input, noise);
  const Tensor outputs = network.forward(input.reshape({-1, input.size(-1)}), noise);
  return outputs.view({input.size(0), input.size(1), outputs.size(-1)});
}

}  // namespace

Names split_names(const std::string& list) {
  Names names;
  std::string word;
  for (const char c : list + ",") {
    if (c != ',' && c != ' ') word += c;
    if (c != ',' || word.empty()) continue;
    names.push_back(word);
    word.clear();
  }
  return names;
}

std::optional<std::string> previous_of(const std::string& name) {
  if (name.size() <= kPrevious.size() || name.compare(name.size() - kPrevious.size(), kPrevious.size(), kPrevious) != 0)
    return {};
  return name.substr(0, name.size() - kPrevious.size());
}

const Graph::Name& Graph::find(const std::string& name, const std::string& reader) const {
  const auto latent = previous_of(name);
  const auto it = names.find(latent.value_or(name));
  if (it == names.end()) {
    std::vector<std::string> known;
    for (const auto& entry : names) known.push_back(entry.first);
    fail<ConfigError>("{} reads '{}', which is no column of the data, feature or latent; there are {}", reader, name,
                      fmt::join(known, ", "));
  }
  if (latent && latents.count(*latent) == 0)
    fail<ConfigError>("{} reads '{}', but only a latent has a previous value, and {} is none", reader, name, *latent);
  return it->second;
}

int64_t Graph::width(const Names& given, const std::string& reader) const {
  int64_t sum = 0;
  for (const std::string& name : given) sum += find(name, reader).width;
  return sum;
}

std::set<std::string> Graph::latents_among(const Names& given) const {
  std::set<std::string> all;
  for (const std::string& listed : given) {
    const std::string name = previous_of(listed).value_or(listed);
    if (latents.count(name) > 0) all.insert(name);
    if (const auto it = features.find(name); it != features.end()) all.merge(latents_among(it->second.given));
  }
  return all;
}

World::World(const Graph& graph, const Batch& batch, Network::Noise dropout)
    : graph_(graph), batch_(batch), ragged_(batch.offsets.defined()), dropout_(std::move(dropout)) {
  if (!ragged_) return;
  items_ = batch;
  items_.offsets = Tensor();
}

std::unique_ptr<World> World::with_columns() const {
  auto world = std::make_unique<World>(graph_, batch_, dropout_);
  for (const auto& [name, value] : values_)
    if (graph_.latents_among({name}).empty() && graph_.features.count(name) == 0) world->set(name, value);
  return world;
}

std::unique_ptr<World> World::stopped() const {
  auto world = std::make_unique<World>(graph_, batch_, dropout_);
  world->data_ = this;
  return world;
}

const Tensor& World::at(const std::string& name) const {
  const auto it = values_.find(name);
  if (it != values_.end()) return it->second;
  const bool from_data = data_ != nullptr && graph_.latents_among({name}).empty();
  return values_[name] = from_data ? data_->at(name).detach() : computed(name);
}

// What stands before the first row of an item comes last, where previous_rows() points to.
Tensor World::previous(const std::string& latent) const {
  if (!batch_.offsets.defined())
    fail<DataError>("{}.previous needs sequences, these are single rows; data.sequence names the column of theirs",
                    latent);
  const Tensor& z = at(latent);
  const Tensor own = graph_.first.at(latent), first = data_ != nullptr ? own.detach() : own;
  std::vector<int64_t> shape = z.sizes().vec();
  shape[shape.size() - 2] = 1;
  return at::cat({z, first.expand(shape)}, -2).index_select(-2, previous_rows(batch_.offsets));
}

Tensor World::computed(const std::string& name) const {
  if (const auto latent = previous_of(name)) return previous(*latent);
  const auto it = graph_.features.find(name);
  if (it == graph_.features.end()) fail<DataError>("the data have no column '{}', which the model reads", name);
  return read(it->second);
}

Tensor World::at(const Names& names, Level level) const {
  std::vector<Tensor> parts;
  int64_t samples = 0;
  for (const std::string& name : names) {
    const Tensor& value = at(name);
    const bool spread = level == Level::rows && graph_.find(name, "a network").level == Level::items;
    parts.push_back(spread ? over_rows(value) : value);
    if (value.dim() == 3) samples = std::max(samples, value.size(0));
  }
  if (parts.size() < 2) return parts.empty() ? Tensor() : parts[0];
  if (samples > 0)
    for (Tensor& part : parts)
      if (part.dim() == 2 || part.size(0) != samples) part = part.expand({samples, part.size(-2), part.size(-1)});
  return at::cat(parts, -1);
}

Tensor World::over_rows(const Tensor& of_items) const {
  return batch_.offsets.defined() ? of_items.index_select(of_items.dim() - 2, batch_.row_item()) : of_items;
}

Tensor World::read(const Reader& reader) const {
  const Network& network = data_ != nullptr ? *reader.stopped : *reader.network;
  if (reader.in_order) return in_order(reader, network, at(reader.given, Level::rows));
  return applied(network, at(reader.given, reader.level), dropout_);
}

// Samples stand one after the other: so many items of the same lengths again.
Tensor World::in_order(const Reader& reader, const Network& network, const Tensor& input) const {
  if (input.dim() == 2) return network.forward_sequences(input, batch_.offsets, dropout_);
  const Tensor lengths = batch_.offsets.diff().repeat({input.size(0)});
  const Tensor ends = at::cat({at::zeros({1}, at::kLong), lengths.cumsum(0)});
  const Tensor outputs = network.forward_sequences(input.reshape({-1, input.size(-1)}), ends, dropout_);
  const int64_t count = reader.level == Level::rows ? input.size(1) : batch_.size();
  return outputs.view({input.size(0), count, outputs.size(-1)});
}

}  // namespace vem
