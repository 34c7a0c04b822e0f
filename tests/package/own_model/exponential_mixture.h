#pragma once

#include "vem/core/registry.h"

/// Adds the model "exponential-mixture".
void register_exponential_mixture(vem::Registry& registry);
