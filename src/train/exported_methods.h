// The methods of an exported file.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include "vem/infer/model.h"

namespace vem {

/// Adds every method that is exported() to the module, whose tensors are the model's, and `forward`. Throws
/// NumericError for one that can not be exported, or that gives other numbers for 1 or 5 rows than the model does.
void add_methods(torch::jit::Module& module, const std::shared_ptr<torch::jit::CompilationUnit>& unit,
                 const std::vector<Method>& methods);

}  // namespace vem
