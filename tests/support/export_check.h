// Exported files against the program: what methods() computes here is compared with what the TorchScript file computes
// in a fresh C++ process that knows only LibTorch (load_export.cpp), and in Python (check_export.py).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vem/infer/model.h"

namespace vem {

struct ExportCase {
  std::string name;  ///< of the file: letters, digits, _
  std::shared_ptr<const Model> model;
  TensorMap inputs;  ///< by the name of a method's input ("x", "z", "offsets"), at least 2 items
};

/// Exports every model and expects of each file: the model's names of parameters and buffers; the same numbers to 1e-5
/// (relative where they are larger than 1) from every method that is exported, for all
/// items of `inputs`, for 3 and for 1; the same shapes where a method draws random numbers. Skips Python, visibly,
/// where python3-torch is not installed. One process of each kind for all cases: both are slow to start.
void expect_exports_match(const std::vector<ExportCase>& cases);
void expect_export_matches(const std::shared_ptr<const Model>& model, const TensorMap& inputs);

}  // namespace vem
