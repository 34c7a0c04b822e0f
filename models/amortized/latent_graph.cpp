// Construction: names, networks, the order of draws, and what may be taken in closed form.
#include "latent_graph.h"

#include "networks/linear.h"
#include "vem/core/config.h"
#include "vem/core/error.h"

namespace vem {
namespace {

std::string joined(const Names& names) { return fmt::format("{}", fmt::join(names, ", ")); }

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// q of a latent that is one of the classes of a column: every class is looked at where it is missing.
Choice classifier(const std::string& name, const LatentOptions& group, const Schema& schema, const Registry& registry) {
  if (group.observed != "label")
    fail<ConfigError>("vae: observed = \"{}\" of {}: label is the column of classes", group.observed, name);
  if (schema.num_classes < 2)
    fail<DataError>("vae: {} is observed as the label, but the data have none; data.label names the column", name);
  ChoiceOptions section("posterior", "categorical");
  Config::parse(fmt::format("posterior = {{kind = \"categorical\", num_classes = {}, gradient = \"enumerate\"}}",
                            schema.num_classes),
                "observed")
      .read(section, registry);
  return section.choice;
}

}  // namespace

LatentGraph::Posteriors LatentGraph::make_posteriors(const AmortizedOptions& options, const Schema& schema,
                                                     const Registry& registry,
                                                     const std::shared_ptr<GradientBlock>& networks) {
  Posteriors all;
  const auto groups = options.groups();
  for (const auto& [name, group] : groups) {
    const bool classes = !group->observed.empty();
    all[name] =
        registry.create<Posterior>(classes ? classifier(name, *group, schema, registry) : group->posterior,
                                   {classes ? schema.num_classes : group->dim, scalar_type(options.precision), networks,
                                    &registry, groups.size() == 1 ? "posterior" : "posterior." + name});
  }
  return all;
}

LatentGraph::LatentGraph(const AmortizedOptions& options, const Schema& schema, const Parts& parts)
    : o_(options),
      parts_(parts),
      item_shape_(schema.item_shape),
      dtype_(scalar_type(options.precision)),
      sequences_(options.of_sequences()) {
  const auto latents = options.groups();
  add_names(options, schema);
  for (const auto& [name, group] : latents) add_group(name, *group);
  for (Group& group : groups_) add_prior(group, *latents.at(group.name));
  add_first_values();
  for (const auto& [name, feature] : options.features()) {
    graph_.features[name] =
        reader(feature->network, split_names(feature->given), "feature." + name, {feature->width}, feature->per);
  }
  add_decoder();
  for (Group& group : groups_) add_encoder(group, *latents.at(group.name));
  sort_groups();
  find_relations();
}

std::string LatentGraph::word(const std::string& base, const Group& group) const {
  return groups_.size() == 1 ? base : base + "." + group.name;
}

void LatentGraph::add_names(const AmortizedOptions& options, const Schema& schema) {
  graph_.names["x"] = {schema.num_features()};
  if (schema.num_classes > 0) graph_.names["label"] = {schema.num_classes};
  const auto add = [&](const std::string& name, int64_t width, Level level) {
    if (name == "x" || name == "label" || name.find('.') != std::string::npos)
      fail<ConfigError>("vae: no feature and no latent may be called '{}': that is a column, or has a dot", name);
    if (!graph_.names.emplace(name, Graph::Name{width, level}).second)
      fail<ConfigError>("vae: '{}' is both a feature and a latent", name);
  };
  for (const auto& [name, feature] : options.features()) add(name, feature->width, feature->per);
  for (const auto& [name, group] : options.groups()) {
    add(name, group->observed.empty() ? group->dim : schema.num_classes, group->per);
    graph_.latents.insert(name);
  }
}

void LatentGraph::remember_columns(const Names& given) {
  for (const std::string& name : given) {
    const bool column = graph_.names.count(name) > 0 && graph_.latents.count(name) == 0 &&
                        o_.feature.entries.count(name) == 0 && name != "x";
    if (column && !contains(columns_, name)) columns_.push_back(name);
  }
}

// An image keeps its shape where it is read first; what is read besides stands after it.
Reader LatentGraph::reader(const Choice& choice, const Names& given, const std::string& prefix, const Shape& output,
                           Level level) {
  Reader reader;
  reader.given = given;
  remember_columns(given);
  reader.level = level;
  const int64_t width = graph_.width(given, prefix);
  if (width == 0) fail<ConfigError>("{} has nothing to read: its given is empty", prefix);
  const bool rows = given[0] == "x";
  const Shape input = rows ? item_shape_ : Shape{width};
  const bool bf16 = o_.precision == Precision::bf16;
  const auto make = [&](GradientBlock& block) {
    return parts_.registry.create<Network>(choice, {block, prefix, input, output, dtype_, bf16, sequences_,
                                                    sequences_ && level == Level::rows, width - product(input)});
  };
  started_.push_back(make(*parts_.networks));
  reader.network = started_.back();
  reader.stopped = make(*parts_.networks->stopped());
  reader.in_order = sequences_ && reader.network->sequences();
  return reader;
}

void LatentGraph::add_group(const std::string& name, const LatentOptions& options) {
  Group group;
  group.name = name;
  group.dim = graph_.names.at(name).width;
  group.observed = options.observed;
  group.level = options.per;
  group.parents = split_names(options.parents);
  group.merged = options.merged && !group.parents.empty();
  group.posterior = parts_.posteriors.at(name);
  groups_.push_back(group);
}

void LatentGraph::add_prior(Group& group, const LatentOptions& options) {
  const auto encode = [this, name = group.name](const Tensor& rows) { return encoded(name, rows); };
  Prior::Context context{group.dim,        dtype_,          parts_.networks, parts_.registry,
                         parts_.constants, group.posterior, encode,          graph_.names.at("x").width,
                         parts_.seen_range};
  context.prefix = word("prior", group);
  remember_columns(group.parents);
  context.num_given = graph_.width(group.parents, "the prior of " + group.name);
  group.prior = parts_.registry.create<Prior>(options.chosen_prior(), context);
  if (!group.prior->conditional() && !group.parents.empty())
    fail<ConfigError>("vae: prior {} is p({}) and takes no parents, got {}; prior conditional does",
                      options.chosen_prior().name, group.name, joined(group.parents));
}

// Where p of some group reads NAME.previous, what stands before the first row is p's to learn.
void LatentGraph::add_first_values() {
  for (const Group& group : groups_) {
    const std::string previous = group.name + ".previous";
    const bool of_p = std::any_of(groups_.begin(), groups_.end(),
                                  [&](const Group& other) { return contains(other.parents, previous); });
    graph_.first[group.name] = of_p ? parts_.networks->add(word("prior", group) + ".first", {group.dim}, dtype_)
                                    : at::zeros({group.dim}, dtype_);
  }
}

void LatentGraph::add_encoder(Group& group, const LatentOptions& options) {
  const Names given = split_names(options.given);
  if (!options.has_encoder) {
    group.encoder.given = given;
    group.encoder.level = group.level;
    return;
  }
  group.encoder =
      reader(options.encoder, given, word("encoder", group), {group.posterior->num_parameters()}, group.level);
  if (group.prior->uses_encoder() && given != Names{"x"})
    fail<ConfigError>("vae: prior {} is made of q at rows x alone, but q of {} reads {}", options.chosen_prior().name,
                      group.name, joined(given));
}

void LatentGraph::add_decoder() {
  const Names named = split_names(o_.given), given = named.empty() ? default_given() : named;
  check_decoder(given);
  Shape output = item_shape_;
  const int64_t parameters = parts_.likelihood->parameters_per_feature();
  if (output.size() == 1)
    output = {parameters, output[0]};
  else
    output[0] *= parameters;
  decoder_ = reader(o_.decoder, given, "decoder", output, Level::rows);
  decoder_network_ = started_.back();
}

bool LatentGraph::is_parent(const Group& group) const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const Group& other) {
    return other.name != group.name && graph_.latents_among(other.parents).count(group.name) > 0;
  });
}

