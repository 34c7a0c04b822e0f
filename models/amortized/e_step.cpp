// The E-step, and what it writes in the log.
#include "model.h"
#include "vem/core/error.h"
#include "vem/core/missing.h"

namespace vem {
namespace {

constexpr int64_t kFromScratch = 10;  // an evaluation without an encoder starts anew: so many times the inner steps
constexpr double kActive = 0.01;      // variance over items of E_q[z] above which a dimension is in use

/// Calls use(weight, row, column, x) for each element of x [rows, C]. Plain loops: for a few thousand numbers the calls
/// of tensor operations would cost more than the arithmetic.
template <class Use>
void for_each_weighted(const Tensor& x, const Tensor& weight, const Use& use) {
  const double* w = weight.data_ptr<double>();
  const int64_t columns = x.dim() > 1 ? x.size(1) : 1, row = x.stride(0), column = x.dim() > 1 ? x.stride(1) : 0;
  const int64_t each = weight.stride(0);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "weighted sums", [&] {
    const scalar_t* from = x.data_ptr<scalar_t>();
    for (int64_t i = 0; i < x.size(0); ++i)
      for (int64_t c = 0; c < columns; ++c) use(w[i * each], i, c, static_cast<double>(from[i * row + c * column]));
  });
}

/// Sum over items of weight * x, [items] -> [] float64.
Tensor weighted_sum(const Tensor& x, const Tensor& weight) {
  double sum = 0;
  for_each_weighted(x, weight, [&](double w, int64_t, int64_t, double value) { sum += w * value; });
  return at::scalar_tensor(sum, at::kDouble);
}

/// Sums over rows of weight * x^power, [rows, C] -> [C] float64.
Tensor weighted_sums(const Tensor& x, const Tensor& weight, int power = 1) {
  Tensor sums = at::zeros({x.size(1)}, at::kDouble);
  double* out = sums.data_ptr<double>();
  for_each_weighted(x, weight, [&](double w, int64_t, int64_t c, double value) {
    out[c] += w * (power == 2 ? value * value : value);
  });
  return sums;
}

/// The items of a batch of single rows at these positions.
Batch selected(const Batch& batch, const Tensor& positions) {
  Batch part;
  for (const auto& [name, column] : batch.columns) part.columns[name] = column.index_select(0, positions);
  part.index = batch.index.index_select(0, positions);
  part.weight = batch.weight.index_select(0, positions);
  return part;
}

}  // namespace

Expectation Amortized::e_step(const Batch& batch, const Step& step, const Rng& rng) const {
  const Group* observed = latents_.observed();
  return observed != nullptr && batch.columns.count(observed->observed) > 0
             ? e_step_by_class(batch, *observed, step, rng)
             : e_step_of(batch, {}, step, rng);
}

Expectation Amortized::e_step_by_class(const Batch& batch, const Group& group, const Step& step, const Rng& rng) const {
  const Tensor classes = batch.at(group.observed).view({-1}), known = classes >= 0;
  const Tensor with = known.nonzero().view({-1}), without = known.logical_not().nonzero().view({-1});
  if (with.size(0) == 0) return e_step_of(batch, {}, step, rng);
  const Batch labelled = without.size(0) == 0 ? batch : selected(batch, with);
  const Tensor values = at::one_hot(classes.index_select(0, with), group.dim).to(dtype_);
  Expectation e = e_step_of(labelled, {{group.name, values}}, step, rng);
  if (without.size(0) == 0) return e;
  e += e_step_of(selected(batch, without), {}, step, rng);
  return e;
}

