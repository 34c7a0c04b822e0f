// Normal rows with a full covariance, one a component or one for all, and the (tied) normal-Wishart prior (Bishop,
// PRML, section 10.2.1; the predictive density is 10.81 and 10.82). Missing cells are integrated out, pattern by
// pattern.
#include "normal.h"
#include "vem/core/missing.h"
#include "vem/dist/normal_wishart.h"
#include "vem/infer/one_thread.h"
#include "vem/infer/torchscript_library.h"

namespace vem {
namespace {

class FullNormalRows final : public Observation {
 public:
  FullNormalRows(const NormalOptions& options, const Context& context)
      : Observation(context), options_(options), family_(context.num_features, options.variance_floor) {
    if (options_.degrees_of_freedom == 0) options_.degrees_of_freedom = static_cast<double>(D());
    const Tensor ij = at::triu_indices(D(), D(), 0, at::kLong);
    row_ = ij[0].contiguous();
    column_ = ij[1].contiguous();
    if (options.covariance == NormalOptions::Covariance::tied)
      sharing_ = tied_covariance(K(), D(), options.variance_floor);
    else if (options.low_rank())
      sharing_ = low_rank_covariance(K(), D(), options.rank, options.covariance == NormalOptions::Covariance::ppca,
                                     options.variance_floor);
    else
      sharing_ = std::make_unique<Sharing>(std::make_shared<NormalWishartFamily>(family_), K());
    add_components(sharing_->family(), sharing_->rows());
  }

  void set_priors(const Moments& moments) override {
    const Tensor covariance = moments.covariance();
    blocks_[0]->set_prior(on_one_thread([&] { return prior(moments.mean, covariance); }));
  }
  using Observation::point;
  Tensor point(const TensorMap& globals) const override { return sharing_->expand(Observation::point(globals)); }
  TensorMap spread(const Tensor& sums) const override { return Observation::spread(sharing_->collapse(sums)); }

  TensorMap describe(const Tensor& t) const override {
    const auto [means, covariances] = family_.moments(t);
    TensorMap parts = sharing_->describe(components().t().detach());
    parts.merge(TensorMap{{"means", means}, {"covariances", covariances}});
    return parts;
  }
  std::vector<std::string> parameters() const override {
    std::vector<std::string> names{"means", "covariances"};
    for (const std::string& name : sharing_->parameters()) names.push_back(name);
    return names;
  }
  TensorMap rescaled(TensorMap parts, const Tensor& scale, const Tensor& center) const override {
    parts["means"] = parts.at("means") * scale + center;
    parts["covariances"] = parts.at("covariances") * at::outer(scale, scale);
    if (parts.count("loadings")) parts["loadings"] = parts.at("loadings") * scale.unsqueeze(-1);
    if (parts.count("noise")) parts["noise"] = parts.at("noise") * scale.square();
    return parts;
  }

  Tensor real_columns() const override { return at::ones({D()}, at::kBool); }
  Tensor supported(const Tensor& x) const override { return x.isinf().logical_not(); }
  std::string support(int64_t) const override { return kFiniteNumber; }

  Tensor statistics(const Tensor& x) const override { return with_moments(x, second_moments(x)); }
  Tensor statistics(const Distribution& q) const override {
    const Tensor mean = q.mean(), covariance = covariance_of(q).flatten(1).index_select(1, row_ * D() + column_);
    return with_moments(mean, second_moments(mean) + covariance);
  }
  Tensor log_base(const Tensor& s) const override { return at::scalar_tensor(-half_log_two_pi(D()), s.scalar_type()); }

  std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool exact) const override {
    const Tensor constant = t.slice(1, 0, 1) + t.slice(1, -1) - half_log_two_pi(D());
    const Tensor weights = at::cat({constant, t.slice(1, 1, family_.size() - 1)}, 1);
    // Terms of x' Lambda x that cancel: with a far mean, and where features are nearly collinear.
    const auto [mean, covariance] = family_.moments(t);
    const Tensor reach = (mean.square() + covariance.diagonal(0, -2, -1)).sqrt().unsqueeze(-1);
    const Tensor size = at::matmul(precision(t).abs(), reach) * reach;
    return kernel_for(size.sum({-2, -1}), exact ? at::kDouble : context_.dtype, weights, true, [&] { return form(t); });
  }
  std::unique_ptr<const RowKernel> incomplete_kernel(const Tensor& t) const override {
    return incomplete_full_kernel(form(t), precision(t));
  }

