// Documents as bags of words. The encoder sees the mean embedding of a row's words, through hidden layers; the decoder
// gives word logits as a mix of topics, beta' softmax(z) + b, so that with the multinomial likelihood the model is
// ProdLDA (Srivastava and Sutton 2017, section 4).
#include "linear.h"

namespace vem {
namespace {

constexpr double kSmallest = 1e-8;  // of a row's sum: an empty document has the embedding zero

struct EmbeddingBagOptions final : NetworkOptions {
  int64_t embedding = 100;
  std::vector<int64_t> widths{100};
  Activation activation = Activation::softplus;
  double dropout = 0;
  bool divides_rows() const override { return true; }
  void visit(OptionVisitor& v) override {
    v("embedding", embedding, {1, 65536}, "numbers of a word's embedding, in an encoder");
    v("widths", widths, {1, 65536}, "units of each hidden layer after the embedding, in an encoder");
    visit_activation(v, activation);
    visit_dropout(v, dropout);
  }
};

class EmbeddingBag final : public Network {
 public:
  EmbeddingBag(const EmbeddingBagOptions& options, const Context& c)
      : o_(options), name_(c.prefix), encoder_(c.output.size() == 1), beside_(c.beside) {
    int64_t width = product(c.input);
    if (encoder_) {
      std::vector<int64_t> widths{o_.embedding};
      widths.insert(widths.end(), o_.widths.begin(), o_.widths.end());
      for (const int64_t next : widths) {
        layers_.emplace_back(c.block, name_of(layers_.size()), width, next, c.dtype);
        width = layers_.size() == 1 ? next + beside_ : next;
      }
    } else {
      width += beside_;
    }
    layers_.emplace_back(c.block, name_ + (encoder_ ? ".output" : ".topics"), width, product(c.output), c.dtype);
  }
  Tensor forward(const Tensor& x, const Noise& noise) const override {
    if (!encoder_) return layers_[0](drop(at::softmax(x, -1), o_.dropout, noise, name_ + ".topics"));
    const Tensor words = beside_ > 0 ? x.narrow(-1, 0, x.size(-1) - beside_) : x;
    Tensor h = words / words.abs().sum(-1, true).clamp_min(kSmallest);
    for (size_t i = 0; i + 1 < layers_.size(); ++i) {
      h = drop(activate(layers_[i](h), o_.activation), o_.dropout, noise, name_of(i));
      if (i == 0 && beside_ > 0) h = at::cat({h, x.narrow(-1, x.size(-1) - beside_, beside_)}, -1);
    }
    return layers_.back()(h);
  }
  void initialize(const Rng& rng) override {
    for (const Linear& layer : layers_) layer.initialize(rng);
    if (encoder_) initialize_uniform(layers_[0].weight(), name_of(0) + ".weight", 1, rng);  // a mean, not a sum
  }
  Tensor output_bias() const override { return layers_.back().bias(); }

 private:
  std::string name_of(size_t i) const {
    return i == 0 ? name_ + ".embedding" : fmt::format("{}.hidden.{}", name_, i - 1);
  }

  EmbeddingBagOptions o_;
  std::string name_;
  bool encoder_;
  int64_t beside_;  // numbers that stand beside the mean embedding
  std::vector<Linear> layers_;
};

}  // namespace

void register_embedding_bag(Registry& registry) {
  registry.add<Network, EmbeddingBagOptions>("embedding-bag",
                                             "mean embedding of a document's words, or a mix of topics",
                                             [](const EmbeddingBagOptions& options, const Network::Context& context) {
                                               return std::make_shared<EmbeddingBag>(options, context);
                                             });
}

}  // namespace vem