Expectation Amortized::e_step_of(const Batch& batch, const TensorMap& known, const Step& step, const Rng& rng) const {
  const at::AutoGradMode grad_mode(step.training);
  const Bf16Products products(step.training && o_.precision == Precision::bf16);
  const Tensor x = rows_.scaled(batch.at("x"));
  const bool gaps = has_missing(x);
  const auto sampling = world(batch, x, gaps, dropout(batch, step, rng));
  const TensorMap encoded = o_.e_step == EStep::local ? TensorMap() : inference_.encoded(*sampling);
  TensorMap own = encoded;
  if (o_.e_step != EStep::amortized) {
    const auto columns = world(batch, x, gaps);
    const TensorMap start = o_.e_step == EStep::local ? starts(*columns) : encoded;
    own = refinement_(*columns, x, start, {inner_steps(step)}, step, rng);
  }
  DrawSettings settings{objective_->num_samples()};
  settings.known = known;
  const auto weights = known.empty() ? std::map<std::string, double>() : label_weights();
  Pass pass = inference_.pass(inference_.draw(*sampling, own, settings, step, rng), *sampling, x, step,
                              Inference::Sums::densities, weights);
  Expectation e;
  e.count = batch.weight.sum();
  e.bound = weighted_sum(pass.value.bound, batch.weight);
  if (step.training && step.iteration == 0 && !skips_outliers()) rows_.check_first_bound(e.bound.item<double>(), x);
  const Tensor jacobian = rows_.log_jacobian(x);
  const Tensor shift = jacobian.defined() ? at::dot(jacobian, batch.row_weight()) : Tensor();
  if (shift.defined()) e.bound = e.bound + shift;
  if (o_.e_step == EStep::local)
    for (const auto& [name, value] : own) e.local[latents_.word("q", latents_.find(name))] = value.detach();
  measure(e, pass, batch);
  if (shift.defined()) e.metrics["log_px"] = e.metrics["log_px"] + shift;
  if (!step.training) return e;
  e.sums = std::move(pass.sums);
  if (o_.e_step == EStep::semi_amortized) {  // refined or not, an encoder learns from the gradient at its own output
    const auto again = sampling->with_columns();
    pass =
        inference_.pass(inference_.draw(*again, encoded, settings, step, rng), *again, x, step, Inference::Sums::none);
  }
  inference_.add_sampling_sums(pass, e.sums);
  return e;
}

TensorMap Amortized::starts(const World& sampling) const {
  TensorMap all;
  for (const Group& group : latents_.groups()) {
    if (group.of_draws) continue;
    const Batch& items = sampling.batch(group.level);
    const Tensor zero = at::zeros({items.size(), group.posterior->num_parameters()}, dtype_);
    const auto it = items.local.find(latents_.word("q", group));
    all[group.name] = it == items.local.end() ? zero : at::where(it->second.isnan(), zero, it->second);
  }
  return all;
}

int64_t Amortized::inner_steps(const Step& step) const {
  return o_.e_step != EStep::local || step.training ? o_.inner_steps : kFromScratch * o_.inner_steps;
}

std::unique_ptr<World> Amortized::world(const Batch& batch, const Tensor& x, bool gaps, Network::Noise dropout) const {
  return inference_.world(batch, rows_.seen(x, gaps), std::move(dropout));
}

Network::Noise Amortized::dropout(const Batch& batch, const Step& step, const Rng& rng) const {
  if (!step.training) return nullptr;
  return [&batch, key = rng.fold("dropout")](const Tensor& hidden, const std::string& stream) {
    const int64_t rows = batch.at("x").size(0), width = hidden.size(1), samples = rows ? hidden.size(0) / rows : 1;
    return batch.uniform(key, {samples, width}, stream).transpose(0, 1).reshape({-1, width});
  };
}

