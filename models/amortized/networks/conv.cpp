// Convolutional networks: one class that goes down from an image to numbers (encoder) or up from numbers to an image
// (decoder, transposed convolutions that undo the encoder's sizes exactly). Residual ones refine the image at each of
// its sizes by blocks h + conv(act(conv(act(h)))) (He et al. 2016, "Identity mappings in deep residual networks").
#include "linear.h"
#include "vem/core/error.h"

namespace vem {
namespace {

constexpr int64_t kBlockKernel = 3;  // side of the kernels of a residual block

struct ConvOptions : Options {
  std::vector<int64_t> channels{32, 64};
  int64_t kernel = 4, stride = 2, hidden = 256, blocks = 0;
  Activation activation = Activation::relu;
  bool weight_norm = false;
  double dropout = 0;
  void visit(OptionVisitor& v) override {
    v("channels", channels, {1, 65536}, "channels after each convolution, from input to output");
    v("kernel", kernel, {1, 64}, "side of the square kernels");
    v("stride", stride, {1, 16}, "pixels between two positions of a kernel");
    v("hidden", hidden, {1, 65536}, "units of the fully connected layer beside the latents");
    visit_activation(v, activation);
    visit_weight_norm(v, weight_norm);
    v("dropout", dropout, {0, 0.99}, "probability with which one of those units is left out in training; 0: none");
  }
};

struct ResidualConvOptions final : ConvOptions {
  ResidualConvOptions() { blocks = 1; }
  void visit(OptionVisitor& v) override {
    ConvOptions::visit(v);
    v("blocks", blocks, {1, 100}, "residual blocks after each convolution down, or before each one up");
  }
};

class Conv final : public Network {
 public:
  Conv(const ConvOptions& options, const Context& context)
      : o_(options),
        name_(context.prefix),
        input_(context.input),
        output_(context.output),
        beside_(context.beside),
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

  Tensor forward(const Tensor& x, const Noise& noise) const override {
    return down_ ? forward_down(x, noise) : forward_up(x, noise);
  }

