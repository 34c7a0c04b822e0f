// TorchScript: a module tree that mirrors the model's dotted names, methods traced on the very tensors that it holds, and
// TorchScript source for what a trace would freeze (counts, loops, random shapes).
#include "vem/train/exporter.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/train/safetensors.h"

namespace vem {
namespace {

namespace jit = torch::jit;

const std::string kModelPrefix = "model/";

bool is_model(const std::string& key) { return key.compare(0, kModelPrefix.size(), kModelPrefix) == 0; }

/// Every "model/" tensor by its dotted name: the very objects that the model computes with.
TensorMap model_tensors(const Model& model) {
  TensorMap tensors;
  for (const auto& [key, value] : model.state())
    if (is_model(key)) tensors[key.substr(kModelPrefix.size())] = value;
  return tensors;
}

/// The module that holds the tensors below one prefix; names up to a dot become submodules.
jit::Module mirror(const TensorMap& tensors, const std::string& qualified, const std::shared_ptr<jit::CompilationUnit>& unit,
                   bool is_class = true) {
  jit::Module module(c10::QualifiedName(qualified), unit, is_class);
  module.register_attribute("training", c10::BoolType::get(), false);  // or Python's .eval() fails
  std::map<std::string, TensorMap> children;
  for (const auto& [name, tensor] : tensors) {
    const size_t dot = name.find('.');
    if (dot != std::string::npos) children[name.substr(0, dot)][name.substr(dot + 1)] = tensor;
    else if (tensor.requires_grad()) module.register_parameter(name, tensor, false);
    else module.register_buffer(name, tensor);
  }
  for (const auto& [name, below] : children)
    module.register_module(name, mirror(below, fmt::format("{}.{}", qualified, std::isdigit(name[0]) ? "_" + name : name), unit));
  return module;
}

c10::IValue packed(const std::vector<Tensor>& outputs) {
  if (outputs.size() == 1) return outputs[0];
  return c10::ivalue::Tuple::create(std::vector<c10::IValue>(outputs.begin(), outputs.end()));
}

void add_traced(jit::Module& module, const std::shared_ptr<jit::CompilationUnit>& unit, const Method& method) {
  const at::NoGradGuard no_grad;
  jit::Stack inputs(method.example.begin(), method.example.end());
  const auto call = [&](jit::Stack stack) {
    std::vector<Tensor> in;
    for (const auto& value : stack) in.push_back(value.toTensor());
    return jit::Stack{packed(method.call(in, Rng(0)))};
  };
  const auto no_names = [](const torch::autograd::Variable&) { return std::string(); };
  const auto traced = jit::tracer::trace(inputs, call, no_names, true, false, &module, method.inputs);
  module.type()->addMethod(unit->create_function(c10::QualifiedName(*module.type()->name(), method.name), traced.first->graph));
}

bool traceable(const Method& method) { return method.script.empty() && (!method.example.empty() || method.inputs.empty()); }

}  // namespace

void export_torchscript(const Model& model, const std::string& config, const std::string& path) {
  const auto unit = std::make_shared<jit::CompilationUnit>();
  jit::Module module = mirror(model_tensors(model), "__torch__.vem", unit);
  const std::vector<Method> methods = model.methods();
  for (const Method& method : methods)
    if (traceable(method)) add_traced(module, unit, method);
  for (const Method& method : methods)
    if (!method.script.empty()) module.define(method.script);
  for (const char* name : {"reconstruct", "log_prob"}) {
    const Method* method = Model::find(methods, name);
    if (!method || !traceable(*method)) continue;
    Method forward = *method;
    forward.name = "forward";
    add_traced(module, unit, forward);
    break;
  }
  write_atomically(path, [&](const std::string& temporary) {
    try {
      module.save(temporary, {{"config.toml", config}});
    } catch (const c10::Error& e) {
      fail<OutputError>("{}: can not be written: {}", path, e.what_without_backtrace());
    }
  });
}

void export_safetensors(const Model& model, const std::string& config, const std::string& path) {
  save_safetensors(path, {model_tensors(model), {{"format", "vem-model"}, {"config", config}}});
}

}  // namespace vem
