// Files that other programs load: TorchScript with a model's methods, safetensors with its parameters.
#pragma once

#include <string>

#include "vem/infer/model.h"

namespace vem {

/// Writes a TorchScript file whose parameters carry the model's names and whose methods are model.methods(): traced, or
/// from their script. The configuration is inside as the extra file "config.toml". Any batch size. Throws OutputError.
void export_torchscript(const Model& model, const std::string& config, const std::string& path);
/// Writes the "model/" entries of model.state() under their dotted names, configuration in the metadata.
void export_safetensors(const Model& model, const std::string& config, const std::string& path);

}  // namespace vem
