// Neural networks of an amortised model: encoders and decoders alike map rows to rows.
#pragma once

#include <functional>
#include <memory>

#include "vem/core/registry.h"
#include "vem/infer/block.h"

namespace vem {

/// As long as one lives that was made with true, networks of this thread that may take bfloat16 products do so: in a
/// training step, and not where its results are judged.
class Bf16Products {
 public:
  explicit Bf16Products(bool on) : before_(active_) { active_ = on; }
  ~Bf16Products() { active_ = before_; }
  Bf16Products(const Bf16Products&) = delete;
  Bf16Products& operator=(const Bf16Products&) = delete;
  static bool active() { return active_; }

 private:
  inline static thread_local bool active_ = false;
  bool before_;
};

/// Base of the options of networks that say something about the rows that they read.
struct NetworkOptions : Options {
  /// Whether an encoder divides rows by their sums, so that counts of any size are alike to it.
  virtual bool divides_rows() const { return false; }
};

/// Parameters live in a gradient block under "<prefix>."; a network holds only the leaves.
class Network {
 public:
  static constexpr const char* kKind = "network";
  struct Context {
    GradientBlock& block;
    std::string prefix;  ///< "encoder", "decoder"
    Shape input;         ///< shape of one row: {features}, or {channels, height, width} where the row is an image
    Shape output;        ///< likewise, or {parameters, features}; flattened to [rows, product] either way
    at::ScalarType dtype;
    bool bf16 = false;         ///< products within a Bf16Products may be bfloat16 where that is faster
    bool sequences = false;    ///< `input` or `output` is one step of a sequence of any length
    bool of_each_row = false;  ///< an encoder of sequences gives its outputs for each row, not for the whole
    int64_t beside = 0;        ///< further numbers of a row, which stand after those of `input`
  };
  virtual ~Network() = default;
  /// What dropout draws from in a training step: uniform numbers on (0, 1) of the shape of hidden units [rows, width],
  /// from the stream of that name.
  using Noise = std::function<Tensor(const Tensor& hidden, const std::string& stream)>;
  /// [rows, inputs] -> [rows, outputs]; leading dimensions beyond one are flattened by the caller. Without noise
  /// nothing is dropped.
  virtual Tensor forward(const Tensor& x, const Noise& noise) const = 0;
  Tensor forward(const Tensor& x) const { return forward(x, Noise()); }
  /// Whether Context::sequences is something that it can do. Then forward() takes one sequence: an encoder's steps
  /// [steps, inputs] -> [1, outputs], a decoder's input at each step [steps, inputs] -> [steps, outputs].
  virtual bool sequences() const { return false; }
  /// The same for the sequences that end at offsets [items + 1] int64, one after the other, none of which knows of the
  /// others or of a padding: [rows, inputs] -> [items, outputs] or [rows, outputs]. This one takes them one by one.
  virtual Tensor forward_sequences(const Tensor& x, const Tensor& offsets, const Noise& noise) const;
  /// Draws the initial weights: uniform on +-1/sqrt(fan in), the default of torch.nn.
  virtual void initialize(const Rng& rng) = 0;
  /// The bias of the last layer [outputs], for data-dependent starts.
  virtual Tensor output_bias() const = 0;
};

}  // namespace vem
