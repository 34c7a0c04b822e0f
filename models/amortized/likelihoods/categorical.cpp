// Categorical likelihood: every feature is one of K symbols 0 .. K - 1, by logits.
#include "vem/dist/categorical.h"

#include "vem/infer/likelihood.h"

namespace vem {
namespace {

struct CategoricalLikelihoodOptions final : LikelihoodOptions {
  int64_t num_categories = 2;
  Cells cells() const override { return Cells::symbols; }
  void visit(OptionVisitor& v) override { v("num_categories", num_categories, {2, 65536}, "symbols of a feature"); }
};

class CategoricalLikelihood final : public IndependentLikelihood {
 public:
  explicit CategoricalLikelihood(const CategoricalLikelihoodOptions& options) : categories_(options.num_categories) {}
  int64_t parameters_per_feature() const override { return categories_; }
  /// The mean of the number that stands for the symbol: it means something where symbols are levels.
  Tensor mean(const Tensor& outputs) const override {
    return (at::softmax(logits(outputs), -1) * at::arange(categories_, outputs.options())).sum(-1);
  }
  Tensor sample(const Tensor& outputs, const Rng& rng) const override {
    return IndependentLikelihood::sample(outputs, rng).to(outputs.scalar_type());
  }
  /// Nothing is known of a symbol by two moments: all are alike.
  Tensor output_bias(const Tensor& mean, const Tensor&) const override {
    return at::zeros({categories_ * mean.size(0)}, mean.options());
  }
  Range support() const override { return {0, static_cast<double>(categories_ - 1), false}; }
  bool whole_numbers() const override { return true; }

 protected:
  std::shared_ptr<const Distribution> at(const Tensor& outputs) const override {
    return std::make_shared<Categorical>(logits(outputs));
  }

 private:
  /// [..., D, K].
  Tensor logits(const Tensor& outputs) const { return at::stack(outputs.chunk(categories_, -1), -1); }

  int64_t categories_;
};

}  // namespace

void register_categorical_likelihood(Registry& registry) {
  registry.add<Likelihood, CategoricalLikelihoodOptions>(
      "categorical", "symbols 0 .. K - 1", [](const CategoricalLikelihoodOptions& options, const Likelihood::Context&) {
        return std::make_shared<CategoricalLikelihood>(options);
      });
}

}  // namespace vem