Names LatentGraph::default_given() const {
  Names given;
  for (const Group& group : groups_)
    if (!is_parent(group)) given.push_back(group.name);
  return given;
}

Tensor LatentGraph::encoded(const std::string& group, const Tensor& rows) const {
  const Batch none;
  World world(graph_, none);
  world.set("x", rows);
  return world.read(find(group).encoder);
}

const Group& LatentGraph::find(const std::string& name) const {
  return *std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) { return group.name == name; });
}

void LatentGraph::check_decoder(const Names& given) const {
  const std::set<std::string> read = graph_.latents_among(given);
  if (contains(given, "x"))
    fail<ConfigError>("vae: the decoder can not read x, which it models; given is {}", joined(given));
  for (const Group& group : groups_)
    if (!is_parent(group) && read.count(group.name) == 0)
      fail<ConfigError>("vae: nobody reads latent {}: it is in no given of the decoder ({}) and no parent of another",
                        group.name, joined(given));
}

void LatentGraph::initialize(const Tensor& rows, const Rng& rng) const {
  for (const auto& network : started_) network->initialize(rng);
  for (const Group& group : groups_) group.posterior->initialize(rng.fold(word("posterior", group)));
  for (const Group& group : groups_) group.prior->initialize(rows, rng.fold(word("prior", group)));
}

}  // namespace vem