  void initialize(const Rng& rng) override {
    for (const auto* layers : {&layers_, &inner_})
      for (const Layer& layer : *layers) {
        layer.weight.initialize(rng);
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
    Weight weight;
    Tensor bias;
  };
  int64_t padding() const { return (o_.kernel - 1) / 2; }
  int64_t reduced(int64_t size) const {
    const int64_t room = size + 2 * padding() - o_.kernel;
    return room < 0 ? 0 : room / o_.stride + 1;
  }

  void build_down(const Context& c) {
    int64_t channels = input_[0] + beside_;
    for (size_t i = 0; i < o_.channels.size(); ++i) {
      const int64_t next = o_.channels[i];
      layers_.push_back(layer(c, fmt::format("conv.{}", i), {next, channels, o_.kernel, o_.kernel}, 0, channels));
      add_blocks(c, i, next);
      channels = next;
    }
    linear_.emplace_back(c.block, name_ + ".hidden", channels * sizes_.back()[0] * sizes_.back()[1], o_.hidden, c.dtype,
                         o_.weight_norm);
    linear_.emplace_back(c.block, name_ + ".output", o_.hidden, product(output_), c.dtype, o_.weight_norm);
  }
  void build_up(const Context& c) {
    const int64_t first = o_.channels.front();
    linear_.emplace_back(c.block, name_ + ".hidden", product(input_) + beside_, o_.hidden, c.dtype, o_.weight_norm);
    linear_.emplace_back(c.block, name_ + ".spread", o_.hidden, first * sizes_.back()[0] * sizes_.back()[1], c.dtype,
                         o_.weight_norm);
    int64_t channels = first;
    for (size_t i = 0; i < o_.channels.size(); ++i) {
      const int64_t next = i + 1 < o_.channels.size() ? o_.channels[i + 1] : output_[0];
      add_blocks(c, i, channels);
      layers_.push_back(layer(c, fmt::format("conv.{}", i), {channels, next, o_.kernel, o_.kernel}, 1, channels));
      channels = next;
    }
    pixel_bias_ = c.block.add(name_ + ".output.bias", {product(output_)}, c.dtype);
  }
  Layer layer(const Context& c, const std::string& part, const Shape& shape, int64_t output_dim, int64_t inputs) const {
    const std::string name = fmt::format("{}.{}", name_, part);
    const int64_t fan_in = inputs * shape[2] * shape[3];
    return {name, fan_in, Weight(c.block, name, shape, fan_in, c.dtype, o_.weight_norm, output_dim),
            c.block.add(name + ".bias", {shape[static_cast<size_t>(output_dim)]}, c.dtype)};
  }
  void add_blocks(const Context& c, size_t i, int64_t channels) {
    for (int64_t j = 0; j < 2 * o_.blocks; ++j)
      inner_.push_back(
          layer(c, fmt::format("block.{}.{}", i, j), {channels, channels, kBlockKernel, kBlockKernel}, 0, channels));
  }

  /// The blocks at one of the image's sizes, and the nonlinearity that ends it.
  Tensor refined(size_t i, Tensor h) const {
    const auto inner = [&](size_t j, const Tensor& x) {
      return at::conv2d(activate(x, o_.activation), inner_[j].weight(), inner_[j].bias, 1, kBlockKernel / 2);
    };
    const size_t convolutions = 2 * static_cast<size_t>(o_.blocks);
    for (size_t j = i * convolutions; j < (i + 1) * convolutions; j += 2) h = h + inner(j + 1, inner(j, h));
    return activate(h, o_.activation);
  }
  Tensor hidden(const Tensor& x, const Noise& noise) const {
    return drop(activate(linear_[0](x), o_.activation), o_.dropout, noise, name_ + ".hidden");
  }
  /// The image, and for each number that stands beside it a channel in which every pixel is that number.
  Tensor with_planes(const Tensor& x) const {
    const auto parts = x.split_with_sizes({product(input_), beside_}, -1);
    const Tensor image = parts[0].reshape({-1, input_[0], input_[1], input_[2]});
    return at::cat({image, parts[1].unsqueeze(-1).unsqueeze(-1).expand({-1, -1, input_[1], input_[2]})}, 1);
  }
  Tensor forward_down(const Tensor& x, const Noise& noise) const {
    Tensor h = beside_ > 0 ? with_planes(x) : x.reshape({-1, input_[0], input_[1], input_[2]});
    for (size_t i = 0; i < layers_.size(); ++i)
      h = refined(i, at::conv2d(h, layers_[i].weight(), layers_[i].bias, o_.stride, padding()));
    return linear_[1](hidden(h.flatten(1), noise));
  }
  Tensor forward_up(const Tensor& x, const Noise& noise) const {
    Tensor h = linear_[1](hidden(x, noise)).reshape({-1, o_.channels.front(), sizes_.back()[0], sizes_.back()[1]});
    for (size_t i = 0; i < layers_.size(); ++i) {
      const auto &from = sizes_[sizes_.size() - 1 - i], &to = sizes_[sizes_.size() - 2 - i];
      const auto missing = [&](int d) { return to[d] - ((from[d] - 1) * o_.stride - 2 * padding() + o_.kernel); };
      h = at::conv_transpose2d(refined(i, h), layers_[i].weight(), layers_[i].bias, o_.stride, padding(),
                               {missing(0), missing(1)});
    }
    return h.flatten(1) + pixel_bias_;
  }

  ConvOptions o_;
  std::string name_;
  Shape input_, output_;
  int64_t beside_;
  bool down_;
  std::vector<std::array<int64_t, 2>> sizes_;  // of the image before the first and after each convolution down
  std::vector<Layer> layers_, inner_;
  std::vector<Linear> linear_;
  Tensor pixel_bias_;
};

template <class O>
void add_convolutional(Registry& registry, const char* name, const char* summary) {
  registry.add<Network, O>(name, summary, [](const O& options, const Network::Context& context) {
    return std::make_shared<Conv>(options, context);
  });
}

}  // namespace

void register_conv(Registry& registry) {
  add_convolutional<ConvOptions>(registry, "conv", "convolutions down from an image, or transposed ones up to it");
  add_convolutional<ResidualConvOptions>(registry, "residual-conv",
                                         "the same with residual blocks at each size of the image");
}

}  // namespace vem
