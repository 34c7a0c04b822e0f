// vem as a library: a data set made of the program's own numbers, a model chosen by name with options as TOML, a fit,
// and the model's methods. Then the same fit on two ranks, here threads of one process, and with a model of one's own.
#include <ATen/ATen.h>

#include <cstdio>

#include "exponential_mixture.h"
#include "vem/core/config.h"
#include "vem/core/platform.h"
#include "vem/models/registry.h"
#include "vem/train/fit.h"

namespace {

/// n rows from two clusters, far enough from zero to be positive.
vem::Dataset two_clusters(int64_t n) {
  const at::Tensor items = at::arange(n, at::kLong);
  vem::Dataset data;
  data.columns["x"] = vem::Rng(1).normal(items, {2}, "x").abs() + 4 * items.remainder(2).unsqueeze(1);
  data.schema.item_shape = {2};
  data.size = n;
  return data;
}

std::shared_ptr<vem::Model> make_model(const std::string& name, const std::string& toml, const vem::Dataset& data,
                                       const vem::Registry& registry) {
  vem::ChoiceOptions options("model", name);
  vem::Config::parse(toml, "options of " + name).read(options, registry);
  return registry.create<vem::Model>(options.choice, {data.schema, registry});
}

/// The bound per item of a fit on so many ranks; every rank holds a model and sees its share of the items.
double fit_on_ranks(int64_t ranks, const std::string& name, const std::string& toml, const vem::Dataset& data,
                    const vem::FitOptions& options, const vem::Registry& registry) {
  double bound = 0;
  vem::run_ranks(ranks, [&](vem::Communicator& communicator) {
    const auto model = make_model(name, toml, data, registry);
    const vem::FitResult result = vem::fit(*model, data, options, {registry, nullptr, &communicator});
    if (communicator.rank() == 0) bound = result.bounds.back() / static_cast<double>(data.size);
  });
  return bound;
}

}  // namespace

int main() {
  vem::tune_platform(0);  // fast products, on every processor
  vem::Registry registry = vem::builtin_registry();
  register_exponential_mixture(registry);
  const vem::Dataset data = two_clusters(400);

  const auto gmm = make_model("gmm", "model.num_components = 2", data, registry);
  vem::FitOptions options;
  options.epochs = 50;
  const vem::FitResult result = vem::fit(*gmm, data, options, {registry});
  std::printf("gmm: %s\n", result.reason.c_str());
  std::printf("gmm: bound %.6f\n", result.bounds.back() / static_cast<double>(data.size));

  const auto methods = gmm->methods();
  const at::Tensor rows = at::tensor({0.5, 0.5, 4.5, 4.5}, at::kDouble).view({2, 2});
  const at::Tensor component = vem::Model::find(methods, "predict")->call({rows}, vem::Rng(0))[0];
  std::printf("gmm: components of (0.5, 0.5) and (4.5, 4.5) differ: %s\n",
              component[0].item<int64_t>() != component[1].item<int64_t>() ? "yes" : "no");

  vem::FitOptions batches;
  batches.epochs = 20;
  batches.batch_size = 64;
  for (const int64_t ranks : {1, 2}) {
    std::printf("gmm, %ld rank(s): bound %.6f\n", static_cast<long>(ranks),
                fit_on_ranks(ranks, "gmm", "model.num_components = 2", data, options, registry));
    std::printf("exponential-mixture, %ld rank(s): bound %.6f\n", static_cast<long>(ranks),
                fit_on_ranks(ranks, "exponential-mixture", "model.num_components = 3", data, batches, registry));
  }
  return 0;
}
