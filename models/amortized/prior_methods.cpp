// What can be asked of an amortised model and of its priors: draws, importance weights, clusters.
#include "model.h"

namespace vem {

void Amortized::add_draws(std::vector<Method>& methods) const {
  methods.push_back(Method::of_draws("sample", "mean of p(x | z) for n draws of z from the prior", {"x"},
                                     [this](const Tensor& index, const Rng& rng) {
                                       const Batch batch = batch_of_draws(index);
                                       return std::vector<Tensor>{mean_of_rows(*drawn_from_prior(batch, rng))};
                                     }));
  methods.push_back({"importance",
                     "log importance weights [samples, rows] of draws from q, by the density that z is sampled from",
                     {"x", "samples"},
                     {"log_weights"},
                     [this](const std::vector<Tensor>& in, const Rng& rng) {
                       return std::vector<Tensor>{log_weights(batch_of(in[0]), in[1].item<int64_t>(), rng)};
                     },
                     {},
                     {"samples"}});
  const bool real = std::none_of(latents_.groups().begin(), latents_.groups().end(),
                                 [](const Group& group) { return group.posterior->discrete(); });
  if (real) add_annealing(methods);
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
  methods.push_back(Method::of_rows("impute", "rows with expected values in their missing cells", "x", "x",
                                    [this](const Tensor& in, const Rng& rng) { return impute(in, {}, rng); }));
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
    return this->annealed(in[0], draws, in[2].item<int64_t>(), false, rng);
  };
  annealed.integers = {"chains", "temperatures"};
  methods.push_back(annealed);
  Method simulated{"annealed_from",
                   "the same backwards, from the z that rows were made of",
                   {"x", "z", "temperatures"},
                   {"log_weights", "acceptance"},
                   {}};
  simulated.call = [this](const std::vector<Tensor>& in, const Rng& rng) {
    return this->annealed(in[0], in[1].unsqueeze(0), in[2].item<int64_t>(), true, rng);
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
  const Group* clustered = nullptr;
  for (const Group& group : latents_.groups())
    if (group.prior->clusters() && !group.posterior->flows()) clustered = &group;
  if (clustered == nullptr || of_sequences()) return;
  const Tensor x = at::zeros({2, schema_.num_features()}, rows_.row_type());
  const Tensor traced = o_.e_step == EStep::amortized ? x : Tensor();
  const auto responsibilities = [this, clustered](const Tensor& in, const Rng& rng) {
    const Batch batch = batch_of(in);
    const Tensor parameters = at_means(batch, rng).parameters.at(clustered->name);
    return clustered->prior->responsibilities(*clustered->posterior->at(parameters), globals_);
  };
  methods.push_back(Method::of_rows("responsibilities", "probability of each component of the prior", "x",
                                    "responsibilities", responsibilities, traced));
  methods.push_back(Method::of_rows(
      "predict", "the most probable component of the prior; -1 where none has a probability", "x", "component",
      [responsibilities](const Tensor& in, const Rng& rng) {
        const Tensor r = responsibilities(in, rng);
        return r.argmax(-1).masked_fill(r.isnan().any(-1), -1);
      },
      traced));
}

}  // namespace vem
