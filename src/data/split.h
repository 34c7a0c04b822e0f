// Cuts a data set into what is trained on and what is held out. Private to load_splits.
#pragma once

#include "vem/data/source.h"

namespace vem {

/// Holds out items as options.validation, options.test, options.split and options.seed say. `all` must be the only
/// owner of its columns: for a random split their rows are put in order in place or, if they are many, in a temporary
/// file, because a second copy of the data may not fit into memory. Identities (`index`) are the positions in `all`.
/// Throws ConfigError if no training item would be left.
Splits hold_out(Dataset all, const DataOptions& options);

}  // namespace vem
