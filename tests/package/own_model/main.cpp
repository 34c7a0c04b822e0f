// Everything that `vem` can do, for its models and for one more.
#include "exponential_mixture.h"
#include "vem/cli/run.h"
#include "vem/models/registry.h"

int main(int argc, char** argv) {
  vem::Registry registry = vem::builtin_registry();
  register_exponential_mixture(registry);
  return vem::run(argc, argv, registry);
}
