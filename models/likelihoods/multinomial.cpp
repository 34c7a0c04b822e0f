// Bags of words: the counts of a row given their number, with probabilities softmax(outputs).
#include "vem/core/missing.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

constexpr const char* kTotal = "likelihood.total";  // words of a row on average

struct MultinomialOptions final : LikelihoodOptions {
  Cells cells() const override { return Cells::counts; }
  void visit(OptionVisitor&) override {}
};

class MultinomialLikelihood final : public Likelihood {
 public:
  explicit MultinomialLikelihood(const Context& context) : constants_(context.constants) {
    constants_->add(kTotal, at::ones({}, context.dtype));
  }
  int64_t parameters_per_feature() const override { return 1; }
  /// Of a row in which cells are missing, the others given their own number.
  Tensor log_prob(const Tensor& outputs, const Tensor& x) const override {
    const Tensor orders = log_orders(x).to(outputs.scalar_type());
    if (!has_missing(x)) return (x * at::log_softmax(outputs, -1)).sum(-1) + orders;
    const Tensor missing = x.isnan(), count = x.masked_fill(missing, 0);
    const Tensor log_p = at::log_softmax(outputs.masked_fill(missing, -INFINITY), -1).masked_fill(missing, 0);
    return (count * log_p).sum(-1) + orders;
  }
  /// Most words of a vocabulary are in a row once or not at all, where log x! is 0.
  Tensor log_orders(const Tensor& x) const override {
    const Tensor rows = x.detach().contiguous(), orders = at::empty({x.size(0)}, at::kDouble);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "log_orders", [&] {
      const scalar_t* count = rows.data_ptr<scalar_t>();
      for (int64_t r = 0; r < x.size(0); ++r) {
        double total = 0, same = 0;
        for (int64_t i = 0; i < x.size(1); ++i, ++count) {
          if (!(*count > 0)) continue;  // NaN is missing
          total += static_cast<double>(*count);
          if (*count > 1) same += std::lgamma(static_cast<double>(*count) + 1);
        }
        orders.data_ptr<double>()[r] = std::lgamma(total + 1) - same;
      }
    });
    return orders;
  }
  /// For rows as large as the training data's are on average.
  Tensor mean(const Tensor& outputs) const override { return constants_->get(kTotal) * at::softmax(outputs, -1); }
  Tensor sample(const Tensor& outputs, const Rng& rng) const override {
    const int64_t total = constants_->get(kTotal).round().to(at::kLong).item<int64_t>();
    const Tensor p = at::softmax(outputs, -1).to(at::kDouble), edges = p.cumsum(-1);
    const Tensor u = rng.uniform(at::arange(p.size(0), at::kLong), {total}, "words") * edges.slice(-1, -1);
    const Tensor word = at::searchsorted(edges.contiguous(), u).clamp_max(p.size(-1) - 1);
    return at::zeros_like(p).scatter_add_(-1, word, at::ones_like(u)).to(outputs.scalar_type());
  }
  Tensor output_bias(const Tensor& mean, const Tensor&) const override {
    constants_->set(kTotal, mean.sum());
    return (mean / mean.sum()).clamp_min(1e-6).log();
  }
  Range support() const override { return at_least(0); }
  bool whole_numbers() const override { return true; }

 private:
  std::shared_ptr<ConstantBlock> constants_;
};

}  // namespace

void register_multinomial_likelihood(Registry& registry) {
  registry.add<Likelihood, MultinomialOptions>("multinomial", "bags of words as rows of counts, given their number",
                                               [](const MultinomialOptions&, const Likelihood::Context& context) {
                                                 return std::make_shared<MultinomialLikelihood>(context);
                                               });
}

}  // namespace vem
