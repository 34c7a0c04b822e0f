// Recurrent networks over the time steps of a row: gated recurrent units (Cho et al. 2014, in the form of torch.nn.GRU)
// or plain ones (Elman 1990, as torch.nn.RNN). An encoder reads the steps and gives an affine map of the last state, or
// of the state at every step; a decoder starts from a state made of z, sees z at every step, and gives an affine map of
// each state. A time step is a line of an image, so many numbers of a table's row, or a whole row of a sequence of any
// length, which may be read from its end. Legend: T steps, C channels of an image or parameters of a feature, W numbers
// of a step, H hidden units.
#include "linear.h"
#include "vem/core/error.h"
#include "vem/infer/time_order.h"

namespace vem {
namespace {

enum class Direction { forward, backward };

struct RecurrentOptions : Options {
  int64_t hidden = 128, num_layers = 1, step = 0;
  Direction direction = Direction::forward;
  void visit(OptionVisitor& v) override {
    v("hidden", hidden, {1, 65536}, "units of the state");
    v("num_layers", num_layers, {1, 100}, "states on top of each other");
    v("step", step, {0, 65536}, "numbers of a time step of a row that is no image; 0: one");
    v("direction", direction, {{"forward", Direction::forward}, {"backward", Direction::backward}},
      "order in which steps are read");
  }
};

/// Where states come from: the number of gates whose weights stand on top of each other, and LibTorch's operation.
enum class Cell { gru, tanh, relu };

struct GruOptions final : RecurrentOptions {
  Cell cell() const { return Cell::gru; }
};

struct RnnOptions final : RecurrentOptions {
  Cell activation = Cell::tanh;
  Cell cell() const { return activation; }
  void visit(OptionVisitor& v) override {
    RecurrentOptions::visit(v);
    v("activation", activation, {{"tanh", Cell::tanh}, {"relu", Cell::relu}}, "of a state");
  }
};

class Recurrent final : public Network {
 public:
  Recurrent(const RecurrentOptions& options, Cell cell, const Context& c)
      : o_(options),
        cell_(cell),
        of_each_row_(c.of_each_row),
        name_(c.prefix),
        encoder_(c.output.size() == 1),
        sequences_(c.sequences),
        beside_(c.beside) {
    if (sequences_)
      set_one_step(encoder_ ? c.input : c.output);
    else
      set_steps(encoder_ ? c.input : c.output);
    const int64_t outputs = product(c.output), inputs = product(c.input) + beside_;
    int64_t width = encoder_ ? C_ * W_ + beside_ : inputs;
    for (int64_t i = 0; i < o_.num_layers; ++i, width = o_.hidden)
      for (const auto& [part, columns] : {std::pair{"input", width}, {"state", o_.hidden}}) {
        const std::string name = fmt::format("{}.{}.{}.{}", name_, cell_ == Cell::gru ? "gru" : "rnn", i, part);
        cells_.push_back({name + ".weight", c.block.add(name + ".weight", {gates() * o_.hidden, columns}, c.dtype)});
        cells_.push_back({name + ".bias", c.block.add(name + ".bias", {gates() * o_.hidden}, c.dtype)});
      }
    output_.emplace_back(c.block, name_ + ".output", o_.hidden, encoder_ ? outputs : C_ * W_, c.dtype);
    if (encoder_) return;
    start_.emplace_back(c.block, name_ + ".start", inputs, o_.num_layers * o_.hidden, c.dtype);
    bias_ = c.block.add(name_ + ".row.bias", {outputs}, c.dtype);
  }

