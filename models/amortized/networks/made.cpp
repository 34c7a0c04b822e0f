#include "made.h"

namespace vem {

void MadeOptions::visit(OptionVisitor& v) {
  v("widths", widths, {1, 65536}, "units of each hidden layer of the masked network");
}

// A unit of degree d sees inputs below d; units take the degrees in turn, output i has degree i.
Made::Made(const MadeOptions& options, GradientBlock& block, const std::string& name, int64_t inputs, int64_t context,
           int64_t kinds, at::ScalarType dtype)
    : kinds_(kinds) {
  Tensor degree = at::arange(1, inputs + 1, at::kLong);  // of input i: i + 1, the least that sees it
  const auto add = [&](const std::string& part, const Tensor& next) {
    layers_.emplace_back(block, name + part, degree.size(0), next.size(0), dtype);
    masks_.push_back((next.unsqueeze(1) >= degree).to(dtype));
    degree = next;
  };
  for (size_t i = 0; i < options.widths.size(); ++i)
    add(fmt::format("hidden.{}", i), at::arange(options.widths[i], at::kLong).remainder(inputs));
  add("output", at::arange(inputs, at::kLong).repeat({kinds}));
  if (context > 0) context_.emplace_back(block, name + "context", context, layers_[0].bias().size(0), dtype);
}

std::vector<Tensor> Made::operator()(const Tensor& x, const Tensor& context) const {
  Tensor h = x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    h = at::linear(h, layers_[i].weight() * masks_[i], layers_[i].bias());
    if (i == 0 && !context_.empty()) h = h + context_[0](context);
    if (i + 1 < layers_.size()) h = at::elu(h);
  }
  return h.chunk(kinds_, -1);
}

void Made::initialize(const Rng& rng) const {
  for (const Linear& layer : layers_) layer.initialize(rng);
  for (const Linear& layer : context_) layer.initialize(rng);
  layers_.back().weight().detach().zero_();
  layers_.back().bias().detach().zero_();
}

}  // namespace vem
