// load_export FILE.pt FOLDER... [FILE.pt FOLDER...]: runs TorchScript files as a program would that knows only
// LibTorch, and compares with the numbers in the folders; check_export.py does the same in Python. Ends with 1 at a
// difference. A folder holds METHOD.in.K.npy and METHOD.out.K.npy, or METHOD.shape.K.npy where the numbers are random.
// Methods also get the numbers of a file's first folder in other types, and must make the same of them.
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

namespace {

namespace fs = std::filesystem;
using at::Tensor;

constexpr double kTolerance = 1e-5;  // relative where numbers are larger than 1: float32 and its products

/// What NumPy writes for C-ordered arrays.
Tensor read_npy(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const std::string bytes = text.str();
  const size_t length = static_cast<unsigned char>(bytes.at(8)) + 256 * static_cast<unsigned char>(bytes.at(9));
  const std::string header = bytes.substr(10, length);
  const auto has = [&](const char* type) { return header.find(type) != std::string::npos; };
  const at::ScalarType type = has("<f8") ? at::kDouble : has("<f4") ? at::kFloat : has("|b1") ? at::kBool : at::kLong;
  if (type == at::kLong && !has("<i8")) throw std::runtime_error(path.string() + ": of an unknown type: " + header);

  std::vector<int64_t> shape;
  std::stringstream numbers(header.substr(header.rfind('(') + 1));
  for (int64_t size = 0; numbers >> size; numbers.ignore(2)) shape.push_back(size);
  const Tensor tensor = at::empty(shape, type);
  if (10 + length + tensor.nbytes() != bytes.size()) throw std::runtime_error(path.string() + ": of another size");
  std::copy(bytes.begin() + static_cast<int64_t>(10 + length), bytes.end(), static_cast<char*>(tensor.data_ptr()));
  return tensor;
}

/// METHOD.KIND.0.npy, METHOD.KIND.1.npy ...
std::vector<Tensor> read_all(const fs::path& folder, const std::string& prefix) {
  std::vector<Tensor> tensors;
  for (;;) {
    const fs::path path = folder / (prefix + "." + std::to_string(tensors.size()) + ".npy");
    if (!fs::exists(path)) return tensors;
    tensors.push_back(read_npy(path));
  }
}

std::vector<Tensor> call(const torch::jit::Module& module, const std::string& method,
                         const std::vector<Tensor>& inputs) {
  torch::jit::Stack stack;
  for (const Tensor& input : inputs)
    stack.push_back(input.dim() == 0 && input.scalar_type() == at::kLong ? c10::IValue(input.item<int64_t>())
                                                                         : c10::IValue(input));
  const c10::IValue result = module.get_method(method)(stack);
  if (result.isTensor()) return {result.toTensor()};
  std::vector<Tensor> outputs;
  for (const c10::IValue& output : result.toTupleRef().elements()) outputs.push_back(output.toTensor());
  return outputs;
}

bool close(const Tensor& got, const Tensor& wanted) {
  return got.sizes() == wanted.sizes() && got.scalar_type() == wanted.scalar_type() &&
         at::allclose(got.to(at::kDouble), wanted.to(at::kDouble), kTolerance, kTolerance, true);
}

/// Whether inputs of other types give what the same numbers give in the type that the model was trained in.
bool takes_every_type(const torch::jit::Module& module, const std::string& method, const std::vector<Tensor>& inputs) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kLong, at::kByte, at::kBool}) {
    std::vector<Tensor> given = inputs, same = inputs;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].is_floating_point()) {
        given[i] = inputs[i].abs().to(type);
        same[i] = given[i].to(inputs[i].scalar_type());
      }
    const auto got = call(module, method, given), wanted = call(module, method, same);
    for (size_t k = 0; k < wanted.size(); ++k)
      if (!close(got[k], wanted[k])) return false;
  }
  return true;
}

int check(const torch::jit::Module& module, const fs::path& folder, bool in_every_type) {
  std::set<std::string> methods;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    methods.insert(name.substr(0, name.find('.')));
  }
  int failures = 0;
  for (const std::string& method : methods) {
    const auto wanted = read_all(folder, method + ".out"), shapes = read_all(folder, method + ".shape");
    const auto got = call(module, method, read_all(folder, method + ".in"));
    bool same = got.size() == wanted.size() + shapes.size() && !got.empty();
    for (size_t k = 0; same && k < got.size(); ++k)
      same = shapes.empty() ? close(got[k], wanted[k]) : at::equal(at::tensor(got[k].sizes(), at::kLong), shapes[k]);
    if (same && in_every_type && shapes.empty())
      same = takes_every_type(module, method, read_all(folder, method + ".in"));
    if (same) continue;
    std::printf("%s: %s differs\n", folder.c_str(), method.c_str());
    ++failures;
  }
  std::printf("%s: %zu methods\n", folder.c_str(), methods.size());
  return methods.empty() ? 1 : failures;
}

torch::jit::Module load(const fs::path& path) {
  torch::jit::Module module = torch::jit::load(path.string());
  module.eval();
  std::set<std::string> lines;
  for (const auto& p : module.named_parameters()) lines.insert("parameter " + path.stem().string() + ": " + p.name);
  for (const auto& b : module.named_buffers()) lines.insert("buffer " + path.stem().string() + ": " + b.name);
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  return module;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const at::NoGradGuard no_grad;
    torch::jit::Module module;
    int failures = 0;
    bool first = false;  // whether the folder is the first of its file
    for (const fs::path word : std::vector<std::string>(argv + 1, argv + argc)) {
      if (word.extension() == ".pt")
        module = load(word);
      else
        failures += check(module, word, first);
      first = word.extension() == ".pt";
    }
    return failures == 0 && argc > 2 ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
