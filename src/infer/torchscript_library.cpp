// The source of the library, and how a call of it is recorded: as the tracer records a call of a scripted function from
// Python. TorchScript that is compiled from C++ knows types by number: 4 is int64, 7 is float64, 11 is bool.
#include "vem/infer/torchscript_library.h"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>

namespace vem::torchscript {
namespace {

namespace jit = torch::jit;

constexpr const char* kPrefix = "__torch__.vem_library";

constexpr const char* kChains = R"(
def chain_states(start, transition, uniform):
    state = torch.zeros([uniform.size(0)], dtype=4)
    first = torch.cumsum(start, 0)
    next = torch.cumsum(transition, 1)
    for t in range(uniform.size(0)):
        edges = first if t == 0 else next[int(state[t - 1])]
        state[t] = torch.sum(edges < uniform[t] * edges[-1])
    return state

def chain_log_norm(log_lik, log_start, log_transition, offsets):
    log_norm = torch.zeros([offsets.size(0) - 1], dtype=7)
    for n in range(offsets.size(0) - 1):
        begin = int(offsets[n])
        end = int(offsets[n + 1])
        if end > begin:
            a = log_start + log_lik[begin]
            for t in range(begin + 1, end):
                a = torch.logsumexp(a.unsqueeze(1) + log_transition, 0) + log_lik[t]
            log_norm[n] = torch.logsumexp(a, 0)
    return log_norm

def chain_best_paths(log_lik, log_start, log_transition, offsets):
    state = torch.zeros([log_lik.size(0)], dtype=4)
    back = torch.zeros([log_lik.size(0), log_lik.size(1)], dtype=4)
    for n in range(offsets.size(0) - 1):
        begin = int(offsets[n])
        end = int(offsets[n + 1])
        if end > begin:
            state[begin:end] = -1
            best = log_start + log_lik[begin]
            last = torch.argmax(best)
            possible = begin + 1 if bool(torch.max(best) > -float("inf")) else begin
            for t in range(begin + 1, end):
                best, back[t] = torch.max(best.unsqueeze(1) + log_transition, 0)
                best = best + log_lik[t]
                if possible == t and bool(torch.max(best) > -float("inf")):
                    last = torch.argmax(best)
                    possible = t + 1
            if possible > begin:
                state[possible - 1] = last
            for t in range(possible - begin - 1):
                state[possible - 2 - t] = back[possible - 1 - t, int(state[possible - 1 - t])]
    return state
)";

constexpr const char* kRows = R"(
def normal_rows(component, noise, mean, root):
    rows = mean.index_select(0, component)
    for k in range(mean.size(0)):
        own = torch.nonzero(component == k).squeeze(1)
        rows = rows.index_add(0, own, torch.matmul(noise.index_select(0, own), root[k]))
    return rows

def regression_rows(component, noise, coefficients, root, growth):
    rows = torch.zeros_like(noise)
    features = noise.size(1)
    inputs = coefficients.size(2)
    u = torch.zeros([inputs], dtype=noise.dtype)
    u[0] = 1.0
    for t in range((inputs - 1) // features, rows.size(0)):
        k = int(component[t])
        width = torch.sqrt(1.0 + torch.dot(u, torch.mv(growth[k], u)))
        rows[t] = torch.mv(coefficients[k], u) + width * torch.mv(root[k], noise[t])
        u = torch.cat([u[:1], rows[t], u[1:inputs - features]])
    return rows
)";

constexpr const char* kTopics = R"(
def topic_proportions(word, count, offsets, log_topics, alpha, variational: bool, max_iterations: int,
                      tolerance: float):
    rows = torch.exp(log_topics - log_topics.max(0)[0]).t().index_select(0, word.to(4))
    counts = count.to(alpha).unsqueeze(1)
    item = torch.repeat_interleave(offsets[1:] - offsets[:-1])
    zero = alpha.new_zeros([offsets.size(0) - 1, alpha.size(0)])
    gamma = alpha + zero.index_add(0, item, (counts / alpha.size(0)).expand_as(rows))
    converged = torch.zeros([gamma.size(0)], dtype=11)
    finished = converged
    for i in range(max_iterations):
        if variational:
            weights = torch.exp(torch.digamma(gamma) - torch.digamma(gamma.sum(1, True)))
        else:
            weights = gamma / gamma.sum(1, True)
        norm = (weights.index_select(0, item) * rows).sum(1, True)
        new = alpha + weights * zero.index_add(0, item, rows * (counts / norm))
        change = (new - gamma).abs().mean(1)
        gamma = torch.where(finished.unsqueeze(1), gamma, new)
        finished = torch.logical_or(finished, converged)
        converged = change < tolerance
        if bool(finished.all()):
            break
    return gamma / gamma.sum(1, True)
)";

