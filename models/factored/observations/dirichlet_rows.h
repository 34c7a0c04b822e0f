// What Bernoulli, categorical and multinomial rows share: probabilities in G groups of C, with a symmetric Dirichlet
// prior a group. t = log pi [K, G C].
#pragma once

#include "vem/dist/independent_dirichlets.h"
#include "vem/infer/observation.h"

namespace vem {

struct DirichletRowsOptions : ConjugateOptions {
  double concentration = 1;
  void visit(OptionVisitor& v) override;
};

class DirichletRows : public Observation {
 public:
  /// Throws ConfigError where the concentration has no effect or, for map, no mode.
  DirichletRows(const char* name, const DirichletRowsOptions& options, const Context& context, int64_t num_groups,
                int64_t num_categories);
  void set_priors(const Moments&) override;

 protected:
  /// Probabilities [K, G C]: at t, and expected under q.
  static Tensor probabilities(const Tensor& t) { return t.exp(); }
  Tensor expected_probabilities() const;
  /// Those that a new row has [K, G C], normalised: expected under q for a posterior, else at the blocks' t.
  Tensor current_probabilities() const;
  /// A category [n, G] int64 for each component index, drawn from probabilities [K, G C].
  Tensor draw(const Tensor& index, const Tensor& component, const Tensor& probabilities, const Rng& rng,
              std::string_view stream) const;
  /// t that a missing cell's zeros make nothing of.
  static Tensor present(const Tensor& cells, const Tensor& missing) {
    return at::where(missing, at::zeros_like(cells), cells);
  }

  const int64_t G_, C_;

 private:
  double concentration_;
};

}  // namespace vem
