// Convolutional networks: one class that goes down from an image to numbers (encoder) or up from numbers to an image
// (decoder, transposed convolutions that undo the encoder's sizes exactly).
#include "linear.h"
#include "vem/core/error.h"

namespace vem {
namespace {

struct ConvOptions final : Options {
  std::vector<int64_t> channels{32, 64};
  int64_t kernel = 4, stride = 2, hidden = 256;
  Activation activation = Activation::relu;
  void visit(OptionVisitor& v) override {
    v("channels", channels, {1, 65536}, "channels after each convolution, from input to output");
    v("kernel", kernel, {1, 64}, "side of the square kernels");
    v("stride", stride, {1, 16}, "pixels between two positions of a kernel");
    v("hidden", hidden, {1, 65536}, "units of the fully connected layer beside the latents");
    visit_activation(v, activation);
  }
};

class Conv final : public Network {
 public:
  Conv(const ConvOptions& options, const Context& context)
      : o_(options),
        name_(context.prefix),
        input_(context.input),
        output_(context.output),
        down_(context.input.size() == 3) {
    if (!down_ && output_.size() != 3)
      fail<ConfigError>("{}: conv needs images on one side, got {} -> {} numbers a row; mlp takes those", name_,
                        product(input_), product(output_));
    if (o_.channels.empty()) fail<ConfigError>("{}: conv needs at least one entry in channels, got []", name_);
    const Shape image = down_ ? input_ : output_;
    sizes_ = {{image[1], image[2]}};
    for (size_t i = 0; i < o_.channels.size(); ++i)
      sizes_.push_back({reduced(sizes_.back()[0]), reduced(sizes_.back()[1])});
    if (sizes_.back()[0] < 1 || sizes_.back()[1] < 1)
      fail<ConfigError>("{}: {} convolutions of stride {} leave nothing of a {} x {} image", name_, o_.channels.size(),
                        o_.stride, image[1], image[2]);
    down_ ? build_down(context) : build_up(context);
  }

  Tensor forward(const Tensor& x) const override { return down_ ? forward_down(x) : forward_up(x); }

  void initialize(const Rng& rng) override {
    for (const Layer& layer : layers_) {
      initialize_uniform(layer.weight, layer.name + ".weight", layer.fan_in, rng);
      initialize_uniform(layer.bias, layer.name + ".bias", layer.fan_in, rng);
    }
    for (const Linear& linear : linear_) linear.initialize(rng);
    if (!down_) pixel_bias_.detach().zero_();
  }
  /// A decoder has a bias a pixel on top of its convolutions, so that the start can be the mean image.
  Tensor output_bias() const override { return down_ ? linear_[1].bias() : pixel_bias_; }

 private:
  struct Layer {
    std::string name;
    int64_t fan_in;
    Tensor weight, bias;
  };
  int64_t padding() const { return (o_.kernel - 1) / 2; }
  int64_t reduced(int64_t size) const {
    const int64_t room = size + 2 * padding() - o_.kernel;
    return room < 0 ? 0 : room / o_.stride + 1;
  }

  void build_down(const Context& c) {
    int64_t channels = input_[0];
    for (size_t i = 0; i < o_.channels.size(); ++i) {
      const int64_t next = o_.channels[i];
      add_layer(c, i, {next, channels, o_.kernel, o_.kernel}, next, channels);
      channels = next;
    }
    linear_.emplace_back(c.block, name_ + ".hidden", channels * sizes_.back()[0] * sizes_.back()[1], o_.hidden,
                         c.dtype);
    linear_.emplace_back(c.block, name_ + ".output", o_.hidden, product(output_), c.dtype);
  }
  void build_up(const Context& c) {
    const int64_t first = o_.channels.front();
    linear_.emplace_back(c.block, name_ + ".hidden", product(input_), o_.hidden, c.dtype);
    linear_.emplace_back(c.block, name_ + ".spread", o_.hidden, first * sizes_.back()[0] * sizes_.back()[1], c.dtype);
    int64_t channels = first;
    for (size_t i = 0; i < o_.channels.size(); ++i) {
      const int64_t next = i + 1 < o_.channels.size() ? o_.channels[i + 1] : output_[0];
      add_layer(c, i, {channels, next, o_.kernel, o_.kernel}, next, channels);
      channels = next;
    }
    pixel_bias_ = c.block.add(name_ + ".output.bias", {product(output_)}, c.dtype);
  }
  void add_layer(const Context& c, size_t i, const Shape& shape, int64_t outputs, int64_t channels) {
    const std::string name = fmt::format("{}.conv.{}", name_, i);
    layers_.push_back({name, channels * o_.kernel * o_.kernel, c.block.add(name + ".weight", shape, c.dtype),
                       c.block.add(name + ".bias", {outputs}, c.dtype)});
  }

  Tensor forward_down(const Tensor& x) const {
    Tensor h = x.reshape({-1, input_[0], input_[1], input_[2]});
    for (const Layer& layer : layers_)
      h = activate(at::conv2d(h, layer.weight, layer.bias, o_.stride, padding()), o_.activation);
    return linear_[1](activate(linear_[0](h.flatten(1)), o_.activation));
  }
  Tensor forward_up(const Tensor& x) const {
    Tensor h = activate(linear_[1](activate(linear_[0](x), o_.activation)), o_.activation);
    h = h.reshape({-1, o_.channels.front(), sizes_.back()[0], sizes_.back()[1]});
    for (size_t i = 0; i < layers_.size(); ++i) {
      const auto &from = sizes_[sizes_.size() - 1 - i], &to = sizes_[sizes_.size() - 2 - i];
      const auto missing = [&](int d) { return to[d] - ((from[d] - 1) * o_.stride - 2 * padding() + o_.kernel); };
      h = at::conv_transpose2d(h, layers_[i].weight, layers_[i].bias, o_.stride, padding(), {missing(0), missing(1)});
      if (i + 1 < layers_.size()) h = activate(h, o_.activation);
    }
    return h.flatten(1) + pixel_bias_;
  }

  ConvOptions o_;
  std::string name_;
  Shape input_, output_;
  bool down_;
  std::vector<std::array<int64_t, 2>> sizes_;  // of the image before the first and after each convolution down
  std::vector<Layer> layers_;
  std::vector<Linear> linear_;
  Tensor pixel_bias_;
};

}  // namespace

void register_conv(Registry& registry) {
  registry.add<Network, ConvOptions>("conv", "convolutions down from an image, or transposed ones up to it",
                                     [](const ConvOptions& options, const Network::Context& context) {
                                       return std::make_shared<Conv>(options, context);
                                     });
}

}  // namespace vem
