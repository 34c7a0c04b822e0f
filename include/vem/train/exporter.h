// Files that other programs load: TorchScript with a model's methods, safetensors with its parameters.
#pragma once

#include <string>

#include "vem/infer/model.h"

namespace vem {

/// Writes a TorchScript file for any number of rows. Its parameters (gradient blocks) and buffers (all else) carry the
/// model's names; its methods are those of model.methods() that are exported(), traced (several outputs are a tuple;
/// inputs of any type are converted to that of the example); forward is `reconstruct`, else `log_prob`, where there is
/// one. What draws has LibTorch's random numbers, and a method <name>_at beside it. The configuration is inside as the
/// extra file "config.toml". Throws OutputError, and NumericError for a method that can not be exported or gives other
/// numbers for 1 or 5 rows of its example than the model does.
void export_torchscript(const Model& model, const std::string& config, const std::string& path);
/// Writes the "model/" entries of model.state() under their dotted names, with the metadata format = "vem-model" and
/// config. Throws OutputError.
void export_safetensors(const Model& model, const std::string& config, const std::string& path);

}  // namespace vem