const jit::CompilationUnit& library() {
  static const std::unique_ptr<jit::CompilationUnit> unit = [] {
    auto all = std::make_unique<jit::CompilationUnit>();
    for (const char* source : {kChains, kRows, kTopics})
      all->define(c10::QualifiedName(kPrefix), source, jit::nativeResolver(), nullptr);
    return all;
  }();
  return *unit;
}

/// A node of the recorded graph that calls the function with the values that stand for `inputs`.
jit::Value* recorded_call(jit::tracer::TracingState& state, jit::Function& function, const jit::Stack& inputs) {
  jit::Graph& graph = *state.graph;
  jit::Node* const name = graph.insertNode(graph.create(c10::prim::Constant));
  name->s_(c10::attr::name, function.name());
  name->output()->setType(c10::FunctionType::create(&function));
  std::vector<jit::Value*> values{name->output()};
  for (const c10::IValue& input : inputs) values.push_back(state.getValue(input));
  return graph.insertNode(graph.create(c10::prim::CallFunction, values))
      ->output()
      ->setType(function.getSchema().returns().at(0).type());
}

/// The function's result. Of what it does, a recording holds the call alone; if it throws, tracer::trace() gives up.
Tensor called(const char* name, const jit::Stack& inputs) {
  jit::Function& function = library().get_function(c10::QualifiedName(kPrefix, name));
  const std::shared_ptr<jit::tracer::TracingState> state = jit::tracer::getTracingState();
  if (!state) return function(inputs).toTensor();
  jit::Value* const call = recorded_call(*state, function, inputs);
  const auto resume = jit::tracer::pauseTracing();
  const Tensor result = function(inputs).toTensor();
  resume();
  state->setValue(result, call);
  return result;
}

}  // namespace

bool recording() { return jit::tracer::isTracing(); }

Tensor chain_states(const Tensor& start, const Tensor& transition, const Tensor& uniform) {
  return called("chain_states", {start, transition, uniform});
}

Tensor chain_log_norm(const Tensor& log_lik, const Tensor& log_start, const Tensor& log_transition,
                      const Tensor& offsets) {
  return called("chain_log_norm", {log_lik, log_start, log_transition, offsets});
}

Tensor chain_best_paths(const Tensor& log_lik, const Tensor& log_start, const Tensor& log_transition,
                        const Tensor& offsets) {
  return called("chain_best_paths", {log_lik, log_start, log_transition, offsets});
}

Tensor normal_rows(const Tensor& component, const Tensor& noise, const Tensor& mean, const Tensor& root) {
  return called("normal_rows", {component, noise, mean, root});
}

Tensor regression_rows(const Tensor& component, const Tensor& noise, const Tensor& coefficients, const Tensor& root,
                       const Tensor& growth) {
  return called("regression_rows", {component, noise, coefficients, root, growth});
}

Tensor topic_proportions(const Tensor& word, const Tensor& count, const Tensor& offsets, const Tensor& log_topics,
                         const Tensor& alpha, bool variational, int64_t max_iterations, double tolerance) {
  return called("topic_proportions", {word, count, offsets, log_topics, alpha, variational, max_iterations, tolerance});
}

}  // namespace vem::torchscript
