// What can be asked of an amortised model: the command line, the exporter and programs read this table.
#include "model.h"
#include "vem/infer/over_time.h"

namespace vem {

std::vector<Method> Amortized::methods() const {
  if (of_sequences()) return sequence_methods();
  std::vector<Method> methods;
  add_networks(methods);
  if (independent_rows()) add_draws(methods);
  add_judgements(methods);
  add_priors(methods);
  return methods;
}

void Amortized::add_networks(std::vector<Method>& methods) const {
  const Tensor x = at::zeros({2, schema_.num_features()}, rows_.row_type());
  const Tensor traced = o_.e_step == EStep::amortized ? x : Tensor();  // an inner optimisation can not be traced
  Method encode{"encode", "parameters of q(z | x)", with_columns({"x"}), names_of_q(), {}};
  encode.call = [this](const std::vector<Tensor>& in, const Rng& rng) { return encoded(rows_of(in), rng); };
  if (traced.defined()) encode.example = with_examples({traced});
  methods.push_back(encode);

  add_decode(methods);
  Method reconstruct{"reconstruct", "mean of p(x | z) at the mean of q(z | x)", with_columns({"x"}), {"x"}, {}};
  reconstruct.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    const Batch batch = rows_of(in);
    return std::vector<Tensor>{mean_of_rows(*at_means(batch, rng).world)};
  };
  reconstruct.example = encode.example;
  methods.push_back(reconstruct);
  if (!latents_.one_group()) add_descents(methods);
}

// Of each row; of sequences too, where a latent of the whole stands in every row of it.
void Amortized::add_decode(std::vector<Method>& methods) const {
  const auto read = latents_.graph().latents_among(latents_.decoder().given);
  std::vector<const Group*> given;  // in the order in which q draws them
  for (const Group& group : latents_.groups())
    if (read.count(group.name) > 0) given.push_back(&group);
  methods.push_back(decoder("decode", "mean of p(x | z)", given, {}));
}

// What a group makes of those below it: they are at the means of their p.
void Amortized::add_descents(std::vector<Method>& methods) const {
  for (const Group& group : latents_.groups()) {
    const auto below = latents_.descendants(group);
    const bool known = std::all_of(below.begin(), below.end(), [](const Group* g) { return g->prior->conditional(); });
    if (!known) continue;
    std::vector<const Group*> given;
    for (const Group& other : latents_.groups())
      if (std::find(below.begin(), below.end(), &other) == below.end()) given.push_back(&other);
    methods.push_back(decoder("decode_from_" + group.name,
                              "mean of p(x | z) with the groups below at the means of their p", given, below));
  }
}

Method Amortized::decoder(const std::string& name, const std::string& help, const std::vector<const Group*>& given,
                          const std::vector<const Group*>& below) const {
  Method method{name, help, {}, {"x"}, {}};
  for (const Group* group : given) {
    method.inputs.push_back(group->name);
    method.example.push_back(at::zeros({2, group->dim}, dtype_));
  }
  method.inputs = with_columns(method.inputs);
  method.example = with_examples(method.example);
  method.call = [this, given, below](const std::vector<Tensor>& in, const Rng&) {
    const at::NoGradGuard no_grad;
    const Batch batch = columns_of(in, given.size());
    const auto world = inference_.world(batch, {});
    for (size_t i = 0; i < given.size(); ++i) world->set(given[i]->name, in[i]);
    for (const Group* group : below) world->set(group->name, Inference::prior_at(*group, *world)->of_rows()->mean());
    return std::vector<Tensor>{mean_of_rows(*world)};
  };
  return method;
}

void Amortized::add_judgements(std::vector<Method>& methods) const {
  if (!independent_rows()) return;
  if (bags_ && latents_.columns().empty())
    methods.push_back({"completion",
                       "log probability of held words given a document's other words, and how many they are",
                       {"word", "count", "offsets", "held_word", "held_count", "held_offsets"},
                       {"log_prob", "tokens"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) { return complete(in, rng); }});
  const Group& first = latents_.groups()[0];
  if (latents_.one_group() && !first.posterior->flows()) {
    methods.push_back({"aggregate",
                       "at one draw a row [rows]: log q(z | x), log q(z) over these rows, log p(z); where dimensions "
                       "are independent given x, also the sum over them of log q(z_j)",
                       with_columns({"x"}),
                       {"log_q", "log_aggregate", "log_prior"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) { return aggregate(rows_of(in), rng); }});
    if (first.posterior->independent()) methods.back().outputs.push_back("log_product");
  }
  if (o_.e_step == EStep::local) return;
  Method bounds{"bounds",
                "bound at the encoder's q and after inner steps from there, and the log-likelihood by importance "
                "samples from that last q",
                with_columns({"x", "steps", "samples"}),
                {"amortized", "local", "log_likelihood"},
                {}};
  bounds.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    return this->bounds(rows_of(in, 3), in[1].item<int64_t>(), in[2].item<int64_t>(), rng);
  };
  bounds.integers = {"steps", "samples"};
  methods.push_back(bounds);
}

