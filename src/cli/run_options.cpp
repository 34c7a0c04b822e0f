// The order in which the sections of a configuration are read.
#include "run_options.h"

namespace vem {

// The model comes first: its defaults are laid under the other sections, and its regimes decide what has an effect
// there.
void RunOptions::visit(OptionVisitor& v) {
  v("seed", seed, at_least(0), "of everything random: splits, starts, order, noise");
  v("threads", threads, {0, 1024}, "threads of matrix products and loops; 0: all cores, or OMP_NUM_THREADS");
  v.word("device", device, {"cpu"}, "where tensors live");
  v("model", model, "what is fitted");
  if (const auto* options = dynamic_cast<const ModelOptions*>(model.options.get())) {
    train.has_conjugate = options->has_conjugate();
    train.has_gradient = options->has_gradient();
    train.sampled = options->sampled();
  }
  v("data", data, "what it is fitted to");
  train.has_validation = data.has_validation();
  v("train", train, "how");
  data.seed = train.seed = static_cast<uint64_t>(seed);
}

Dataset as_taken(Dataset data, const Choice& model) {
  const auto* options = dynamic_cast<const ModelOptions*>(model.options.get());
  return options && options->takes_documents() ? data : rows_of_counts(std::move(data));
}

Splits as_taken(Splits splits, const Choice& model) {
  for (Dataset* part : {&splits.train, &splits.validation, &splits.test}) *part = as_taken(std::move(*part), model);
  return splits;
}

}  // namespace vem