// Sums for the log: log p(x | z); for each group KL(q || p), whatever of it the objective pays for, in closed form and
// by dimension where there is one and else at the draws of z, and first and second moments of E_q[z].
void Amortized::measure(Expectation& e, const Pass& pass, const Batch& batch) const {
  const at::NoGradGuard no_grad;
  e.metrics["log_px"] = weighted_sum(pass.trace.expected_log_px(), batch.weight);
  Tensor total = at::zeros({}, at::kDouble);
  auto latent = pass.trace.latents.begin();  // of groups that are known there is none
  for (const Group& group : latents_.groups()) {
    Tensor kl, mean;
    if (const auto known = pass.log_known.find(group.name); known != pass.log_known.end()) {
      kl = -known->second.detach().unsqueeze(-1);
      mean = pass.density->at(group.name);
    } else {
      const Tensor exact = pass.trace.kl(*latent);
      kl = exact.defined() ? exact : pass.trace.expected(latent->log_q() - latent->log_p()).unsqueeze(-1);
      mean = (latent++)->mean().detach();
    }
    const Tensor by_dimension = weighted_sums(kl, batch.weight), sum = by_dimension.sum();
    total = total + sum;
    if (!latents_.one_group()) e.metrics[latents_.word("kl", group)] = sum;
    if (kl.size(1) == group.dim) e.metrics[latents_.word("kl_dim", group)] = by_dimension;
    mean = pass.density->batch(group.level).per_item(mean, 0);
    e.metrics[latents_.word("mean", group)] = weighted_sums(mean, batch.weight);
    e.metrics[latents_.word("mean_sq", group)] = weighted_sums(mean, batch.weight, 2);
    if (!group.observed.empty()) measure_accuracy(e, group, pass, batch);
  }
  e.metrics["kl"] = total;
  if (!bags_) return;
  const Tensor& x = batch.at("x");
  e.metrics["tokens"] = at::dot(at::nansum(x, {1}).to(at::kDouble), batch.row_weight());
  e.metrics["log_orders"] = at::dot(likelihood_->log_orders(x), batch.row_weight());
}

// Of items whose class is known: how many q puts where they belong.
void Amortized::measure_accuracy(Expectation& e, const Group& group, const Pass& pass, const Batch& batch) const {
  const Tensor zero = at::zeros({}, at::kDouble);
  const bool known = pass.log_known.count(group.name) > 0;
  Tensor right = zero;
  if (known) {
    const Tensor same = pass.classes.at(group.name).argmax(-1) == pass.density->at(group.name).argmax(-1);
    right = at::dot(same.to(at::kDouble), batch.weight);
  }
  e.metrics[latents_.word("accuracy", group)] = right;
  e.metrics[latents_.word("known", group)] = known ? batch.weight.sum() : zero;
}

std::map<std::string, double> Amortized::label_weights() const {
  std::map<std::string, double> weights;
  if (const Group* group = latents_.observed())
    weights[group->name] = constants_->get(label_weight_name(*group)).item<double>();
  return weights;
}

void Amortized::learn_label_weight(const Dataset& train, const Group& group) {
  const auto column = train.columns.find(group.observed);
  if (train.offsets.defined() || column == train.columns.end())
    fail<DataError>("vae: {} is observed as the {} of single rows, and the data have none", group.name, group.observed);
  const int64_t known = (column->second >= 0).sum().item<int64_t>();
  if (known == 0)
    fail<DataError>("vae: {} is missing in every training item, so nothing tells classes apart", group.observed);
  const auto& chosen = o_.groups().at(group.name)->weight;
  const double share = 0.1 * static_cast<double>(train.size) / static_cast<double>(known);
  constants_->set(label_weight_name(group), at::scalar_tensor(chosen.value_or(share), at::kDouble));
}

std::map<std::string, std::vector<double>> Amortized::report(const Expectation& total) const {
  auto values = Model::report(total);
  for (const Group& group : latents_.groups()) {
    const std::string of_mean = latents_.word("mean", group), of_square = latents_.word("mean_sq", group);
    const auto mean = values.at(of_mean), square = values.at(of_square);
    double active = 0;
    for (size_t i = 0; i < mean.size(); ++i) active += square[i] - mean[i] * mean[i] > kActive;
    values.erase(of_mean);
    values.erase(of_square);
    values[latents_.word("active_units", group)] = {active};
    if (group.observed.empty()) continue;
    const std::string of_known = latents_.word("known", group);
    const double known = values.at(of_known)[0];
    values.erase(of_known);
    double& accuracy = values.at(latents_.word("accuracy", group))[0];
    accuracy = known > 0 ? accuracy / known : std::numeric_limits<double>::quiet_NaN();
  }
  if (bags_) {  // of the words in their order, as for topic models
    const Tensor text = total.bound - total.metrics.at("log_orders");
    values["perplexity_bound"] = {(-text / total.metrics.at("tokens")).exp().item<double>()};
    values.erase("log_orders");
  }
  return values;
}

}  // namespace vem
