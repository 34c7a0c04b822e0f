// Methods are traced on the tensors of the module: draws with Rng::recorded(), loops as calls of
// vem/infer/torchscript_library.h. The only source that is written here makes a number of draws out of their indices
// and goes from one sequence to the next.
#include "exported_methods.h"

#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include "vem/core/error.h"

namespace vem {
namespace {

namespace jit = torch::jit;

constexpr const char* kOffsets = "offsets";

/// A method as it is traced: as it stands or, if it makes a number of draws, <name>_at, which takes their indices.
struct Traced {
  std::string name;
  std::vector<std::string> inputs;
  std::vector<Tensor> example;
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> call;
  /// What the model itself gives. Draws differ in their numbers, so that only shapes and types can be compared.
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

/// Whether the first thing that is done with memory is an operation that writes to it, as fill_() does.
bool written_by_operation(const jit::Value& memory) {
  return std::all_of(memory.uses().begin(), memory.uses().end(), [](const jit::Use& use) {
    const std::string operation = use.user->kind().toUnqualString();
    return use.offset == 0 && operation.back() == '_';
  });
}

/// Throws NumericError where some output comes from memory that was filled without an operation on tensors: a loop over
/// numbers, which a trace does not see.
void require_operations(const std::shared_ptr<jit::Graph>& graph, const std::string& name) {
  jit::EliminateDeadCode(graph);
  for (const jit::Node* node : graph->nodes())
    if ((node->kind() == c10::aten::empty || node->kind() == c10::aten::empty_like) &&
        !written_by_operation(*node->output()))
      fail<NumericError>("export: method {} fills memory in a loop, which a trace does not see", name);
}

/// The method is recorded with the conversion of its inputs to the types of its example, so that the file takes what
/// other programs have at hand: float64 of NumPy, half precision, pixels in uint8, bool. No number is rescaled.
void add_traced(const jit::Module& module, const std::shared_ptr<jit::CompilationUnit>& unit, const Traced& method) {
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
  require_operations(traced.first->graph, method.name);
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

}  // namespace

void add_methods(jit::Module& module, const std::shared_ptr<jit::CompilationUnit>& unit,
                 const std::vector<Method>& methods) {
  for (const Method& method : methods)
    if (module.hasattr(method.name)) fail<NumericError>("export: method {} has the name of a tensor", method.name);
  const std::vector<Traced> parts = traced_parts(methods);
  for (const Traced& part : parts)
    if (module.hasattr(part.name)) fail<NumericError>("export: method {} has the name of a tensor", part.name);
  for (const Traced& part : parts) with_name(part.name, "traced", [&] { add_traced(module, unit, part); });
  for (const Method& method : methods)
    if (method.draws || !method.of_each_sequence.empty())
      with_name(method.name, "compiled", [&] { module.define(source_of(method)); });
  add_forward(module, methods);
  for (const Traced& part : parts)
    with_name(part.name, "run for other rows than its example", [&] { check_rows(module, part); });
}

}  // namespace vem
