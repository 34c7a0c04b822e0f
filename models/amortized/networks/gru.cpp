// Gated recurrent units over the time steps of a row (Cho et al. 2014, in the form of torch.nn.GRU): an encoder reads
// the steps and gives an affine map of the last state; a decoder starts from a state made of z, sees z at every step,
// and gives an affine map of each state. A time step is a line of an image, so many numbers of a table's row, or a
// whole row of a sequence of any length. Legend: T steps, C channels of an image or parameters of a feature, W numbers
// of a step, H hidden units.
#include "linear.h"
#include "vem/core/error.h"
#include "vem/infer/time_order.h"

namespace vem {
namespace {

struct GruOptions final : Options {
  int64_t hidden = 128, num_layers = 1, step = 0;
  void visit(OptionVisitor& v) override {
    v("hidden", hidden, {1, 65536}, "units of the state");
    v("num_layers", num_layers, {1, 100}, "states on top of each other");
    v("step", step, {0, 65536}, "numbers of a time step of a row that is no image; 0: one");
  }
};

class Gru final : public Network {
 public:
  Gru(const GruOptions& options, const Context& c)
      : o_(options), name_(c.prefix), encoder_(c.output.size() == 1), sequences_(c.sequences), beside_(c.beside) {
    if (sequences_)
      set_one_step(encoder_ ? c.input : c.output);
    else
      set_steps(encoder_ ? c.input : c.output);
    const int64_t outputs = product(c.output), inputs = product(c.input) + beside_;
    int64_t width = encoder_ ? C_ * W_ + beside_ : inputs;
    for (int64_t i = 0; i < o_.num_layers; ++i, width = o_.hidden)
      for (const auto& [part, columns] : {std::pair{"input", width}, {"state", o_.hidden}}) {
        const std::string name = fmt::format("{}.gru.{}.{}", name_, i, part);
        cells_.push_back({name + ".weight", c.block.add(name + ".weight", {3 * o_.hidden, columns}, c.dtype)});
        cells_.push_back({name + ".bias", c.block.add(name + ".bias", {3 * o_.hidden}, c.dtype)});
      }
    output_.emplace_back(c.block, name_ + ".output", o_.hidden, encoder_ ? outputs : C_ * W_, c.dtype);
    if (encoder_) return;
    start_.emplace_back(c.block, name_ + ".start", inputs, o_.num_layers * o_.hidden, c.dtype);
    bias_ = c.block.add(name_ + ".row.bias", {outputs}, c.dtype);
  }

  bool sequences() const override { return true; }
  Tensor forward(const Tensor& x, const Noise&) const override {
    if (sequences_ && encoder_) return output_[0](states(x.unsqueeze(1), no_state(1)).select(0, -1));
    if (sequences_) return output_[0](states(x.unsqueeze(1), first_state(x.slice(0, 0, 1)))).squeeze(1) + bias_;
    if (!encoder_) return unrolled(x);
    const Tensor row = beside_ > 0 ? x.narrow(1, 0, x.size(1) - beside_) : x;
    Tensor steps = row.reshape({-1, C_, T_, W_}).permute({2, 0, 1, 3}).flatten(2);
    if (beside_ > 0) steps = at::cat({steps, x.narrow(1, x.size(1) - beside_, beside_).expand({T_, -1, -1})}, -1);
    const Tensor zero = 0 * x.narrow(1, 0, 1);  // of as many rows as there are, also in a trace
    return output_[0](states(steps, zero.unsqueeze(0).expand({o_.num_layers, -1, o_.hidden})).select(0, -1));
  }
  Tensor forward_sequences(const Tensor& x, const Tensor& offsets, const Noise&) const override {
    const TimeOrder order(offsets);
    const Tensor sizes = at::tensor(order.sizes, at::kLong);
    const Tensor steps = x.index_select(0, order.row);
    if (!encoder_) {
      const Tensor first = offsets.slice(0, 0, -1).index_select(0, order.item) - offsets[0];
      const Tensor h = order.empty() ? x.new_zeros({0, o_.hidden})
                                      : std::get<0>(run(steps, sizes, first_state(x.index_select(0, first))));
      return output_[0](h).index_select(0, order.place()) + bias_;
    }
    Tensor last = x.new_zeros({offsets.size(0) - 1, o_.hidden});  // of a sequence without steps: where all begin
    if (!order.empty()) {
      const Tensor ends = std::get<1>(run(steps, sizes, no_state(order.item.size(0))))[-1];
      last = last.index_copy(0, order.item, ends);
    }
    return output_[0](last);
  }
  void initialize(const Rng& rng) override {
    for (const auto& [name, parameter] : cells_) initialize_uniform(parameter, name, o_.hidden, rng);
    for (const auto* layers : {&start_, &output_})
      for (const Linear& layer : *layers) layer.initialize(rng);
    if (!encoder_) bias_.detach().zero_();
  }
  /// A decoder has a bias a number on top of its states, so that the start can be the mean row.
  Tensor output_bias() const override { return encoder_ ? output_[0].bias() : bias_; }

