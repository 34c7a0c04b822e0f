#include "support/amortised.h"

namespace vem {
const Registry& plugins() {
  static const Registry registry = builtin_registry();
  return registry;
}

std::shared_ptr<GradientBlock> parameter_block() {
  return std::make_shared<GradientBlock>("networks", plugins().create<Optimizer>(default_optimizer(), {plugins()}));
}

Choice chosen(const std::string& kind, const std::string& toml) {
  ChoiceOptions options(kind, plugins().list(kind).front()->name);
  Config::parse("[" + kind + "]\n" + toml, "test").read(options, plugins());
  return options.choice;
}

Batch blank_batch(int64_t n) {
  Batch batch;
  batch.index = items(n);
  batch.weight = at::ones({n}, at::kDouble);
  return batch;
}

Tensor random(const Shape& shape, const std::string& stream) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return Rng(20).normal(items(n), {}, stream).view(shape);
}

}  // namespace vem
