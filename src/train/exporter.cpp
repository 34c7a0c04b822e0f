// TorchScript: a module tree that mirrors the model's dotted names, methods traced on the very tensors that it holds,
// and TorchScript source for what a trace would freeze (counts, loops, random shapes). Nothing here knows a kind of
// model.
#include "vem/train/exporter.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include <cctype>
#include <set>
#include <sstream>

#include "vem/core/error.h"
#include "vem/data/writers.h"
#include "vem/train/checkpoint.h"

namespace vem {
namespace {

namespace jit = torch::jit;
using Unit = std::shared_ptr<jit::CompilationUnit>;

/// Every "model/" tensor by its dotted name: the very objects that the model computes with.
TensorMap model_tensors(const Model& model) {
  TensorMap tensors;
  for (const auto& [key, value] : model.state())
    if (key.compare(0, kModelPrefix.size(), kModelPrefix) == 0) tensors[key.substr(kModelPrefix.size())] = value;
  return tensors;
}

// ---- the module tree ----

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
                   const std::string& type, const Unit& unit) {
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

// ---- methods ----

bool traceable(const Method& method) {
  return method.script.empty() && (!method.example.empty() || method.inputs.empty());
}

c10::IValue packed(const std::vector<Tensor>& outputs) {
  if (outputs.size() == 1) return outputs[0];
  return c10::ivalue::Tuple::create(std::vector<c10::IValue>(outputs.begin(), outputs.end()));
}

std::vector<Tensor> unpacked(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  std::vector<Tensor> tensors;
  for (const c10::IValue& element : value.toTupleRef().elements()) tensors.push_back(element.toTensor());
  return tensors;
}

/// The method is recorded with the conversion of its inputs to the types of its example, so that the file takes what
/// other programs have at hand: float64 of NumPy, half precision, pixels in uint8, bool. No number is rescaled.
void add_traced(const jit::Module& module, const Unit& unit, const Method& method) {
  jit::Module self = module;  // a handle: the tracer wants it mutable
  const auto call = [&](const jit::Stack& inputs) {
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < inputs.size(); ++i)
      tensors.push_back(inputs[i].toTensor().to(method.example[i].scalar_type()));
    return jit::Stack{packed(method.call(tensors, Rng(0)))};
  };
  const auto no_names = [](const Tensor&) { return std::string(); };
  const jit::Stack example(method.example.begin(), method.example.end());
  const auto traced = jit::tracer::trace(example, call, no_names, true, false, &self, method.inputs);
  self.type()->addMethod(
      unit->create_function(c10::QualifiedName(*self.type()->name(), method.name), traced.first->graph));
}

/// The first n rows of each example, over and over again.
std::vector<Tensor> example_rows(const Method& method, int64_t n) {
  std::vector<Tensor> inputs;
  for (const Tensor& example : method.example)
    inputs.push_back(example.dim() == 0 ? example
                                        : example.index_select(0, at::arange(n, at::kLong).remainder(example.size(0))));
  return inputs;
}

bool equal_outputs(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& x, const Tensor& y) {
    return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() && at::allclose(x, y, 1e-4, 1e-5, true);
  });
}

/// A trace freezes every size that C++ code has asked for; other numbers of rows than the example's tell.
void check_rows(const jit::Module& module, const Method& method) {
  for (const int64_t n : {int64_t{1}, int64_t{5}}) {
    const std::vector<Tensor> inputs = example_rows(method, n);
    const jit::Stack stack(inputs.begin(), inputs.end());
    if (!equal_outputs(unpacked(module.get_method(method.name)(stack)), method.call(inputs, Rng(0))))
      fail<NumericError>("export: method {} gives other numbers for {} rows than the model; is a size frozen?",
                         method.name, n);
  }
}

/// Names that other programs call without knowing the model.
void add_forward(jit::Module& module, const std::vector<Method>& methods) {
  for (const char* name : {"reconstruct", "log_prob"}) {
    const Method* method = Model::find(methods, name);
    if (module.find_method("forward") || !method || !module.find_method(name)) continue;
    const std::string inputs = fmt::format("{}", fmt::join(method->inputs, ", "));
    module.define(fmt::format("def forward(self{}{}):\n    return self.{}({})\n", inputs.empty() ? "" : ", ", inputs,
                              name, inputs));
  }
}

/// Runs `step`; what LibTorch throws becomes an error that names the method.
template <class Step>
void with_name(const Method& method, const char* action, Step step) {
  try {
    step();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    std::string what = error.what();
    what.erase(0, what.find_first_not_of('\n'));
    fail<NumericError>("export: method {} can not be {}: {}", method.name, action, what.substr(0, what.find('\n')));
  }
}

void add_methods(jit::Module& module, const Unit& unit, const std::vector<Method>& methods) {
  for (const Method& method : methods)
    if (module.hasattr(method.name)) fail<NumericError>("export: method {} has the name of a tensor", method.name);
  for (const Method& method : methods)
    if (traceable(method)) with_name(method, "traced", [&] { add_traced(module, unit, method); });
  for (const Method& method : methods)
    if (!method.script.empty()) with_name(method, "compiled", [&] { module.define(method.script); });
  add_forward(module, methods);
  for (const Method& method : methods)
    if (traceable(method))
      with_name(method, "run for other rows than its example", [&] { check_rows(module, method); });
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
