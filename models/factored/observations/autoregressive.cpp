// Rows of a sequence that are regressions on the rows before: x_t = b_k + sum_j A_kj x_t-j + e_t, e_t ~ N(0, C_k), for
// chains (Hamilton 1989; Poritz 1982, "Linear predictive hidden Markov models"). The first rows of an item, as many as
// the order, are given: they have density 1 in every state, so a likelihood is that of the rows after them; drawn
// sequences start with rows at the mean of the data. The prior of (A, C^-1) is matrix-normal-Wishart about A = 0.
// Legend: D features, K components, R = 1 + order D inputs.
#include "normal.h"
#include "vem/core/infinity.h"
#include "vem/dist/matrix_normal_wishart.h"
#include "vem/dist/normal_wishart.h"
#include "vem/infer/torchscript_library.h"

namespace vem {
namespace {

struct AutoregressiveOptions final : ConjugateOptions {
  int64_t order = 1;
  double coefficient_strength = 1, degrees_of_freedom = 0, covariance_scale = 1, variance_floor = 1e-6;

  bool real_valued() const override { return true; }
  void visit(OptionVisitor& v) override {
    v("order", order, {1, 1000}, "rows before a row that it depends on; so many first rows of a sequence are given");
    v.when(has_prior(), "estimate is map or posterior", [&] {
      v("coefficient_strength", coefficient_strength, positive(),
        "rows that the prior's coefficients, zero, are worth");
      v("degrees_of_freedom", degrees_of_freedom, at_least(0),
        "nu0 of the Wishart prior; 0: the number of features plus one");
      v("covariance_scale", covariance_scale, positive(), "V0 = W0^-1 over the covariance of the data");
    });
    v.when(has_mode(), "estimate is ml or map", [&] {
      v("variance_floor", variance_floor, at_least(0),
        "smallest variance of the noise in any direction, in squared units of the fitted rows");
    });
  }
};

void check(const AutoregressiveOptions& o, const Observation::Context& context) {
  const AutoregressiveOptions defaults;
  if (context.estimate == Estimate::ml) {
    const char* condition = "estimate is map or posterior";
    refuse_without_effect(o.coefficient_strength != defaults.coefficient_strength,
                          "autoregressive: coefficient_strength", condition);
    refuse_without_effect(o.degrees_of_freedom != 0, "autoregressive: degrees_of_freedom", condition);
    refuse_without_effect(o.covariance_scale != defaults.covariance_scale, "autoregressive: covariance_scale",
                          condition);
  }
  if (context.estimate == Estimate::posterior || context.estimate == Estimate::gibbs)
    refuse_without_effect(o.variance_floor != defaults.variance_floor, "autoregressive: variance_floor",
                          "estimate is ml or map");
  const auto smallest = static_cast<double>(context.num_features - 1);
  if (o.degrees_of_freedom > 0 && o.degrees_of_freedom <= smallest)
    fail<ConfigError>("autoregressive: degrees_of_freedom must be > {} for {} features, got {}", smallest,
                      context.num_features, o.degrees_of_freedom);
}

class AutoregressiveRows final : public Observation {
 public:
  AutoregressiveRows(const AutoregressiveOptions& options, const Context& context)
      : Observation(context),
        options_(options),
        R_(1 + options.order * context.num_features),
        family_(context.num_features, R_, options.variance_floor) {
    if (options_.degrees_of_freedom == 0) options_.degrees_of_freedom = static_cast<double>(D() + 1);
    add_components(std::make_shared<MatrixNormalWishartFamily>(family_), K());
  }
  int64_t lags() const override { return options_.order; }

  void set_priors(const Moments& moments) override {
    const Tensor& variance = moments.variance;
    const Tensor width = at::maximum(variance, kFlat * variance.mean().clamp_min(kFlat));
    const Tensor inputs = at::cat({at::ones({1}, at::kDouble), width.repeat({options_.order})});
    const Tensor V = moments.covariance() + at::diag(width - variance) + kFlat * at::diag(width);
    const Tensor prior = family_.natural(
        {options_.coefficient_strength * at::diag(inputs).unsqueeze(0), at::zeros({1, D(), R_}, at::kDouble),
         options_.covariance_scale * V.unsqueeze(0), at::full({1}, options_.degrees_of_freedom, at::kDouble)});
    blocks_[0]->set_prior(prior.expand({K(), -1}).contiguous());
  }