  bool sequences() const override { return true; }
  Tensor forward(const Tensor& x, const Noise&) const override {
    if (sequences_ && encoder_) {
      const Tensor h = states(x.unsqueeze(1), no_state(1));
      return output_[0](of_each_row_ ? h.squeeze(1) : last(h));
    }
    if (sequences_) return output_[0](states(x.unsqueeze(1), first_state(x.slice(0, 0, 1)))).squeeze(1) + bias_;
    if (!encoder_) return unrolled(x);
    const Tensor row = beside_ > 0 ? x.narrow(1, 0, x.size(1) - beside_) : x;
    Tensor steps = row.reshape({-1, C_, T_, W_}).permute({2, 0, 1, 3}).flatten(2);
    if (beside_ > 0) steps = at::cat({steps, x.narrow(1, x.size(1) - beside_, beside_).expand({T_, -1, -1})}, -1);
    const Tensor zero = 0 * x.narrow(1, 0, 1);  // of as many rows as there are, also in a trace
    return output_[0](last(states(steps, zero.unsqueeze(0).expand({o_.num_layers, -1, o_.hidden}))));
  }
  Tensor forward_sequences(const Tensor& x, const Tensor& offsets, const Noise&) const override {
    const TimeOrder order(offsets);
    // From the end of each item: a permutation of the places of its rows that is its own inverse.
    const Tensor row = o_.direction == Direction::backward ? turned(order.row, offsets) : order.row;
    const Tensor steps = x.index_select(0, row), sizes = at::tensor(order.sizes, at::kLong);
    if (encoder_ && !of_each_row_) {
      Tensor end = x.new_zeros({offsets.size(0) - 1, o_.hidden});  // of a sequence without steps: where all begin
      if (!order.empty()) {
        const Tensor ends = std::get<1>(run(steps, sizes, no_state(order.item.size(0))))[-1];
        end = end.index_copy(0, order.item, ends);
      }
      return output_[0](end);
    }
    Tensor h = x.new_zeros({0, o_.hidden});
    if (!order.empty())
      h = std::get<0>(run(
          steps, sizes, encoder_ ? no_state(order.item.size(0)) : first_state(steps.narrow(0, 0, order.item.size(0)))));
    const Tensor outputs = output_[0](h).index_select(0, row.argsort());
    return encoder_ ? outputs : outputs + bias_;
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
  int64_t gates() const { return cell_ == Cell::gru ? 3 : 1; }
  /// The last layer's states [T, rows, H] from steps [T, rows, W'] and where each layer starts [layers, rows, H].
  Tensor states(const Tensor& steps, const Tensor& start) const {
    const bool back = o_.direction == Direction::backward;
    const auto run = [&](auto operation) {
      return std::get<0>(operation(back ? steps.flip(0) : steps, start.contiguous(), weights(), true, o_.num_layers, 0,
                                   false, false, false));
    };
    const Tensor all = cell_ == Cell::gru    ? run([](auto&&... a) { return at::gru(a...); })
                       : cell_ == Cell::tanh ? run([](auto&&... a) { return at::rnn_tanh(a...); })
                                             : run([](auto&&... a) { return at::rnn_relu(a...); });
    return back ? all.flip(0) : all;
  }
  /// The state after all steps have been read.
  Tensor last(const Tensor& states) const { return states.select(0, o_.direction == Direction::backward ? 0 : -1); }
  /// The last layer's states of packed steps, and those of all layers at the ends [layers, items, H].
  std::tuple<Tensor, Tensor> run(const Tensor& steps, const Tensor& sizes, const Tensor& start) const {
    const auto packed = [&](auto operation) {
      return operation(steps, sizes, start.contiguous(), weights(), true, o_.num_layers, 0, false, false);
    };
    if (cell_ == Cell::gru) return packed([](auto&&... a) { return at::gru(a...); });
    if (cell_ == Cell::tanh) return packed([](auto&&... a) { return at::rnn_tanh(a...); });
    return packed([](auto&&... a) { return at::rnn_relu(a...); });
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

  /// Where in its item as many rows lie behind a row as before it.
  static Tensor turned(const Tensor& row, const Tensor& offsets) {
    const Tensor lengths = offsets.diff(), item = at::repeat_interleave(lengths);
    const Tensor begin = offsets.slice(0, 0, -1) - offsets[0], end = begin + lengths - 1;
    const Tensor mirror = (begin + end).index_select(0, item) - at::arange(item.size(0), at::kLong);
    return mirror.index_select(0, row);
  }

  RecurrentOptions o_;
  Cell cell_;
  bool of_each_row_;  // an encoder of sequences gives something at every step
  std::string name_;
  bool encoder_, sequences_;
  int64_t beside_;  // numbers that every step sees besides its own
  int64_t C_ = 1, T_ = 1, W_ = 1;
  std::vector<std::pair<std::string, Tensor>> cells_;  // of a layer: weight and bias of the input, then of the state
  std::vector<Linear> start_, output_;
  Tensor bias_;
};

template <class O>
void add_recurrent(Registry& registry, const char* name, const char* summary) {
  registry.add<Network, O>(name, summary, [](const O& options, const Network::Context& context) {
    return std::make_shared<Recurrent>(options, options.cell(), context);
  });
}

}  // namespace

void register_recurrent(Registry& registry) {
  add_recurrent<GruOptions>(
      registry, "gru",
      "gated recurrent units over the lines of an image, the numbers of a row, or the rows of a sequence");
  add_recurrent<RnnOptions>(registry, "rnn", "the same with plain recurrent units");
}

}  // namespace vem
