// The plug-in `normal`: options, their limits, and the choice between a full and a diagonal covariance.
#include "normal.h"

#include "vem/core/error.h"
#include "vem/data/memory.h"
#include "vem/dist/multivariate_normal.h"

namespace vem {
namespace {

// Up to this distance of a component from the origin, in its own standard deviations, packed second moments keep the
// log-likelihood to about 0.005 nats in float32 and 1e-6 in float64.
constexpr double kFarFloat32 = 1e2, kFarFloat64 = 1e5;

constexpr const char* kCovarianceNames[] = {"full", "diagonal", "tied", "spherical", "factor", "ppca"};

bool has_full_covariance(const NormalOptions& options) {
  return options.covariance != NormalOptions::Covariance::diagonal &&
         options.covariance != NormalOptions::Covariance::spherical;
}

void check_rank(const NormalOptions& options, const Observation::Context& context) {
  const char* name = kCovarianceNames[static_cast<size_t>(options.covariance)];
  if (context.estimate != Estimate::ml && context.estimate != Estimate::map)
    fail<ConfigError>("normal: covariance = \"{}\" has no conjugate posterior; estimate must be ml or map", name);
  if (options.rank >= context.num_features)
    fail<ConfigError>("normal: rank must be below the number of features, {}, for covariance = \"{}\", got {}",
                      context.num_features, name, options.rank);
}

void check(const NormalOptions& options, const Observation::Context& context) {
  const NormalOptions defaults;
  const bool full = has_full_covariance(options);
  if (options.low_rank()) check_rank(options, context);
  if (context.estimate == Estimate::ml) {
    const char* condition = "estimate is map or posterior";
    refuse_without_effect(options.mean_strength != defaults.mean_strength, "normal: mean_strength", condition);
    refuse_without_effect(options.degrees_of_freedom != 0, "normal: degrees_of_freedom", condition);
    refuse_without_effect(options.covariance_scale != defaults.covariance_scale, "normal: covariance_scale", condition);
  }
  if (context.estimate == Estimate::posterior || context.estimate == Estimate::gibbs)
    refuse_without_effect(options.variance_floor != defaults.variance_floor, "normal: variance_floor",
                          "estimate is ml or map");
  if (context.estimate == Estimate::ml || options.degrees_of_freedom == 0) return;
  const double smallest = full ? static_cast<double>(context.num_features) : 1, nu = options.degrees_of_freedom;
  if (context.estimate == Estimate::map ? nu < smallest : nu <= smallest - 1)
    fail<ConfigError>("normal: degrees_of_freedom must be {} {} for {} features and a {} covariance, got {}",
                      context.estimate == Estimate::map ? ">=" : ">",
                      context.estimate == Estimate::map ? smallest : smallest - 1, context.num_features,
                      kCovarianceNames[static_cast<size_t>(options.covariance)], nu);
}

/// Throws ConfigError where matrices of these sizes are beyond the memory of the machine, before any is allocated.
void require_memory(const NormalOptions& options, const Observation::Context& context) {
  // Matrices at a time at most, as the peak of whole trainings showed (8.6 to 10.6 of a component, by estimate and
  // covariance): natural parameters, sums, products, factors; and the moments of the data.
  constexpr double kOfComponent = 11, kOfData = 4;
  const auto D = static_cast<double>(context.num_features), K = static_cast<double>(context.num_components);
  const double needed = (kOfComponent * K + kOfData) * sizeof(double) * D * D;
  const auto memory = static_cast<double>(default_memory_limit());
  if (needed > memory)
    fail<ConfigError>(
        "normal: {} components with covariance = \"{}\" of {} columns need about {} of memory, and there are {}; "
        "covariance = \"diagonal\" needs no matrices",
        context.num_components, kCovarianceNames[static_cast<size_t>(options.covariance)], context.num_features,
        memory_text(needed), memory_text(memory));
}

std::shared_ptr<Observation> create_normal(const NormalOptions& options, const Observation::Context& context) {
  check(options, context);
  const bool full = has_full_covariance(options);
  if (full) require_memory(options, context);
  return full ? full_normal(options, context) : diagonal_normal(options, context);
}

}  // namespace

void NormalOptions::visit(OptionVisitor& v) {
  v("covariance", covariance,
    {{"full", Covariance::full},
     {"diagonal", Covariance::diagonal},
     {"tied", Covariance::tied},
     {"spherical", Covariance::spherical},
     {"factor", Covariance::factor},
     {"ppca", Covariance::ppca}},
    "of each component; tied: one full covariance for all of them; spherical: one variance for all columns; factor: "
    "low rank and a noise for each column (factor analysis); ppca: low rank and one noise (probabilistic PCA)");
  v.when(low_rank(), "covariance is factor or ppca", [&] {
    v("rank", rank, {1, 4096}, "latent variables of a component: columns of its loadings");
  });
  v.when(has_prior(), "estimate is map or posterior", [&] {
    v("mean_strength", mean_strength, positive(), "beta0: rows that the prior mean, that of the data, is worth");
    v("degrees_of_freedom", degrees_of_freedom, at_least(0),
      "nu0 of the Wishart prior (2 a0 for diagonal); 0: the number of features (1 for diagonal)");
    v("covariance_scale", covariance_scale, positive(),
      "V0 = W0^-1 over the covariance of the data (2 b0 for diagonal)");
  });
  v.when(has_mode(), "estimate is ml or map", [&] {
    v("variance_floor", variance_floor, at_least(0),
      "smallest variance in any direction, in squared units of the fitted rows (their variances if standardized)");
  });
}

double half_log_two_pi(int64_t num_features) { return 0.5 * static_cast<double>(num_features) * std::log(2 * M_PI); }

Tensor spread_of(const Tensor& expected, const Tensor& at_mean) {
  const Tensor spread = expected + at_mean;
  return at::where(spread.abs() > 4 * std::numeric_limits<double>::epsilon() * at_mean, spread, at::zeros_like(spread));
}

std::map<std::string, double> flat_columns(const Tensor& scales) {
  const double flat = (scales < 2 * kFlat * scales.mean()).sum().item<double>();
  if (flat == 0) return {};
  return {{"components.flat", flat}};
}

std::map<std::string, double> flat_directions(const Tensor& V) {
  const Tensor floor = 2 * kFlat * V.diagonal().mean();
  const auto [factor, info] = at::linalg_cholesky_ex(V - floor * at::eye(V.size(0), V.options()));
  if (info.item<int>() == 0) return {};  // the usual case, at a fraction of the price of eigenvalues
  return {{"components.flat", (at::linalg_eigvalsh(V) < floor).sum().item<double>()}};
}

Tensor log1p_squares(const Tensor& w, int64_t dim, const Tensor& divisor) {
  const Tensor largest = w.abs().amax(dim, true).clamp_min(1), unit = (1 / largest).square().squeeze(dim);
  return 2 * largest.squeeze(dim).log() + (unit + (w / largest).square().sum(dim) / divisor).log();
}

Tensor variance_of(const Distribution& q) {
  const Tensor variance = q.variance();
  if (!variance.defined())
    fail<ConfigError>("observation normal: as a prior it needs the variances of the posterior; {} has none", q.name());
  return variance;
}

Tensor covariance_of(const Distribution& q) {
  if (const auto* full = dynamic_cast<const FullNormal*>(&q))
    return at::matmul(full->cholesky(), full->cholesky().mT());
  const auto* low_rank = dynamic_cast<const LowRankNormal*>(&q);
  return low_rank ? low_rank->covariance() : at::diag_embed(variance_of(q));
}

std::unique_ptr<const RowKernel> kernel_for(const Tensor& size, at::ScalarType dtype, const Tensor& weights, bool full,
                                            const std::function<QuadraticForm()>& form) {
  const double far = std::sqrt(std::max(0.0, size.max().item<double>()));
  if (dtype == at::kFloat && far < kFarFloat32) return packed_kernel(weights.to(at::kFloat), full);
  if (far < kFarFloat64) return packed_kernel(weights, full);
  return residual_kernel(weights, form());
}

void register_normal_observation(Registry& registry) {
  registry.add<Observation, NormalOptions>(
      "normal", "normal rows, full, diagonal, tied, spherical or low-rank covariance, exact conjugate prior",
      create_normal);
}

}  // namespace vem