  /// Coefficients [K, D, order D]: those of the row before first.
  TensorMap describe(const Tensor& t) const override {
    const auto [A, covariance] = family_.regression(t);
    return {{"intercepts", A.select(2, 0)}, {"coefficients", A.slice(2, 1)}, {"covariances", covariance}};
  }
  std::vector<std::string> parameters() const override { return {"intercepts", "coefficients", "covariances"}; }
  TensorMap rescaled(TensorMap parts, const Tensor& scale, const Tensor& center) const override {
    const Tensor scales = scale.repeat({options_.order}), centers = center.repeat({options_.order});
    const Tensor A = parts.at("coefficients") * scale.unsqueeze(-1) / scales;
    return {{"intercepts", parts.at("intercepts") * scale + center - at::matmul(A, centers)},
            {"coefficients", A},
            {"covariances", parts.at("covariances") * at::outer(scale, scale)}};
  }

  Tensor real_columns() const override { return at::ones({D()}, at::kBool); }
  Tensor supported(const Tensor& x) const override { return x.isfinite(); }
  std::string support(int64_t) const override { return "a finite number (rows that others follow may not be missing)"; }

  Tensor statistics(const Tensor& x) const override {
    const auto [rows, u, there] = regression_rows(x);
    return MatrixNormalWishartFamily::statistics(rows, u, there);
  }
  Tensor log_base(const Tensor& s) const override { return -half_log_two_pi(D()) * s.slice(1, -1); }

  Tensor log_predictive(const Tensor& x) const override;
  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return roll(component, regressions_at(t), rng.normal(index, {D()}, "row"));
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    const Regressions r = predictive_regressions();
    const Tensor half = 0.5 * r.degrees.index_select(0, component);
    const Tensor tail = (half / rng.gamma(half, "tail")).sqrt().unsqueeze(-1);
    return roll(component, r, rng.normal(index, {D()}, "row") * tail);
  }
  ColumnForecast forecast(const Tensor& next, const Tensor& transition, const Tensor& past, int64_t horizon,
                          double level) const override;
  std::map<std::string, double> diagnostics() const override {
    if (context_.estimate == Estimate::ml) return {};
    return flat_directions(family_.parameters(components().eta_prior()).V[0]);
  }

 private:
  /// A row given its inputs u and its component: A u + sqrt(1 + u' growth u) e, where e has the scale root root' and is
  /// normal or, of a posterior, Student-t with so many degrees of freedom: what log_predictive() is the density of.
  struct Regressions {
    Tensor A;        // [K, D, R]
    Tensor root;     // [K, D, D]
    Tensor growth;   // [K, R, R]; undefined at a point
    Tensor degrees;  // [K]; undefined at a point
  };
  Regressions regressions_at(const Tensor& t) const;
  Regressions predictive_regressions() const;
  /// Those that new rows have.
  Regressions regressions() const {
    return context_.estimate == Estimate::posterior ? predictive_regressions() : regressions_at(point());
  }
  /// Draws of `count` continuations of every item [items, count, horizon, D].
  Tensor continuations(const Tensor& next, const Tensor& transition, const Tensor& past, int64_t horizon,
                       int64_t count) const;
  /// Rows [N, D], inputs [N, R] and [N, 1] ones; all zero for rows whose history is not complete.
  struct Regression {
    Tensor rows, u, there;
  };
  Regression regression_rows(const Tensor& x) const {
    const Tensor all = x.to(at::kDouble), gap = all.slice(1, D()).isnan().any(1, true);
    const Tensor there = gap.logical_not().to(at::kDouble), known = all.masked_fill(gap, 0);
    return {known.slice(1, 0, D()), at::cat({there, known.slice(1, D())}, 1), there};
  }
  /// One item, row by row, whose first rows are given at the centre.
  Tensor roll(const Tensor& component, const Regressions& r, const Tensor& noise) const {
    if (torchscript::recording())
      return torchscript::regression_rows(component, noise, r.A, r.root,
                                          r.growth.defined() ? r.growth : at::zeros({K(), R_, R_}, at::kDouble));
    const Tensor rows = at::zeros({component.size(0), D()}, at::kDouble);
    Tensor u = at::cat({at::ones({1}, at::kDouble), at::zeros({R_ - 1}, at::kDouble)});
    for (int64_t n = options_.order; n < component.size(0); ++n) {
      const int64_t k = component[n].item<int64_t>();
      Tensor e = at::mv(r.root[k], noise[n]);
      if (r.growth.defined()) e = e * (1 + at::dot(u, at::mv(r.growth[k], u))).sqrt();
      rows[n].copy_(at::mv(r.A[k], u) + e);
      u = at::cat({u.slice(0, 0, 1), rows[n], u.slice(0, 1, R_ - D())});
    }
    return rows;
  }

