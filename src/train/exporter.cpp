// TorchScript: a module tree that mirrors the model's dotted names, and methods traced on the very tensors that it
// holds. Draws are traced with Rng::recorded(), loops as calls of vem/infer/torchscript_library.h; the only source that
// is written here counts draws and goes from one sequence to the next. Nothing here knows a kind of model.
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

constexpr const char* kOffsets = "offsets";

/// What of a method is traced: itself or, of one that draws, <name>_at of the numbers of the draws.
struct Traced {
  std::string name;
  std::vector<std::string> inputs;
  std::vector<Tensor> example;
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> call;
  /// What the model's own numbers are; of draws, whose numbers differ, the shapes count.
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> expected;
  bool draws;
};

std::vector<Traced> traced_parts(const std::vector<Method>& methods) {
  std::vector<Traced> all;
  for (const Method& method : methods) {
    if (method.draws) {
      const auto drawn_by = [draws = method.draws](const Rng& rng) {
        return [draws, rng](const std::vector<Tensor>& inputs) { return draws(inputs[0], rng); };
      };
      all.push_back({method.name + "_at",
                     {"index"},
                     {at::arange(2, at::kLong)},
                     drawn_by(Rng::recorded()),
                     drawn_by(Rng(0)),
                     true});
    } else if (method.of_each_sequence.empty() && method.exported()) {
      const auto call = [call = method.call](const std::vector<Tensor>& inputs) { return call(inputs, Rng(0)); };
      all.push_back({method.name, method.inputs, method.example, call, call, false});
    }
  }
  return all;
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
void add_traced(const jit::Module& module, const Unit& unit, const Traced& method) {
  jit::Module self = module;  // a handle: the tracer wants it mutable
  const auto call = [&](const jit::Stack& inputs) {
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < inputs.size(); ++i)
      tensors.push_back(inputs[i].toTensor().to(method.example[i].scalar_type()));
    return jit::Stack{packed(method.call(tensors))};
  };
  const auto no_names = [](const Tensor&) { return std::string(); };
  const jit::Stack example(method.example.begin(), method.example.end());
  const auto traced = jit::tracer::trace(example, call, no_names, true, false, &self, method.inputs);
  self.type()->addMethod(
      unit->create_function(c10::QualifiedName(*self.type()->name(), method.name), traced.first->graph));
}

/// n rows of each example, over and over again; of ragged ones, n items of two, one, two ... rows.
std::vector<Tensor> example_rows(const Traced& method, int64_t n) {
  const bool ragged = std::find(method.inputs.begin(), method.inputs.end(), kOffsets) != method.inputs.end();
  const Tensor lengths = at::arange(n, at::kLong).remainder(2).eq(0).to(at::kLong) + 1;
  const int64_t rows = ragged ? lengths.sum().item<int64_t>() : n;
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < method.example.size(); ++i) {
    const Tensor& example = method.example[i];
    if (method.inputs[i] == kOffsets)
      inputs.push_back(at::cat({at::zeros({1}, at::kLong), lengths.cumsum(0)}));
    else
      inputs.push_back(example.dim() == 0
                           ? example
                           : example.index_select(0, at::arange(rows, at::kLong).remainder(example.size(0))));
  }
  return inputs;
}

bool equal_outputs(const std::vector<Tensor>& a, const std::vector<Tensor>& b, bool shapes_alone) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [=](const Tensor& x, const Tensor& y) {
    return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() &&
           (shapes_alone || at::allclose(x, y, 1e-4, 1e-5, true));
  });
}

/// A trace freezes every size that C++ code has asked for; other numbers of rows than the example's tell.
void check_rows(const jit::Module& module, const Traced& method) {
  for (const int64_t n : {int64_t{1}, int64_t{5}}) {
    const std::vector<Tensor> inputs = example_rows(method, n);
    const jit::Stack stack(inputs.begin(), inputs.end());
    if (!equal_outputs(unpacked(module.get_method(method.name)(stack)), method.expected(inputs), method.draws))
      fail<NumericError>("export: method {} gives other numbers for {} rows than the model; is a size frozen?",
                         method.name, n);
  }
}

/// "NAME0, NAME1 ..." of so many.
std::string numbered(const char* name, size_t count) {
  std::vector<std::string> all;
  for (size_t i = 0; i < count; ++i) all.push_back(fmt::format("{}{}", name, i));
  return fmt::format("{}", fmt::join(all, ", "));
}

/// The method for a number of draws or for sequences, by way of those that were traced.
std::string source_of(const Method& method) {
  std::string text =
      fmt::format("def {}(self, {}{}):\n", method.name, fmt::join(method.inputs, ", "), method.draws ? ": int" : "");
  const std::string drawn = fmt::format("self.{}_at(torch.arange({}))", method.name, method.inputs[0]);
  if (method.of_each_sequence.empty()) return text + "    return " + drawn + "\n";
  if (method.draws) text += "    rows, offsets = " + drawn + "\n";
  const size_t outputs = method.outputs.size();
  std::vector<std::string> joined;
  for (size_t i = 0; i < outputs; ++i) {
    text += fmt::format("    all{}: List[Tensor] = []\n", i);
    joined.push_back(fmt::format("torch.cat(all{})", i));
  }
  text += fmt::format(
      "    for i in range(offsets.size(0) - 1):\n        {} = self.{}({}[int(offsets[i]):int(offsets[i + 1])])\n",
      numbered("one", outputs), method.of_each_sequence, method.draws ? "rows" : method.inputs[0]);
  for (size_t i = 0; i < outputs; ++i) text += fmt::format("        all{0}.append(one{0})\n", i);
  return text + fmt::format("    return {}\n", fmt::join(joined, ", "));
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
void with_name(const std::string& name, const char* action, Step step) {
  try {
    step();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    std::string what = error.what();
    what.erase(0, what.find_first_not_of('\n'));
    fail<NumericError>("export: method {} can not be {}: {}", name, action, what.substr(0, what.find('\n')));
  }
}

void add_methods(jit::Module& module, const Unit& unit, const std::vector<Method>& methods) {
  for (const Method& method : methods)
    if (module.hasattr(method.name)) fail<NumericError>("export: method {} has the name of a tensor", method.name);
  const std::vector<Traced> parts = traced_parts(methods);
  for (const Traced& part : parts) with_name(part.name, "traced", [&] { add_traced(module, unit, part); });
  for (const Method& method : methods)
    if (method.draws || !method.of_each_sequence.empty())
      with_name(method.name, "compiled", [&] { module.define(source_of(method)); });
  add_forward(module, methods);
  for (const Traced& part : parts)
    with_name(part.name, "run for other rows than its example", [&] { check_rows(module, part); });
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
