// Expands registry.def: declarations first, then the table.
#include "vem/models/registry.h"

namespace vem {

#define VEM_PLUGIN(id) void register_##id(Registry& registry);
#define VEM_PRESET(kind, name, base, defaults, summary)
#include "registry.def"
#undef VEM_PLUGIN
#undef VEM_PRESET

Registry builtin_registry() {
  Registry registry;
#define VEM_PLUGIN(id) register_##id(registry);
#define VEM_PRESET(kind, name, base, defaults, summary) registry.add_preset(kind, name, base, defaults, summary);
#include "registry.def"
#undef VEM_PLUGIN
#undef VEM_PRESET
  return registry;
}

}  // namespace vem
