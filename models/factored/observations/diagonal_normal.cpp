// Normal rows with a diagonal covariance: a normal-gamma prior a dimension, so every update is exact, and a predictive
// density that is a product of Student-t (Bishop, PRML, section 2.3.7). Spherical: one variance for all dimensions,
// whose predictive density is one Student-t. Cells are independent given the component, so a missing one has no
// statistics.
#include "normal.h"
#include "vem/dist/normal_gamma.h"
#include "vem/infer/one_thread.h"

namespace vem {
namespace {

class DiagonalNormalRows final : public Observation {
 public:
  DiagonalNormalRows(const NormalOptions& options, const Context& context)
      : Observation(context),
        options_(options),
        spherical_(options.covariance == NormalOptions::Covariance::spherical) {
    if (options_.degrees_of_freedom == 0) options_.degrees_of_freedom = 1;
    if (spherical_)
      sharing_ = spherical_variance(K(), D(), options.variance_floor);
    else
      sharing_ = std::make_unique<Sharing>(std::make_shared<NormalGammaFamily>(D(), options.variance_floor), K());
    add_components(sharing_->family(), sharing_->rows());
  }

  void set_priors(const Moments& moments) override {
    const Tensor& variance = moments.variance;
    const Tensor typical = on_one_thread([&] { return variance.mean(); });
    const Tensor scale = at::maximum(variance, kFlat * typical.clamp_min(kFlat)).unsqueeze(0);
    const Tensor one = at::ones_like(scale);
    blocks_[0]->set_prior(sharing_->prior(NormalGammaFamily::natural(
        {options_.mean_strength * one, moments.mean.unsqueeze(0), 0.5 * options_.degrees_of_freedom * one,
         0.5 * options_.covariance_scale * scale})));
  }
  using Observation::point;
  Tensor point(const TensorMap& globals) const override { return sharing_->expand(Observation::point(globals)); }
  TensorMap spread(const Tensor& sums) const override { return Observation::spread(sharing_->collapse(sums)); }

  TensorMap describe(const Tensor& t) const override {
    const auto [means, variances] = NormalGammaFamily::moments(t);
    return {{"means", means}, {"variances", variances}};
  }
  std::vector<std::string> parameters() const override { return {"means", "variances"}; }
  TensorMap rescaled(TensorMap parts, const Tensor& scale, const Tensor& center) const override {
    return {{"means", parts.at("means") * scale + center}, {"variances", parts.at("variances") * scale * scale}};
  }

  Tensor real_columns() const override { return at::ones({D()}, at::kBool); }
  Tensor supported(const Tensor& x) const override { return x.isinf().logical_not(); }
  std::string support(int64_t) const override { return kFiniteNumber; }

  Tensor statistics(const Tensor& x) const override { return with_squares(x, x * x); }
  Tensor statistics(const Distribution& q) const override {
    const Tensor mean = q.mean();
    return with_squares(mean, mean * mean + variance_of(q));
  }
  Tensor log_base(const Tensor& s) const override { return at::scalar_tensor(-half_log_two_pi(D()), s.scalar_type()); }

  std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool exact) const override {
    const std::vector<Tensor> part = t.chunk(4, -1);
    const Tensor constant = (part[0] + part[3]).sum(-1, true) - half_log_two_pi(D());
    return kernel_for(-2 * part[0].sum(-1), exact ? at::kDouble : context_.dtype,
                      at::cat({constant, part[1], part[2]}, 1), false, [&] { return form(t); });
  }
  std::unique_ptr<const RowKernel> incomplete_kernel(const Tensor& t) const override {
    return incomplete_diagonal_kernel(form(t), offsets(t));
  }

  Tensor log_prob(const Tensor& x, const Tensor& t) const override {
    const Tensor cells = offsets(t).unsqueeze(1) - 0.5 * form(t).whitened(x).square();  // [K, N, D]
    return present(cells).sum(-1).t();
  }
  Tensor log_predictive(const Tensor& x) const override {
    const Student s = student();
    const Tensor white = present(s.form.whitened(x));
    if (spherical_) {
      const Tensor there = x.isnan().logical_not().to(at::kDouble);
      const Tensor a = s.half_degrees.slice(1, 0, 1), degrees = 0.5 * there.sum(-1) + a;  // [K, N]
      const Tensor spread = at::mm(s.log_root, there.t()) - 0.5 * (2 * M_PI * a).log() * there.sum(-1);
      return (at::lgamma(degrees) - at::lgamma(a) + spread - degrees * log1p_squares(white, -1, 2 * a)).t();
    }
    const Tensor a = s.half_degrees.unsqueeze(1);
    const Tensor offset = at::lgamma(a + 0.5) - at::lgamma(a) - 0.5 * (2 * M_PI * a).log() + s.log_root.unsqueeze(1);
    const Tensor cells = offset - (a + 0.5) * log1p_squares(white.unsqueeze(-1), -1, 2 * a);
    return at::where(x.isnan(), at::zeros_like(cells), cells).sum(-1).t();
  }

  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return draw(form(t), component, rng.normal(index, {D()}, "row"));
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    const Student s = student();
    const Tensor half = s.half_degrees.slice(1, 0, spherical_ ? 1 : D()).index_select(0, component);
    const Tensor noise = rng.normal(index, {D()}, "row");
    return draw(s.form, component, noise * (half / rng.gamma(half, "tail")).sqrt());
  }

