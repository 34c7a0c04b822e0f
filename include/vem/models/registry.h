// The plug-ins that come with vem.
#pragma once

#include "vem/core/registry.h"

namespace vem {

/// Every plug-in and preset of models/registry.def. Add your own to the copy that you get.
Registry builtin_registry();

}  // namespace vem