  Tensor log_prob(const Tensor& x, const Tensor& t) const override {
    const QuadraticForm f = form(t);
    if (has_missing(x)) {
      const auto kernel = incomplete_full_kernel(f, precision(t));
      return kernel->log_lik(kernel->features(x));
    }
    return (f.offset.unsqueeze(-1) - 0.5 * f.whitened(x).square().sum(-1)).t();
  }
  Tensor completed(const Tensor& x, const Tensor& r) const override {
    const Tensor t = point();
    return completed_full(form(t), precision(t), x, r);
  }
  Marginals marginals() const override {
    if (context_.estimate == Estimate::posterior) {
      const Student s = student();
      return normal_marginals(s.mean, s.scale.diagonal(0, 1, 2).sqrt(), s.degrees.unsqueeze(-1).expand_as(s.mean));
    }
    const auto [means, covariances] = family_.moments(point());
    return normal_marginals(means, covariances.diagonal(0, 1, 2).sqrt());
  }
  std::map<std::string, double> diagnostics() const override {
    if (context_.estimate == Estimate::ml || options_.low_rank()) return {};
    return flat_directions(family_.parameters(sharing_->marginals(components().eta_prior())).V[0]);
  }
  Tensor log_predictive(const Tensor& x) const override;
  int64_t num_latents() const override { return options_.low_rank() ? options_.rank : 0; }
  Tensor latents(const Tensor& x) const override;

  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return draw(form(t), component, rng.normal(index, {D()}, "row"));
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    const Student s = student();
    const Tensor half = 0.5 * s.degrees.index_select(0, component), tail = (half / rng.gamma(half, "tail")).sqrt();
    const Tensor noise = rng.normal(index, {D()}, "row");
    const Tensor root = at::linalg_solve_triangular(NormalWishartFamily::cholesky(s.scale, "scale").transpose(-2, -1),
                                                    at::eye(D(), at::kDouble), true);
    return draw({s.mean, root, {}}, component, noise * tail.unsqueeze(-1));
  }

 private:
  struct Student {
    Tensor mean, scale, degrees;  // [K, D], [K, D, D], [K]
  };

  Tensor prior(const Tensor& mean, Tensor covariance) const {
    const double flat = kFlat * std::max(covariance.trace().item<double>() / static_cast<double>(D()), kFlat);
    const auto [values, vectors] = at::linalg_eigh(covariance);
    if (values[0].item<double>() < flat) covariance = at::mm(vectors * values.clamp_min(flat), vectors.t());
    const Tensor one = at::ones({1}, at::kDouble);
    return sharing_->prior(
        family_.natural({options_.mean_strength * one, mean.unsqueeze(0),
                         options_.covariance_scale * covariance.unsqueeze(0), options_.degrees_of_freedom * one}));
  }

  Tensor second_moments(const Tensor& x) const { return x.index_select(1, row_) * x.index_select(1, column_); }
  Tensor with_moments(const Tensor& x, const Tensor& second) const {
    const Tensor one = at::ones_like(x.slice(1, 0, 1));
    return at::cat({one, x, second, one}, 1).to(at::kDouble);
  }

  Tensor precision(const Tensor& t) const {
    const Tensor packed = t.slice(1, 1 + D(), family_.size() - 1) * (-1 - row_.eq(column_).to(at::kDouble));
    return NormalWishartFamily::unpacked(packed, D());
  }

  QuadraticForm form(const Tensor& t) const {
    const Tensor root = NormalWishartFamily::cholesky(precision(t), "precision"), scaled = t.slice(1, 1, 1 + D());
    const Tensor mean = at::cholesky_solve(scaled.unsqueeze(-1), root).squeeze(-1);
    const Tensor spread = spread_of(t.select(1, 0), 0.5 * (mean * scaled).sum(-1));
    return {mean, root, spread + t.select(1, family_.size() - 1) - half_log_two_pi(D())};
  }