  Marginals marginals() const override {
    if (context_.estimate == Estimate::posterior) {
      const Student s = student();
      return normal_marginals(s.form.mean, 1 / s.form.root, 2 * s.half_degrees);
    }
    const auto [means, variances] = NormalGammaFamily::moments(point());
    return normal_marginals(means, variances.sqrt());
  }
  std::map<std::string, double> diagnostics() const override {
    if (context_.estimate == Estimate::ml) return {};
    const Tensor prior = NormalGammaFamily::parameters(sharing_->marginals(components().eta_prior())).b[0];
    return flat_columns(prior);
  }

 private:
  struct Student {
    QuadraticForm form;
    Tensor half_degrees;  // a [K, D]
    Tensor log_root;      // log of the root of the scale's inverse [K, D]
  };

  static Tensor present(const Tensor& cells) { return at::where(cells.isnan(), at::zeros_like(cells), cells); }

  static Tensor with_squares(const Tensor& x, const Tensor& squares) {
    const Tensor one = at::ones_like(x);
    return at::cat({one, x, squares, one}, 1).to(at::kDouble);
  }

  QuadraticForm form(const Tensor& t) const {
    const std::vector<Tensor> part = t.chunk(4, -1);
    const Tensor lambda = -2 * part[2];
    return {part[1] / lambda, lambda.sqrt(), offsets(t).sum(-1)};
  }

  /// The offset of the quadratic form that each dimension brings [K, D].
  static Tensor offsets(const Tensor& t) {
    const std::vector<Tensor> part = t.chunk(4, -1);
    return spread_of(part[0], -0.25 * part[1] * part[1] / part[2]) + part[3] - half_log_two_pi(1);
  }

  Student student() const {
    const NormalGammaFamily::Parameters p = NormalGammaFamily::parameters(sharing_->marginals(components().eta()));
    const Tensor root = (p.a * p.beta / (p.b * (p.beta + 1))).sqrt();
    return {{p.m, root, {}}, p.a, root.log()};
  }

  Tensor draw(const QuadraticForm& f, const Tensor& component, const Tensor& noise) const {
    return f.mean.index_select(0, component) + noise / f.root.index_select(0, component);
  }

  NormalOptions options_;
  bool spherical_;
  std::unique_ptr<const Sharing> sharing_;
};

/// Features are the rows; log_lik by residuals of the cells that are there, one component after the other.
class IncompleteDiagonalKernel final : public RowKernel {
 public:
  IncompleteDiagonalKernel(QuadraticForm form, Tensor offsets) : form_(std::move(form)), offsets_(std::move(offsets)) {}
  Tensor features(const Tensor& x) const override { return x.to(at::kDouble); }
  Tensor log_lik(const Tensor& x) const override {
    std::vector<Tensor> columns;
    for (int64_t k = 0; k < form_.mean.size(0); ++k) {
      const Tensor cells = offsets_[k] - 0.5 * ((x - form_.mean[k]) * form_.root[k]).square();
      columns.push_back(at::where(cells.isnan(), at::zeros_like(cells), cells).sum(-1));
    }
    return at::stack(columns, 1);
  }
  Tensor sums(const Tensor& x, const Tensor& marginals) const override {
    const Tensor there = x.isnan().logical_not().to(at::kDouble), r = marginals.to(at::kDouble).t();
    const Tensor cells = at::where(x.isnan(), at::zeros_like(x), x), count = at::mm(r, there);
    return at::cat({count, at::mm(r, cells), at::mm(r, cells * cells), count}, 1);
  }
  Tensor statistics(const Tensor& sums) const override { return sums; }

 private:
  QuadraticForm form_;
  Tensor offsets_;
};

}  // namespace

std::unique_ptr<const RowKernel> incomplete_diagonal_kernel(const QuadraticForm& form, const Tensor& offsets) {
  return std::make_unique<IncompleteDiagonalKernel>(form, offsets);
}

std::shared_ptr<Observation> diagonal_normal(const NormalOptions& options, const Observation::Context& context) {
  return std::make_shared<DiagonalNormalRows>(options, context);
}

}  // namespace vem
