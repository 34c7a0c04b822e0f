// TorchScript: a module tree that mirrors the model's dotted names, and holds the very tensors of the model. Nothing
// here knows a kind of model.
#include "vem/train/exporter.h"

#include <cctype>
#include <set>
#include <sstream>

#include "exported_methods.h"
#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/train/checkpoint.h"

namespace vem {
namespace {

namespace jit = torch::jit;

/// Every "model/" tensor by its dotted name: the very objects that the model computes with.
TensorMap model_tensors(const Model& model) {
  TensorMap tensors;
  for (const auto& [key, value] : model.state())
    if (key.compare(0, kModelPrefix.size(), kModelPrefix) == 0) tensors[key.substr(kModelPrefix.size())] = value;
  return tensors;
}

/// Names that an optimiser of another program may train; what is updated in closed form becomes a buffer.
std::set<std::string> parameter_names(const Model& model) {
  std::set<std::string> names;
  for (const auto& block : model.blocks())
    if (!block->conjugate())
      for (const auto& entry : block->globals()) names.insert(entry.first);
  return names;
}

/// The module of the tensors below `path`; names up to a dot become submodules.
jit::Module mirror(const TensorMap& tensors, const std::string& path, const std::set<std::string>& parameters,
                   const std::string& type, const std::shared_ptr<jit::CompilationUnit>& unit) {
  jit::Module module(c10::QualifiedName(type), unit, true);
  module.register_attribute("training", c10::BoolType::get(), false);  // or Python's .eval() fails
  std::map<std::string, TensorMap> children;
  for (const auto& [name, tensor] : tensors) {
    const size_t dot = name.find('.');
    if (dot != std::string::npos)
      children[name.substr(0, dot)][name.substr(dot + 1)] = tensor;
    else if (parameters.count(path + name))
      module.register_parameter(name, tensor, false);
    else
      module.register_buffer(name, tensor);
  }
  for (const auto& [name, below] : children) {
    if (module.hasattr(name)) fail<NumericError>("export: {0}{1} is a tensor, but {0}{1}.* are there too", path, name);
    const bool digit = std::isdigit(static_cast<unsigned char>(name[0]));  // no type may be called "0"
    module.register_module(
        name, mirror(below, path + name + ".", parameters, fmt::format("{}.{}{}", type, digit ? "_" : "", name), unit));
  }
  return module;
}

/// Lets go of autograd: a buffer that asked for gradients would make every output of the file ask for them.
void detach_buffers(const jit::Module& module) {
  TensorMap buffers;
  for (const auto& buffer : module.named_buffers(false)) buffers[buffer.name] = buffer.value.detach();
  for (const auto& [name, tensor] : buffers) jit::Module(module).setattr(name, tensor);
  for (const jit::Module& child : module.children()) detach_buffers(child);
}

}  // namespace

void export_torchscript(const Model& model, const std::string& config, const std::string& path) {
  const at::NoGradGuard no_grad;
  const auto unit = std::make_shared<jit::CompilationUnit>();
  jit::Module module = mirror(model_tensors(model), "", parameter_names(model), "__torch__.vem", unit);
  add_methods(module, unit, model.methods());
  detach_buffers(module);
  // By way of memory: LibTorch's file writer ends the program when the disk is full.
  std::ostringstream bytes;
  module.save(bytes, {{"config.toml", config}});
  write_text(path, bytes.str());
}

void export_safetensors(const Model& model, const std::string& config, const std::string& path) {
  save_safetensors(path, {model_tensors(model), {{"format", "vem-model"}, {"config", config}}});
}

}  // namespace vem
