// Parts of an amortised model on their own: built from the registry with options as TOML, without a model around them.
#pragma once

#include <memory>
#include <string>

#include "vem/core/config.h"
#include "vem/data/dataset.h"
#include "vem/infer/block.h"
#include "vem/models/registry.h"

namespace vem {

/// The built-in plug-ins, made once.
const Registry& plugins();

/// A gradient block with Adam, for parts that have parameters.
std::shared_ptr<GradientBlock> parameter_block();

/// A choice of `kind` read from the TOML lines below it: chosen("network", "kind = \"mlp\"\nwidths = []").
Choice chosen(const std::string& kind, const std::string& toml);

/// 0 .. n-1 as item identities.
inline Tensor items(int64_t n) { return at::arange(n, at::kLong); }

/// n items of one row each, weight 1, without columns.
Batch blank_batch(int64_t n);

/// Standard normal numbers of that shape, float64, from the stream of that name.
Tensor random(const Shape& shape, const std::string& stream);

}  // namespace vem
