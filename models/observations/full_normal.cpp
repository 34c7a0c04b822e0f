// Normal rows with a full covariance and the normal-Wishart prior (Bishop, PRML, section 10.2.1; the predictive density
// is 10.81 and 10.82). Not here: missing cells, and covariances shared between components.
#include "normal.h"
#include "vem/dist/normal_wishart.h"

namespace vem {
namespace {

class FullNormal final : public Observation {
 public:
  FullNormal(const NormalOptions& options, const Context& context)
      : D_(context.num_features), dtype_(context.dtype), options_(options), family_(D_, options.variance_floor) {
    if (options_.degrees_of_freedom == 0) options_.degrees_of_freedom = static_cast<double>(D_);
    const Tensor ij = at::triu_indices(D_, D_, 0, at::kLong);
    row_ = ij[0].contiguous();
    column_ = ij[1].contiguous();
  }

  std::shared_ptr<const ExponentialFamily> family() const override {
    return std::make_shared<NormalWishartFamily>(family_);
  }
  Tensor real_columns() const override { return at::ones({D_}, at::kBool); }

  Tensor prior(int64_t num_components, const Moments& moments) const override {
    Tensor covariance = moments.covariance;
    const double flat = kFlat * std::max(covariance.trace().item<double>() / static_cast<double>(D_), kFlat);
    const auto [values, vectors] = at::linalg_eigh(covariance);
    if (values[0].item<double>() < flat) covariance = at::mm(vectors * values.clamp_min(flat), vectors.t());
    const Tensor one = at::ones({1}, at::kDouble);
    return family_
        .natural({options_.mean_strength * one, moments.mean.unsqueeze(0),
                  options_.covariance_scale * covariance.unsqueeze(0), options_.degrees_of_freedom * one})
        .expand({num_components, -1})
        .contiguous();
  }

  Tensor statistics(const Tensor& x) const override { return with_moments(x, second_moments(x)); }
  Tensor statistics(const Distribution& q) const override {
    const Tensor mean = q.mean(), variance = (2 * require_diagonal(q).log_std()).exp();
    const Tensor on_diagonal = row_.eq(column_).to(mean.scalar_type());
    return with_moments(mean, second_moments(mean) + variance.index_select(1, row_) * on_diagonal);
  }
  Tensor log_base(const Tensor& s) const override { return at::scalar_tensor(-half_log_two_pi(D_), s.scalar_type()); }

  std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool exact) const override {
    const Tensor constant = t.slice(1, 0, 1) + t.slice(1, -1) - half_log_two_pi(D_);
    const Tensor weights = at::cat({constant, t.slice(1, 1, family_.size() - 1)}, 1);
    // Terms of x' Lambda x that cancel: with a far mean, and where features are nearly collinear.
    const auto [mean, covariance] = family_.moments(t);
    const Tensor reach = (mean.square() + covariance.diagonal(0, -2, -1)).sqrt().unsqueeze(-1);
    const Tensor size = at::matmul(precision(t).abs(), reach) * reach;
    return kernel_for(size.sum({-2, -1}), exact ? at::kDouble : dtype_, weights, true, [&] { return form(t); });
  }

  Tensor log_prob(const Tensor& x, const Tensor& t) const override {
    const QuadraticForm f = form(t);
    return (f.offset.unsqueeze(-1) - 0.5 * f.whitened(x).square().sum(-1)).t();
  }
  Tensor log_predictive(const Tensor& x, const Tensor& eta) const override {
    const Student s = student(eta);
    const Tensor nu = s.degrees.unsqueeze(-1), squares = s.form.whitened(x).square().sum(-1);
    return (s.form.offset.unsqueeze(-1) - 0.5 * (nu + static_cast<double>(D_)) * at::log1p(squares / nu)).t();
  }

  Tensor sample(const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return draw(form(t), component, rng.normal(at::arange(component.size(0), at::kLong), {D_}, "row"));
  }
  Tensor sample_predictive(const Tensor& component, const Tensor& eta, const Rng& rng) const override {
    const Student s = student(eta);
    const Tensor half = 0.5 * s.degrees.index_select(0, component), tail = (half / rng.gamma(half, "tail")).sqrt();
    const Tensor noise = rng.normal(at::arange(component.size(0), at::kLong), {D_}, "row");
    return draw(s.form, component, noise * tail.unsqueeze(-1));
  }
  std::string sample_script(const std::string& block, Estimate estimate) const override;

  TensorMap describe(const Tensor& t) const override {
    const auto [means, covariances] = family_.moments(t);
    return {{"means", means}, {"covariances", covariances}};
  }

 private:
  struct Student {
    QuadraticForm form;  // offset: log of the normaliser
    Tensor degrees;      // [K]
  };

  Tensor second_moments(const Tensor& x) const { return x.index_select(1, row_) * x.index_select(1, column_); }
  Tensor with_moments(const Tensor& x, const Tensor& second) const {
    const Tensor one = at::ones_like(x.slice(1, 0, 1));
    return at::cat({one, x, second, one}, 1).to(dtype_);
  }

