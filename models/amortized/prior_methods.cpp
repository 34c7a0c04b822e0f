// What can be asked of an amortised model and of its priors: draws, importance weights, clusters.
#include "model.h"

namespace vem {

void Amortized::add_draws(std::vector<Method>& methods) const {
  add_sample(methods);
  methods.push_back({"importance",
                     "log importance weights [samples, rows] of draws from q, by the density that z is sampled from",
                     with_columns({"x", "samples"}),
                     {"log_weights"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       return std::vector<Tensor>{log_weights(rows_of(in, 2), in[1].item<int64_t>(), rng)};
                     },
                     {},
                     {"samples"}});
  const bool real = std::none_of(latents_.groups().begin(), latents_.groups().end(),
                                 [](const Group& group) { return group.posterior->discrete(); });
  if (real && latents_.columns().empty()) add_annealing(methods);
  if (latents_.columns().empty())
    methods.push_back({"simulate",
                       "n draws from the model, x with its noise, and the z that they were made of",
                       {"n"},
                       {"x", "z"},
                       [this](const std::vector<Tensor>& in, const Rng& rng) {
                         const at::NoGradGuard no_grad;
                         const Batch batch = batch_of_draws(at::arange(in[0].item<int64_t>(), at::kLong));
                         const auto world = drawn_from_prior(batch, rng);
                         const Tensor x = likelihood_->sample(inference_.decode(*world), rng.fold("likelihood"));
                         return std::vector<Tensor>{rows_.unscaled(x), side_by_side(*world)};
                       },
                       {},
                       {"n"}});
  Method impute{"impute", "rows with expected values in their missing cells", with_columns({"x"}), {"x"}, {}};
  impute.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    return std::vector<Tensor>{this->impute(rows_of(in), rng)};
  };
  methods.push_back(impute);
}

// Given columns, all draws have the same value of each, and a trace would freeze their number.
void Amortized::add_sample(std::vector<Method>& methods) const {
  constexpr const char* kHelp = "mean of p(x | z) for n draws of z from the prior";
  if (latents_.columns().empty()) {
    methods.push_back(Method::of_draws("sample", kHelp, {"x"}, [this](const Tensor& index, const Rng& rng) {
      const Batch batch = batch_of_draws(index);
      return std::vector<Tensor>{mean_of_rows(*drawn_from_prior(batch, rng))};
    }));
    return;
  }
  Method sample{"sample", kHelp, with_columns({"n"}), {"x"}, {}};
  sample.integers = sample.inputs;
  sample.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    Batch batch = columns_of(in, 1);
    batch.index = at::arange(in[0].item<int64_t>(), at::kLong);
    for (auto& entry : batch.columns) entry.second = entry.second.expand_as(batch.index);
    return std::vector<Tensor>{mean_of_rows(*drawn_from_prior(batch, rng))};
  };
  methods.push_back(sample);
}

void Amortized::add_annealing(std::vector<Method>& methods) const {
  Method annealed{"annealed",
                  "log weights [chains, rows] of annealed importance sampling, and the share of moves accepted",
                  {"x", "chains", "temperatures"},
                  {"log_weights", "acceptance"},
                  {}};
  annealed.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    const int64_t chains = in[1].item<int64_t>(), rows = in[0].size(0);
    const Batch batch = batch_of_draws(at::arange(chains * rows, at::kLong));
    const Tensor draws = side_by_side(*drawn_from_prior(batch, rng)).view({chains, rows, -1});
    return this->annealed(batch_of(in[0]), draws, in[2].item<int64_t>(), false, rng);
  };
  annealed.integers = {"chains", "temperatures"};
  methods.push_back(annealed);
  Method simulated{"annealed_from",
                   "the same backwards, from the z that rows were made of",
                   {"x", "z", "temperatures"},
                   {"log_weights", "acceptance"},
                   {}};
  simulated.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    return this->annealed(batch_of(in[0]), in[1].unsqueeze(0), in[2].item<int64_t>(), true, rng);
  };
  simulated.integers = {"temperatures"};
  methods.push_back(simulated);
}

// Methods of a prior are known by their bare names where there is one group.
void Amortized::add_priors(std::vector<Method>& methods) const {
  for (const Group& group : latents_.groups())
    for (Method& method : group.prior->methods()) {
      method.name = latents_.one_group() ? method.name : method.name + "_" + group.name;
      methods.push_back(std::move(method));
    }
  if (const Group* group = latents_.observed(); group != nullptr) return add_classifier(methods, *group);
  const Group* clustered = nullptr;
  for (const Group& group : latents_.groups())
    if (group.prior->clusters() && !group.posterior->flows()) clustered = &group;
  if (clustered == nullptr || of_sequences()) return;
  const Tensor x = at::zeros({2, schema_.num_features()}, rows_.row_type());
  const Tensor traced = o_.e_step == EStep::amortized ? x : Tensor();
  const auto responsibilities = [this, clustered](const std::vector<Tensor>& in, const Rng& rng) {
    const Batch batch = rows_of(in);
    const Tensor parameters = at_means(batch, rng).parameters.at(clustered->name);
    return clustered->prior->responsibilities(*clustered->posterior->at(parameters), globals_);
  };
  const std::vector<Tensor> example = traced.defined() ? with_examples({traced}) : std::vector<Tensor>();
  Method probabilities{"responsibilities",
                       "probability of each component of the prior",
                       with_columns({"x"}),
                       {"responsibilities"},
                       {},
                       example};
  probabilities.call = [responsibilities](const std::vector<Tensor>& in, const Rng& rng) {
    return std::vector<Tensor>{responsibilities(in, rng)};
  };
  methods.push_back(probabilities);
  Method predict{"predict",
                 "the most probable component of the prior; -1 where none has a probability",
                 with_columns({"x"}),
                 {"component"},
                 {},
                 example};
  predict.call = [responsibilities](const std::vector<Tensor>& in, const Rng& rng) {
    const Tensor r = responsibilities(in, rng);
    return std::vector<Tensor>{r.argmax(-1).masked_fill(r.isnan().any(-1), -1)};
  };
  methods.push_back(predict);
}

void Amortized::add_classifier(std::vector<Method>& methods, const Group& group) const {
  const Tensor x = at::zeros({2, schema_.num_features()}, rows_.row_type());
  const std::vector<Tensor> example = o_.e_step == EStep::amortized ? with_examples({x}) : std::vector<Tensor>();
  const auto probabilities = [this, &group](const std::vector<Tensor>& in, const Rng& rng) {
    const Batch batch = rows_of(in);
    return group.posterior->at(at_means(batch, rng).parameters.at(group.name))->mean();
  };
  Method classes{"classes", "probability of each class given x", with_columns({"x"}), {"probabilities"}, {}, example};
  classes.call = [probabilities](const std::vector<Tensor>& in, const Rng& rng) {
    return std::vector<Tensor>{probabilities(in, rng)};
  };
  methods.push_back(classes);
  Method predict{"predict", "the most probable class given x", with_columns({"x"}), {"class"}, {}, example};
  predict.call = [probabilities](const std::vector<Tensor>& in, const Rng& rng) {
    return std::vector<Tensor>{probabilities(in, rng).argmax(-1)};
  };
  methods.push_back(predict);
}

}  // namespace vem
