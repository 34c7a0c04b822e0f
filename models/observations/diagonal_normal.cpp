// Normal rows with a diagonal covariance: a normal-gamma prior a dimension, so every update is exact, and a predictive
// density that is a product of Student-t (Bishop, PRML, section 2.3.7). Not here: missing cells, shared variances.
#include "normal.h"
#include "vem/dist/normal_gamma.h"

namespace vem {
namespace {

class DiagonalNormalRows final : public Observation {
 public:
  DiagonalNormalRows(const NormalOptions& options, const Context& context)
      : D_(context.num_features), dtype_(context.dtype), options_(options), family_(D_, options.variance_floor) {
    if (options_.degrees_of_freedom == 0) options_.degrees_of_freedom = 1;
  }

  std::shared_ptr<const ExponentialFamily> family() const override {
    return std::make_shared<NormalGammaFamily>(family_);
  }
  Tensor real_columns() const override { return at::ones({D_}, at::kBool); }

  Tensor prior(int64_t num_components, const Moments& moments) const override {
    const Tensor variance = moments.covariance.diagonal();
    const Tensor scale = at::maximum(variance, kFlat * variance.mean().clamp_min(kFlat)).unsqueeze(0);
    const Tensor one = at::ones_like(scale);
    return NormalGammaFamily::natural({options_.mean_strength * one, moments.mean.unsqueeze(0),
                                       0.5 * options_.degrees_of_freedom * one,
                                       0.5 * options_.covariance_scale * scale})
        .expand({num_components, -1})
        .contiguous();
  }

  Tensor statistics(const Tensor& x) const override { return with_squares(x, x * x); }
  Tensor statistics(const Distribution& q) const override {
    const Tensor mean = q.mean();
    return with_squares(mean, mean * mean + (2 * require_diagonal(q).log_std()).exp());
  }
  Tensor log_base(const Tensor& s) const override { return at::scalar_tensor(-half_log_two_pi(D_), s.scalar_type()); }

  std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool exact) const override {
    const std::vector<Tensor> part = t.chunk(4, -1);
    const Tensor constant = (part[0] + part[3]).sum(-1, true) - half_log_two_pi(D_);
    return kernel_for(-2 * part[0].sum(-1), exact ? at::kDouble : dtype_, at::cat({constant, part[1], part[2]}, 1),
                      false, [&] { return form(t); });
  }

  Tensor log_prob(const Tensor& x, const Tensor& t) const override {
    const QuadraticForm f = form(t);
    return (f.offset.unsqueeze(-1) - 0.5 * f.whitened(x).square().sum(-1)).t();
  }
  Tensor log_predictive(const Tensor& x, const Tensor& eta) const override {
    const Student s = student(eta);
    const Tensor a = s.half_degrees.unsqueeze(1), squares = s.form.whitened(x).square();
    return (s.form.offset.unsqueeze(-1) - ((a + 0.5) * at::log1p(squares / (2 * a))).sum(-1)).t();
  }

  Tensor sample(const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return draw(form(t), component, rng.normal(at::arange(component.size(0), at::kLong), {D_}, "row"));
  }
  Tensor sample_predictive(const Tensor& component, const Tensor& eta, const Rng& rng) const override {
    const Student s = student(eta);
    const Tensor half = s.half_degrees.index_select(0, component);
    const Tensor noise = rng.normal(at::arange(component.size(0), at::kLong), {D_}, "row");
    return draw(s.form, component, noise * (half / rng.gamma(half, "tail")).sqrt());
  }
  std::string sample_script(const std::string& block, Estimate estimate) const override;

  TensorMap describe(const Tensor& t) const override {
    const auto [means, variances] = NormalGammaFamily::moments(t);
    return {{"means", means}, {"variances", variances}};
  }

 private:
  struct Student {
    QuadraticForm form;   // offset: log of the normaliser
    Tensor half_degrees;  // [K, D]
  };

  Tensor with_squares(const Tensor& x, const Tensor& squares) const {
    const Tensor one = at::ones_like(x);
    return at::cat({one, x, squares, one}, 1).to(dtype_);
  }

  QuadraticForm form(const Tensor& t) const {
    const std::vector<Tensor> part = t.chunk(4, -1);
    const Tensor lambda = -2 * part[2], mean = part[1] / lambda;
    const Tensor spread = (part[0] + 0.5 * part[1] * mean).clamp_max(0);  // -1 / (2 beta), 0 at a point
    return {mean, lambda.sqrt(), (spread + part[3]).sum(-1) - half_log_two_pi(D_)};
  }

  Student student(const Tensor& eta) const {
    const NormalGammaFamily::Parameters p = NormalGammaFamily::parameters(eta);
    const Tensor scale = p.b * (p.beta + 1) / (p.a * p.beta);
    const Tensor offset = at::lgamma(p.a + 0.5) - at::lgamma(p.a) - 0.5 * (2 * M_PI * p.a * scale).log();
    return {{p.m, 1 / scale.sqrt(), offset.sum(-1)}, p.a};
  }

  Tensor draw(const QuadraticForm& f, const Tensor& component, const Tensor& noise) const {
    return f.mean.index_select(0, component) + noise / f.root.index_select(0, component);
  }

  int64_t D_;
  at::ScalarType dtype_;
  NormalOptions options_;
  NormalGammaFamily family_;
};

constexpr const char* kDiagonalPoint = R"(
    t = self.{block}.t
    variances = -0.5 / t[:, 2 * {D}:3 * {D}]
    means = t[:, {D}:2 * {D}] * variances
    x = means[label] + torch.sqrt(variances)[label] * torch.randn([n, {D}], dtype=t.dtype)
)";
constexpr const char* kDiagonalPredictive = R"(
    eta = self.{block}.eta
    beta = eta[:, :{D}]
    means = eta[:, {D}:2 * {D}] / beta
    a = 0.5 * (eta[:, 3 * {D}:] + 1.0)
    b = 0.5 * (eta[:, 2 * {D}:3 * {D}] - eta[:, {D}:2 * {D}] * means)
    scale = torch.sqrt(b * (beta + 1.0) / (a * beta))
    tail = torch.sqrt(a[label] / torch._standard_gamma(a[label]))
    x = means[label] + scale[label] * tail * torch.randn([n, {D}], dtype=eta.dtype)
)";

std::string DiagonalNormalRows::sample_script(const std::string& block, Estimate estimate) const {
  const char* text = estimate == Estimate::posterior ? kDiagonalPredictive : kDiagonalPoint;
  return fmt::format(fmt::runtime(text), fmt::arg("block", block), fmt::arg("D", D_)).substr(1);
}

}  // namespace

std::shared_ptr<Observation> diagonal_normal(const NormalOptions& options, const Observation::Context& context) {
  return std::make_shared<DiagonalNormalRows>(options, context);
}

}  // namespace vem