  Tensor precision(const Tensor& t) const {
    const Tensor packed = t.slice(1, 1 + D_, family_.size() - 1) * (-1 - row_.eq(column_).to(at::kDouble));
    return NormalWishartFamily::unpacked(packed, D_);
  }

  QuadraticForm form(const Tensor& t) const {
    const Tensor root = NormalWishartFamily::cholesky(precision(t), "precision"), scaled = t.slice(1, 1, 1 + D_);
    const Tensor mean = at::cholesky_solve(scaled.unsqueeze(-1), root).squeeze(-1);
    const Tensor spread = (t.select(1, 0) + 0.5 * (mean * scaled).sum(-1)).clamp_max(0);  // -D / (2 beta), 0 at a point
    return {mean, root, spread + t.select(1, family_.size() - 1) - half_log_two_pi(D_)};
  }

  Student student(const Tensor& eta) const {
    const NormalWishartFamily::Parameters p = family_.parameters(eta);
    const auto D = static_cast<double>(D_);
    const Tensor nu = p.nu - (D - 1), scale = (p.beta + 1) / (p.beta * nu),
                 factor = NormalWishartFamily::cholesky(p.V, "scale");
    const Tensor inverse = at::linalg_solve_triangular(factor, at::eye(D_, at::kDouble), false);
    const Tensor log_det = 2 * factor.diagonal(0, -2, -1).log().sum(-1) + D * scale.log();
    const Tensor offset =
        at::lgamma(0.5 * (nu + D)) - at::lgamma(0.5 * nu) - 0.5 * D * (M_PI * nu).log() - 0.5 * log_det;
    return {{p.m, inverse.transpose(-2, -1) / scale.sqrt().view({-1, 1, 1}), offset}, nu};
  }

  Tensor draw(const QuadraticForm& f, const Tensor& component, const Tensor& noise) const {
    Tensor x = f.mean.index_select(0, component);
    for (int64_t k = 0; k < f.mean.size(0); ++k) {
      const Tensor rows = component.eq(k).nonzero().squeeze(-1);
      const Tensor inverse = at::linalg_inv(f.root[k]);  // x = mean + R'^-1 z
      x = x.index_add(0, rows, at::mm(noise.index_select(0, rows), inverse));
    }
    return x;
  }

  int64_t D_;
  at::ScalarType dtype_;
  NormalOptions options_;
  NormalWishartFamily family_;
  Tensor row_, column_;  // of the upper triangle, in the order of packed()
};

constexpr const char* kFullPoint = R"(
    t = self.{block}.t
    corner = torch.triu_indices({D}, {D})
    half = torch.zeros([t.size(0), {D}, {D}], dtype=t.dtype)
    half[:, corner[0], corner[1]] = -t[:, {D} + 1:-1]
    precision = torch.linalg_cholesky(half + half.transpose(1, 2))
    means = torch.cholesky_solve(t[:, 1:{D} + 1].unsqueeze(2), precision).squeeze(2)
    root = torch.linalg_solve_triangular(precision.transpose(1, 2), torch.eye({D}, dtype=t.dtype), upper=True)
    noise = torch.randn([n, {D}], dtype=t.dtype)
)";
constexpr const char* kFullPredictive = R"(
    eta = self.{block}.eta
    corner = torch.triu_indices({D}, {D})
    half = torch.zeros([eta.size(0), {D}, {D}], dtype=eta.dtype)
    half[:, corner[0], corner[1]] = eta[:, {D} + 1:-1]
    beta = eta[:, 0]
    means = eta[:, 1:{D} + 1] / beta.unsqueeze(1)
    second = half + half.transpose(1, 2) - torch.diag_embed(torch.diagonal(half, 0, 1, 2))
    scale = second - beta.view(-1, 1, 1) * means.unsqueeze(2) * means.unsqueeze(1)
    degrees = eta[:, -1] + 1.0
    root = torch.linalg_cholesky(scale * ((beta + 1.0) / (beta * degrees)).view(-1, 1, 1))
    tail = 0.5 * degrees[label]
    noise = torch.randn([n, {D}], dtype=eta.dtype) * torch.sqrt(tail / torch._standard_gamma(tail)).unsqueeze(1)
)";
constexpr const char* kFullDraw = R"(
    x = means[label]
    for k in range(means.size(0)):
        rows = torch.nonzero(label == k).squeeze(1)
        x = x.index_add(0, rows, torch.matmul(noise[rows], root[k].t()))
)";

std::string FullNormal::sample_script(const std::string& block, Estimate estimate) const {
  const char* text = estimate == Estimate::posterior ? kFullPredictive : kFullPoint;
  return fmt::format(fmt::runtime(text), fmt::arg("block", block), fmt::arg("D", D_)).substr(1) + (kFullDraw + 1);
}

}  // namespace

std::shared_ptr<Observation> full_normal(const NormalOptions& options, const Observation::Context& context) {
  return std::make_shared<FullNormal>(options, context);
}

}  // namespace vem
