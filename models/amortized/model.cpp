// Construction of the amortised model, which factors go together, and what is learned before training.
#include "model.h"

#include "vem/core/error.h"

namespace vem {
namespace {

constexpr int64_t kFewest = 500;  // rows that a prior begins from, of wide ones

/// Choices that were made in a program have no options yet; some are asked for what rows are, or whether a prior is
/// conjugate.
AmortizedOptions with_own_options(AmortizedOptions o, const Registry& registry) {
  std::vector<Choice*> choices{&o.likelihood, &o.z.encoder, &o.z.prior};
  for (Choice* choice : choices)
    if (!choice->options) choice->options = registry.resolve(choice->kind, choice->name).options();
  o.tell_groups();
  return o;
}

}  // namespace

Amortized::Amortized(const AmortizedOptions& options, const Context& context)
    : o_(with_own_options(options, context.registry)),
      schema_(context.schema),
      dtype_(scalar_type(options.precision)),
      networks_(std::make_shared<GradientBlock>("networks",
                                                context.registry.create<Optimizer>(o_.optimizer, {context.registry}))),
      constants_(std::make_shared<ConstantBlock>("scaling")),
      objective_(context.registry.create<Objective>(o_.objective, {context.registry})),
      posteriors_(LatentGraph::make_posteriors(o_, schema_, context.registry, networks_)),
      likelihood_(
          context.registry.create<Likelihood>(o_.likelihood, {schema_.num_features(), dtype_, networks_, constants_})),
      rows_(o_, schema_, likelihood_, constants_),
      latents_(o_, schema_, {context.registry, networks_, constants_, posteriors_, likelihood_, rows_.seen_range()}),
      inference_(latents_, *likelihood_, *objective_, globals_, dtype_),
      refinement_(o_, inference_, *objective_) {
  if (of_sequences()) constants_->add(kLength, at::ones({}, dtype_));
  if (const Group* group = latents_.observed()) constants_->add(label_weight_name(*group), at::ones({}, at::kDouble));
  bags_ = likelihood_->log_orders(at::ones({1, schema_.num_features()}, dtype_)).defined();
  check_combination();
  blocks_ = {networks_, constants_};
  for (const Group& group : latents_.groups())
    for (const auto& block : group.prior->blocks()) blocks_.push_back(block);
  globals_ = globals();
  inference_.find_keys(*networks_);
}

Schedules Amortized::schedules() const {
  Schedules all = objective_->schedules();
  for (const Group& group : latents_.groups()) all.merge(group.posterior->schedules());
  all.merge(Model::schedules());
  return all;
}

void Amortized::check_combination() const {
  const auto options = o_.groups();
  if (o_.precision == Precision::bf16) {
    std::vector<const Choice*> networks{&o_.decoder};
    for (const auto& [name, group] : options)
      if (group->has_encoder || o_.one_group()) networks.push_back(&group->encoder);
    for (const auto& [name, feature] : o_.features()) networks.push_back(&feature->network);
    for (const Choice* network : networks)
      if (network->name != "mlp")
        fail<ConfigError>("vae: precision = \"bf16\" is for networks of kind mlp, got {}", network->name);
  }
  for (const Group& group : latents_.groups()) {
    const LatentOptions& chosen = *options.at(group.name);
    check_group(group, group.observed.empty() ? chosen.posterior.name : "categorical", chosen.chosen_prior().name);
  }
  if (const Group* group = latents_.observed(); group != nullptr && o_.e_step != EStep::amortized)
    fail<ConfigError>("vae: {} is observed for some items, which goes with e_step = \"amortized\" only", group->name);
  if (!of_sequences()) return;
  for (const Group& group : latents_.groups())
    if (group.level == Level::items && group.encoder.network && !group.encoder.in_order)
      fail<ConfigError>(
          "vae: latents = \"sequences\" needs networks that read and write sequences, such as gru, got {}",
          options.at(group.name)->encoder.name);
  const bool rows_differ = std::any_of(latents_.groups().begin(), latents_.groups().end(),
                                       [](const Group& group) { return group.level == Level::rows; });
  if (!rows_differ && !latents_.decoder().in_order)
    fail<ConfigError>("vae: latents = \"sequences\" needs networks that read and write sequences, such as gru, got {}",
                      o_.decoder.name);
}

void Amortized::check_group(const Group& group, const std::string& posterior, const std::string& prior) const {
  const Posterior& q = *group.posterior;
  if (!group.encoder.network && group.prior->uses_encoder())
    fail<ConfigError>("vae: prior {} needs an encoder, and e_step = \"local\" has none", prior);
  if (q.flows() && group.prior->uses_encoder())
    fail<ConfigError>(
        "vae: prior {} takes posteriors whose density is known everywhere, posterior {} has it along draws only", prior,
        posterior);
  if (q.discrete() != group.prior->discrete())
    fail<ConfigError>("vae: posterior {} has {} latents, prior {} has {} ones", posterior,
                      q.discrete() ? "discrete" : "real", prior, group.prior->discrete() ? "discrete" : "real");
  if (group.merged && !(posterior == "diagonal" && q.independent()))
    fail<ConfigError>("vae: merged = true is for posterior diagonal, got {} for {}", posterior, group.name);
  if (group.level == Level::items && (!group.prior->independent_rows() || group.prior->uses_encoder()))
    fail<ConfigError>("vae: latents = \"sequences\" does not go with prior {}, which {}", prior,
                      group.prior->uses_encoder() ? "reads rows" : "is of the rows of a sequence");
  if (q.discrete()) check_discrete(group, posterior);
  if (latents_.one_group()) q.check_samples(objective_->group_size());
  const Objective::Needs needs = objective_->needs();
  if (q.flows() && needs != Objective::Needs::draws)
    fail<ConfigError>("vae: objective {} needs the density of any z, posterior {} has that of its draws only",
                      o_.objective.name, posterior);
  if (needs == Objective::Needs::independent && !q.independent())
    fail<ConfigError>("vae: objective {} needs a posterior with independent dimensions, such as diagonal, got {}",
                      o_.objective.name, posterior);
  if (objective_->standard_prior() && prior != "standard")
    fail<ConfigError>("vae: objective {} pulls the latents towards prior standard, got {}", o_.objective.name, prior);
}

void Amortized::check_discrete(const Group& group, const std::string& posterior) const {
  const Objective::Discrete use = objective_->discrete();
  if (use == Objective::Discrete::none)
    fail<ConfigError>(
        "vae: objective {}, as it is set, does not go with posterior {}, whose draws have no derivative; elbo with "
        "kl = \"analytic\" and iwae with gradient = \"standard\" do",
        o_.objective.name, posterior);
  if (use == Objective::Discrete::weights && group.posterior->states_are() == Posterior::States::all)
    fail<ConfigError>(
        "vae: objective {} weighs draws, and posterior {} with gradient = \"enumerate\" has every state instead; "
        "elbo is exact there, and score-function has draws",
        o_.objective.name, posterior);
}

void Amortized::initialize(const Dataset& train, const Rng& rng) {
  const bool ragged = train.offsets.defined();
  if (!objective_->additive() && ragged)
    fail<ConfigError>("vae: objective {} takes items of one row, these are sequences", o_.objective.name);
  if (of_sequences() && !ragged)
    fail<DataError>(
        "vae: latents = \"sequences\" needs sequences, these are single rows; data.sequence names the column of "
        "theirs");
  const bool per_row = std::any_of(latents_.groups().begin(), latents_.groups().end(),
                                   [](const Group& group) { return group.level == Level::rows; });
  if (per_row && ragged && o_.e_step != EStep::amortized)
    fail<ConfigError>("vae: e_step = \"{}\" takes one z an item: single rows, or latents = \"sequences\"",
                      o_.e_step == EStep::local ? "local" : "semi-amortized");
  if (const Group* group = latents_.observed()) learn_label_weight(train, *group);
  if (of_sequences()) constants_->set(kLength, train.offsets.diff().to(dtype_).mean().round());
  const auto [mean, variance] = rows_.learn(train);
  const int64_t first = std::min(train.size, std::max(rows_.chunk(), kFewest));
  const Tensor order = at::arange(first, at::kLong);
  latents_.initialize(rows_.seen(rows_.scaled(train.batch(order, 0, dtype()).at("x"))), rng);
  latents_.decoder_network()->output_bias().detach().copy_(
      likelihood_->output_bias(mean.to(dtype_), variance.to(dtype_)));
}

std::vector<Dependence> Amortized::dependences() const {
  using Side = Dependence::Side;
  const auto options = o_.groups();
  std::vector<Dependence> all;
  for (const Group* group : latents_.ancestral())
    all.push_back({Side::p, group->name, group->parents, options.at(group->name)->chosen_prior().name});
  all.push_back({Side::p, "x", latents_.decoder().given, o_.likelihood.name + " by " + o_.decoder.name});
  for (const auto& [name, feature] : o_.features())
    all.push_back({Side::feature, name, split_names(feature->given), feature->network.name});
  for (const Group& group : latents_.groups()) {
    const LatentOptions& chosen = *options.at(group.name);
    const std::string family =
        (group.observed.empty() ? chosen.posterior.name : "classes, known from " + group.observed) +
        (group.merged ? ", merged with p" : "");
    all.push_back({Side::q, group.name, group.encoder.given,
                   family + (group.encoder.network ? " by " + chosen.encoder.name : ", optimised for each item")});
  }
  return all;
}

void register_vae(Registry& registry) {
  registry.add<Model, AmortizedOptions>(
      "vae", "variational autoencoder: any graph of latents x prior x posterior x likelihood x objective x networks",
      [](const AmortizedOptions& options, const Model::Context& context) {
        return std::make_shared<Amortized>(options, context);
      },
      "train.batch_size = 128\ntrain.epochs = 50\ndata.validation = 0.1\n");
}

}  // namespace vem