 private:
  /// A row as the only step.
  void set_one_step(const Shape& row) {
    if (o_.step > 0) fail<ConfigError>("{}: gru.step is for rows of tables; of a sequence a step is a row", name_);
    W_ = product(row);
  }
  /// A row as [C, T, W].
  void set_steps(const Shape& row) {
    if (row.size() == 3 && o_.step > 0)
      fail<ConfigError>("{}: gru.step is for rows of tables; of an image a step is one of its {} lines", name_, row[1]);
    if (row.size() == 3) {
      C_ = row[0], T_ = row[1], W_ = row[2];
      return;
    }
    C_ = row.size() == 2 ? row[0] : 1;
    W_ = std::max<int64_t>(1, o_.step);
    if (row.back() % W_ != 0)
      fail<ConfigError>("{}: gru.step must divide the {} numbers of a row, got {}", name_, row.back(), W_);
    T_ = row.back() / W_;
  }
  /// The last layer's states [T, rows, H] from steps [T, rows, W'] and where each layer starts [layers, rows, H].
  Tensor states(const Tensor& steps, const Tensor& start) const {
    return std::get<0>(at::gru(steps, start.contiguous(), weights(), true, o_.num_layers, 0, false, false, false));
  }
  /// The last layer's states of packed steps, and those of all layers at the ends [layers, items, H].
  std::tuple<Tensor, Tensor> run(const Tensor& steps, const Tensor& sizes, const Tensor& start) const {
    return at::gru(steps, sizes, start.contiguous(), weights(), true, o_.num_layers, 0, false, false);
  }
  /// As torch.nn.GRU orders them: both weights of a layer, then both biases.
  std::vector<Tensor> weights() const {
    std::vector<Tensor> parameters;
    for (size_t i = 0; i < cells_.size(); i += 4)
      for (const size_t j : {0, 2, 1, 3}) parameters.push_back(cells_[i + j].second);
    return parameters;
  }
  Tensor no_state(int64_t items) const {
    return at::zeros({o_.num_layers, items, o_.hidden}, cells_[0].second.options().requires_grad(false));
  }
  /// Where a decoder's layers start [layers, items, H].
  Tensor first_state(const Tensor& z) const {
    return at::tanh(start_[0](z)).reshape({-1, o_.num_layers, o_.hidden}).transpose(0, 1);
  }
  Tensor unrolled(const Tensor& z) const {
    const Tensor h = states(z.unsqueeze(0).expand({T_, -1, -1}), first_state(z));
    return output_[0](h).reshape({T_, -1, C_, W_}).permute({1, 2, 0, 3}).flatten(1) + bias_;
  }

  GruOptions o_;
  std::string name_;
  bool encoder_, sequences_;
  int64_t beside_;  // numbers that every step sees besides its own
  int64_t C_ = 1, T_ = 1, W_ = 1;
  std::vector<std::pair<std::string, Tensor>> cells_;  // of a layer: weight and bias of the input, then of the state
  std::vector<Linear> start_, output_;
  Tensor bias_;
};

}  // namespace

void register_gru(Registry& registry) {
  registry.add<Network, GruOptions>("gru",
                                    "gated recurrent units over the lines of an image, the numbers of a row, or the "
                                    "rows of a sequence",
                                    [](const GruOptions& options, const Network::Context& context) {
                                      return std::make_shared<Gru>(options, context);
                                    });
}

}  // namespace vem