  Student student() const {
    const NormalWishartFamily::Parameters p = family_.parameters(sharing_->marginals(components().eta()));
    const Tensor nu = p.nu - static_cast<double>(D() - 1);
    return {p.m, p.V * ((p.beta + 1) / (p.beta * nu)).view({-1, 1, 1}), nu};
  }

  /// x = mean + R'^-1 z of each row.
  Tensor draw(const QuadraticForm& f, const Tensor& component, const Tensor& noise) const {
    if (torchscript::recording()) return torchscript::normal_rows(component, noise, f.mean, at::linalg_inv(f.root));
    Tensor x = f.mean.index_select(0, component);
    for (int64_t k = 0; k < f.mean.size(0); ++k) {
      const Tensor rows = component.eq(k).nonzero().squeeze(-1);
      const Tensor inverse = at::linalg_inv(f.root[k]);
      x = x.index_add(0, rows, at::mm(noise.index_select(0, rows), inverse));
    }
    return x;
  }

  NormalOptions options_;
  NormalWishartFamily family_;
  std::unique_ptr<const Sharing> sharing_;
  Tensor row_, column_;  // of the upper triangle, in the order of packed()
};

/// A Student-t of the same degrees of freedom for any subset of the columns.
Tensor FullNormalRows::log_predictive(const Tensor& x) const {
  const Student s = student();
  const auto log_density = [&](const Tensor& rows, const Tensor& mean, const Tensor& scale) {
    const auto dimensions = static_cast<double>(rows.size(1));
    const Tensor factor = NormalWishartFamily::cholesky(scale, "scale"), nu = s.degrees.unsqueeze(-1);
    const Tensor inverse = at::linalg_solve_triangular(factor, at::eye(rows.size(1), at::kDouble), false);
    const Tensor offset = at::lgamma(0.5 * (nu + dimensions)) - at::lgamma(0.5 * nu) -
                          0.5 * dimensions * (M_PI * nu).log() - factor.diagonal(0, -2, -1).log().sum(-1, true);
    const QuadraticForm form{mean, inverse.transpose(-2, -1), {}};
    return (offset - 0.5 * (nu + dimensions) * log1p_squares(form.whitened(rows), -1, nu)).t();
  };
  if (!has_missing(x)) return log_density(x, s.mean, s.scale);
  Tensor log_p = at::zeros({x.size(0), K()}, at::kDouble);
  for (const MissingPattern& pattern : missing_patterns(x)) {
    const Tensor& there = pattern.observed;
    if (there.numel() == 0) continue;
    const Tensor rows = x.index_select(0, pattern.rows).index_select(1, there).to(at::kDouble);
    log_p.index_copy_(
        0, pattern.rows,
        log_density(rows, s.mean.index_select(1, there), s.scale.index_select(1, there).index_select(2, there)));
  }
  return log_p;
}

/// E[z | x] = W' C^-1 (x - mu), linear in x: missing cells stand at their conditional means.
Tensor FullNormalRows::latents(const Tensor& x) const {
  const TensorMap own = sharing_->describe(components().t().detach());
  const Tensor t = point(), L = precision(t), mean = form(t).mean;
  std::vector<Tensor> latents;
  for (int64_t k = 0; k < K(); ++k) {
    const Tensor only = at::one_hot(at::full({x.size(0)}, k, at::kLong), K()).to(at::kDouble);
    const Tensor rows = has_missing(x) ? completed(x, only) : x.to(at::kDouble);
    latents.push_back(at::mm(rows - mean[k], at::mm(L[k], own.at("loadings")[k])));
  }
  return at::stack(latents, 1);
}

}  // namespace

std::shared_ptr<Observation> full_normal(const NormalOptions& options, const Observation::Context& context) {
  return std::make_shared<FullNormalRows>(options, context);
}

}  // namespace vem
