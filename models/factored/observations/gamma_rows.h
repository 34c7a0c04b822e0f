// What Poisson and exponential rows share: a rate a cell and component, with a gamma prior centred on the data.
// t = (log lambda [K, D], -lambda [K, D]).
#pragma once

#include "vem/dist/independent_gammas.h"
#include "vem/infer/observation.h"

namespace vem {

struct GammaRowsOptions : ConjugateOptions {
  double shape = 1;
  void visit(OptionVisitor& v) override;
};

class GammaRows : public Observation {
 public:
  /// Limits of rates as in GammasFamily. Throws ConfigError where the shape has no effect or, for map, no mode.
  GammaRows(const char* name, const GammaRowsOptions& options, const Context& context, double min_rate,
            double max_rate);

  TensorMap describe(const Tensor& t) const override { return {{"rates", -t.slice(1, D())}}; }
  std::vector<std::string> parameters() const override { return {"rates"}; }

 protected:
  /// Prior with this mean rate [D].
  void set_prior_mean(const Tensor& rate);
  Tensor shape() const { return components().eta().slice(1, 0, D()) + 1; }  ///< a of q [K, D]
  Tensor rate() const { return components().eta().slice(1, D()); }          ///< b of q [K, D]
  /// Rates [n, D] of rows of these components: at t, or drawn from q.
  Tensor rates_at(const Tensor& component, const Tensor& t) const {
    return -t.slice(1, D()).index_select(0, component);
  }
  Tensor drawn_rates(const Tensor& component, const Rng& rng) const;

 private:
  double shape_;
};

}  // namespace vem