std::vector<std::string> Amortized::names_of_q() const {
  std::vector<std::string> names;
  for (const Group& group : latents_.groups())
    for (const std::string& name : group.posterior->names())
      names.push_back(latents_.one_group() ? name : group.name + "." + name);
  return names;
}

std::vector<Tensor> Amortized::encoded(const Batch& batch, const Rng& rng) const {
  const AtMeans at = at_means(batch, rng);
  std::vector<Tensor> out;
  for (const Group& group : latents_.groups())
    for (const auto& entry : group.posterior->named(at.parameters.at(group.name))) out.push_back(entry.second);
  return out;
}

bool Amortized::independent_rows() const {
  return std::all_of(latents_.groups().begin(), latents_.groups().end(),
                     [](const Group& group) { return group.prior->independent_rows(); });
}

Batch Amortized::batch_of(const Tensor& x, const Tensor& offsets) const {
  Batch batch;
  const int64_t items = offsets.defined() ? offsets.size(0) - 1 : x.size(0);
  batch.columns["x"] = x;
  batch.offsets = offsets;
  batch.index = at::arange(items, at::kLong);
  batch.weight = at::ones({items}, at::kDouble);
  return batch;
}

std::vector<std::string> Amortized::with_columns(std::vector<std::string> inputs) const {
  inputs.insert(inputs.end(), latents_.columns().begin(), latents_.columns().end());
  return inputs;
}

std::vector<Tensor> Amortized::with_examples(std::vector<Tensor> example) const {
  for (size_t i = 0; i < latents_.columns().size(); ++i) example.push_back(at::zeros({2}, at::kLong));
  return example;
}

Batch Amortized::columns_of(const std::vector<Tensor>& in, size_t first) const {
  Batch batch;
  for (size_t i = 0; i < latents_.columns().size(); ++i) batch.columns[latents_.columns()[i]] = in[first + i];
  return batch;
}

Batch Amortized::rows_of(const std::vector<Tensor>& in, size_t first, const Tensor& offsets) const {
  Batch batch = batch_of(in[0], offsets);
  batch.columns.merge(columns_of(in, first).columns);
  return batch;
}

Batch Amortized::batch_of_draws(const Tensor& index) const {
  Batch batch;
  batch.index = index;
  return batch;
}

Amortized::Prepared Amortized::prepared(const Batch& batch) const {
  const at::NoGradGuard no_grad;
  const Tensor x = rows_.scaled(batch.at("x"));
  return {batch, x, world(batch, x)};
}

TensorMap Amortized::own_parameters(const Prepared& items, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  const TensorMap start = o_.e_step == EStep::local ? starts(*items.columns) : inference_.encoded(*items.columns);
  if (o_.e_step == EStep::amortized) return start;
  Step step;
  step.training = false;
  return refined(items, start, {inner_steps(step)}, rng);
}

TensorMap Amortized::refined(const Prepared& items, const TensorMap& own, const RefinementSettings& settings,
                             const Rng& rng) const {
  const at::NoGradGuard no_grad;
  Step step;
  step.training = false;
  return refinement_(*items.columns, items.x, own, settings, step, rng);
}

Amortized::AtMeans Amortized::at_means(const Batch& batch, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  Prepared items = prepared(batch);
  const TensorMap own = own_parameters(items, rng);
  const TensorMap parameters = inference_.set_means(*items.columns, own);
  return {std::move(items.columns), parameters};
}

std::unique_ptr<World> Amortized::drawn_from_prior(const Batch& batch, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  auto world = inference_.world(batch, {});
  for (const Group* group : latents_.ancestral()) {
    const Rng own = latents_.one_group() ? rng : rng.fold(group->name);
    const bool of_rows = group->level == Level::rows && batch.offsets.defined();
    const auto& parents = group->parents;
    if (std::count(parents.begin(), parents.end(), group->name + ".previous") > 0) {
      uint64_t t = 0;
      const Tensor z = over_time(
          *world, group->name, latents_.graph().first.at(group->name), 1, {parents},
          [&](const TimeStep& now) { return group->prior->at(now.inputs[0], false)->sample(now.row, own.fold(t++)); });
      world->set(group->name, z[0]);
      continue;
    }
    const Tensor index = of_rows ? at::arange(batch.offsets[-1].item<int64_t>(), at::kLong) : batch.index;
    world->set(group->name, Inference::prior_at(*group, *world)->sample(index, own));
  }
  return world;
}

Tensor Amortized::side_by_side(const World& world) const {
  std::vector<Tensor> z;
  for (const Group& group : latents_.groups()) z.push_back(world.at(group.name));
  return z.size() == 1 ? z[0] : at::cat(z, -1);
}

Tensor Amortized::mean_of_rows(const World& world) const {
  const at::NoGradGuard no_grad;
  return rows_.unscaled(likelihood_->mean(inference_.decode(world)));
}

}  // namespace vem