  AutoregressiveOptions options_;
  int64_t R_;
  MatrixNormalWishartFamily family_;
};

/// A Student-t about M u with nu - D + 1 degrees of freedom and scale V (1 + u' K^-1 u) / (nu - D + 1).
Tensor AutoregressiveRows::log_predictive(const Tensor& x) const {
  const auto [rows, u, there] = regression_rows(x);
  const MatrixNormalWishartFamily::Parameters p = family_.parameters(components().eta());
  const Tensor nu = (p.nu - static_cast<double>(D() - 1)).unsqueeze(-1);           // [K, 1]
  const Tensor growth = 1 + (at::matmul(u, at::linalg_inv(p.K)) * u).sum(-1);      // [K, N]
  const Tensor residual = rows.unsqueeze(0) - at::matmul(u, p.M.transpose(1, 2));  // [K, N, D]
  const Tensor factor = NormalWishartFamily::cholesky(p.V, "scale");
  const Tensor white = at::linalg_solve_triangular(factor, residual.transpose(1, 2), false);
  const auto d = static_cast<double>(D());
  const Tensor log_p = at::lgamma(0.5 * (nu + d)) - at::lgamma(0.5 * nu) - 0.5 * d * (M_PI * growth).log() -
                       factor.diagonal(0, 1, 2).log().sum(-1, true) - 0.5 * (nu + d) * log1p_squares(white, 1, growth);
  return log_p.t() * there;
}

AutoregressiveRows::Regressions AutoregressiveRows::regressions_at(const Tensor& t) const {
  const auto [A, covariance] = family_.regression(t);
  return {A, NormalWishartFamily::cholesky(covariance, "covariance"), {}, {}};
}

AutoregressiveRows::Regressions AutoregressiveRows::predictive_regressions() const {
  const MatrixNormalWishartFamily::Parameters p = family_.parameters(components().eta());
  const Tensor degrees = p.nu - static_cast<double>(D() - 1);
  return {p.M, NormalWishartFamily::cholesky(p.V / degrees.view({-1, 1, 1}), "scale"), at::linalg_inv(p.K), degrees};
}

/// Moments exactly, by E[y y' 1(z = k)] of y = (1, the last `order` rows): y goes on linearly given the state. The ends
/// of intervals are those of drawn continuations: how the states go on has no short description.
ColumnForecast AutoregressiveRows::forecast(const Tensor& next, const Tensor& transition, const Tensor& past,
                                            int64_t horizon, double level) const {
  const Regressions r = regressions();
  const Tensor step = at::zeros({K(), R_, R_}, at::kDouble), noise = at::zeros({K(), R_, R_}, at::kDouble);
  step.select(1, 0).select(1, 0).fill_(1);
  step.slice(1, 1, 1 + D()).copy_(r.A);
  if (R_ > 1 + D()) step.slice(1, 1 + D()).slice(2, 1, R_ - D()).copy_(at::eye(R_ - 1 - D(), at::kDouble));
  // The covariance of a Student-t is its scale times nu / (nu - 2), and infinite where nu is 2 or less.
  const Tensor heavy = r.degrees.defined() ? r.degrees.le(2) : at::zeros({K()}, at::kBool);
  const Tensor widening =
      r.degrees.defined() ? (r.degrees / (r.degrees - 2)).masked_fill(heavy, 1) : at::ones({K()}, at::kDouble);
  noise.slice(1, 1, 1 + D())
      .slice(2, 1, 1 + D())
      .copy_(at::matmul(r.root, r.root.transpose(1, 2)) * widening.view({-1, 1, 1}));
  const Tensor y = at::cat({at::ones({past.size(0), 1}, at::kDouble), past}, 1);
  Tensor before =
      next.unsqueeze(-1).unsqueeze(-1) * (y.unsqueeze(2) * y.unsqueeze(1)).unsqueeze(1);  // [items, K, R, R]
  Tensor diverged = at::zeros({past.size(0)}, at::kBool);
  std::vector<Tensor> means, variances;
  for (int64_t h = 0; h < horizon; ++h) {
    Tensor p = before.select(2, 0).select(2, 0);
    diverged = diverged.logical_or((p > 0).logical_and(heavy).any(1));
    if (r.growth.defined()) p = p + (before * r.growth).sum({2, 3});
    const Tensor now =
        at::matmul(at::matmul(step, before), step.transpose(1, 2)) + p.unsqueeze(-1).unsqueeze(-1) * noise;
    const Tensor total = now.sum(1);
    means.push_back(total.select(1, 0).slice(1, 1, 1 + D()));
    const Tensor variance = total.diagonal(0, 1, 2).slice(1, 1, 1 + D()) - means.back().square();
    variances.push_back(variance.masked_fill(diverged.unsqueeze(-1), kInfinity));
    before = at::einsum("njab,jk->nkab", {now, transition});
  }
  constexpr int64_t kDraws = 4000, kRows = 1 << 18;  // continuations of an item, and of all items at a time
  std::vector<Tensor> lower, upper;
  const int64_t items = past.size(0), at_once = kRows / kDraws;
  for (int64_t begin = 0; begin < items; begin += at_once) {
    const int64_t end = std::min(items, begin + at_once);
    const Tensor drawn = std::get<0>(
        continuations(next.slice(0, begin, end), transition, past.slice(0, begin, end), horizon, kDraws).sort(1));
    const auto place = [&](double share) { return std::lround(share * static_cast<double>(kDraws - 1)); };
    lower.push_back(drawn.select(1, place(0.5 * (1 - level))));
    upper.push_back(drawn.select(1, place(0.5 * (1 + level))));
  }
  const Tensor unknown = next.isnan().any(1).view({-1, 1, 1});
  const auto joined = [&](const std::vector<Tensor>& parts) {
    const Tensor all = parts.empty() ? at::zeros({0, horizon, D()}, at::kDouble) : at::cat(parts);
    return all.masked_fill(unknown, std::nan(""));
  };
  return {at::stack(means, 1), at::stack(variances, 1), joined(lower), joined(upper),
          std::vector<Tensor>(static_cast<size_t>(D()))};
}

Tensor AutoregressiveRows::continuations(const Tensor& next, const Tensor& transition, const Tensor& past,
                                         int64_t horizon, int64_t count) const {
  const Regressions r = regressions();
  const Rng rng = Rng(0).fold("continuations");
  const int64_t items = past.size(0), rows = items * count;
  const Tensor row = at::arange(rows, at::kLong);
  const auto drawn_states = [&](const Tensor& p, const Rng& key) {  // p [rows, K]
    const Tensor edges = p.cumsum(1), u = key.uniform(row, {1}, "state") * edges.slice(1, K() - 1);
    return (u >= edges).sum(1).clamp_max(K() - 1);
  };
  Tensor state = drawn_states(next.repeat_interleave(count, 0), rng.fold("next"));
  Tensor u = at::cat({at::ones({rows, 1}, at::kDouble), past.repeat_interleave(count, 0)}, 1);
  std::vector<Tensor> steps;
  for (int64_t h = 0; h < horizon; ++h) {
    const Rng key = rng.fold(static_cast<uint64_t>(h));
    Tensor noise = key.normal(row, {D()}, "row");
    if (r.degrees.defined()) {
      const Tensor half = 0.5 * r.degrees.index_select(0, state);
      noise = noise * (half / key.gamma(half, "tail")).sqrt().unsqueeze(1);
    }
    Tensor x = at::zeros({rows, D()}, at::kDouble);
    for (int64_t k = 0; k < K(); ++k) {
      const Tensor own = state.eq(k).nonzero().squeeze(1), inputs = u.index_select(0, own);
      Tensor e = at::mm(noise.index_select(0, own), r.root[k].t());
      if (r.growth.defined()) e = e * (1 + (at::mm(inputs, r.growth[k]) * inputs).sum(1, true)).sqrt();
      x = x.index_copy(0, own, at::mm(inputs, r.A[k].t()) + e);
    }
    steps.push_back(x.view({items, count, D()}));
    u = at::cat({u.slice(1, 0, 1), x, u.slice(1, 1, R_ - D())}, 1);
    state = drawn_states(transition.index_select(0, state), key);
  }
  return at::stack(steps, 2);
}

}  // namespace

void register_autoregressive_observation(Registry& registry) {
  registry.add<Observation, AutoregressiveOptions>(
      "autoregressive", "rows of a sequence as regressions on those before, exact matrix-normal-Wishart prior",
      [](const AutoregressiveOptions& options, const Observation::Context& context) {
        check(options, context);
        return std::make_shared<AutoregressiveRows>(options, context);
      });
}

}  // namespace vem
