// Rows with missing cells under normals with a full covariance, exactly: with Lambda the (expected) precision, o what
// is there and m what is not,
//   log of the integral over x_m of exp E[log p(x_o, x_m | k)] = offset' - (x_o - mean_o)' S (x_o - mean_o) / 2,
//   S = Lambda_oo - Lambda_om Lambda_mm^-1 Lambda_mo, offset' = offset + |m| log(2 pi) / 2 - log|Lambda_mm| / 2,
// and the maximising q(x_m) = N(mean_m - Lambda_mm^-1 Lambda_mo (x_o - mean_o), Lambda_mm^-1), whose moments stand for
// what is missing (Dempster, Laird and Rubin 1977, section 4.1.3). A row without any cell has likelihood 1.
#include <map>

#include "normal.h"
#include "vem/dist/normal_wishart.h"

namespace vem {
namespace {

class IncompleteFullKernel final : public RowKernel {
 public:
  IncompleteFullKernel(QuadraticForm form, Tensor precision)
      : form_(std::move(form)), precision_(std::move(precision)) {}

  Tensor features(const Tensor& x) const override { return x.to(at::kDouble); }

  Tensor log_lik(const Tensor& x) const override {
    const Tensor log_p = at::zeros({x.size(0), form_.mean.size(0)}, at::kDouble);
    for (const MissingPattern& pattern : missing_patterns(x))
      if (pattern.observed.numel() > 0) log_p.index_copy_(0, pattern.rows, Conditional(*this, x, pattern).log_lik());
    return log_p;
  }

  Tensor sums(const Tensor& x, const Tensor& marginals) const override {
    const int64_t K = form_.mean.size(0), D = x.size(1);
    const Tensor count = at::zeros({K, 1}, at::kDouble), first = at::zeros({K, D}, at::kDouble),
                 second = at::zeros({K, D, D}, at::kDouble);
    for (const MissingPattern& pattern : missing_patterns(x)) {
      if (pattern.observed.numel() == 0) continue;
      const Tensor r = marginals.index_select(0, pattern.rows).to(at::kDouble).t().unsqueeze(-1);  // [K, n, 1]
      const Conditional conditional(*this, x, pattern);
      const Tensor filled = conditional.filled(), weighted = filled * r, mass = r.sum(1);
      count.add_(mass);
      first.add_(weighted.sum(1));
      second.add_(at::matmul(weighted.transpose(1, 2), filled) + conditional.spread() * mass.unsqueeze(-1));
    }
    return at::cat({count, first, NormalWishartFamily::packed(second), count}, 1);
  }
  Tensor drawn_sums(const Tensor& x, const Tensor& marginals, const RowNoise& noise_of) const override {
    const Tensor noise = noise_of({x.size(1)}, "missing cells");
    Tensor complete = x.clone(), chosen = marginals.to(at::kDouble);
    for (const MissingPattern& pattern : missing_patterns(x)) {
      const Tensor r = chosen.index_select(0, pattern.rows).t().unsqueeze(-1);
      if (pattern.observed.numel() == 0) {
        complete = complete.index_fill(0, pattern.rows, 0);  // such a row is no row
        chosen = chosen.index_fill(0, pattern.rows, 0);
        continue;
      }
      const Conditional conditional(*this, x, pattern);
      const Tensor filled = conditional.filled() + conditional.scaled(noise.index_select(0, pattern.rows));
      complete = complete.index_copy(0, pattern.rows, (filled * r).sum(0));
    }
    const Tensor second = NormalWishartFamily::packed(complete.unsqueeze(2) * complete.unsqueeze(1));
    const Tensor one = at::ones({x.size(0), 1}, at::kDouble);
    return at::mm(chosen.t(), at::cat({one, complete, second, one}, 1));
  }
  Tensor statistics(const Tensor& sums) const override { return sums; }

  Tensor completed(const Tensor& x, const Tensor& r) const {
    Tensor all = x.to(at::kDouble);
    for (const MissingPattern& pattern : missing_patterns(x)) {
      const Tensor share = r.index_select(0, pattern.rows).t().unsqueeze(-1);  // [K, n, 1]
      const Tensor filled = pattern.observed.numel() > 0 ? Conditional(*this, x, pattern).filled()
                                                         : form_.mean.unsqueeze(1).expand({-1, share.size(1), -1});
      const Tensor own = x.index_select(0, pattern.rows);
      all = all.index_copy(0, pattern.rows, at::where(own.isnan(), (filled * share).sum(0), own));
    }
    return all;
  }

 private:
  /// The rows of one pattern against every component.
  class Conditional {
   public:
    Conditional(const IncompleteFullKernel& kernel, const Tensor& x, const MissingPattern& pattern)
        : kernel_(kernel), observed_(pattern.observed), missing_(pattern.missing) {
      const Tensor& L = kernel.precision_;
      const Tensor there = L.index_select(1, observed_), gap = L.index_select(1, missing_);
      factor_ = NormalWishartFamily::cholesky(gap.index_select(2, missing_), "precision");  // of Lambda_mm
      across_ = gap.index_select(2, observed_);                                             // Lambda_mo [K, m, o]
      solved_ = at::cholesky_solve(across_, factor_);
      schur_ = there.index_select(2, observed_) - at::matmul(across_.transpose(1, 2), solved_);
      residual_ = x.index_select(0, pattern.rows).index_select(1, observed_).unsqueeze(0) -
                  kernel.form_.mean.index_select(1, observed_).unsqueeze(1);  // [K, n, o]
    }
    Tensor log_lik() const {
      const Tensor root = NormalWishartFamily::cholesky(0.5 * (schur_ + schur_.transpose(1, 2)), "precision");
      const Tensor offset =
          kernel_.form_.offset + half_log_two_pi(missing_.numel()) - factor_.diagonal(0, 1, 2).log().sum(-1);
      return (offset.unsqueeze(-1) - 0.5 * at::matmul(residual_, root).square().sum(-1)).t();
    }
    /// x with conditional means in its gaps [K, n, D].
    Tensor filled() const {
      const Tensor& mean = kernel_.form_.mean;
      const Tensor shift = at::zeros({mean.size(0), residual_.size(1), mean.size(1)}, at::kDouble);
      shift.index_copy_(2, observed_, residual_);
      shift.index_copy_(2, missing_, -at::matmul(residual_, solved_.transpose(1, 2)));
      return mean.unsqueeze(1) + shift;
    }
    /// Lambda_mm^-1/2 times the noise [n, D] of the missing cells, zero elsewhere: [K, n, D].
    Tensor scaled(const Tensor& noise) const {
      const Tensor own = noise.index_select(1, missing_).t().expand({factor_.size(0), -1, -1});
      const Tensor root = at::linalg_solve_triangular(factor_.transpose(1, 2), own, true).transpose(1, 2);
      return at::zeros({factor_.size(0), noise.size(0), noise.size(1)}, at::kDouble).index_copy(2, missing_, root);
    }
    /// Lambda_mm^-1 where both are missing, else 0: [K, D, D].
    Tensor spread() const {
      const int64_t K = factor_.size(0), D = kernel_.form_.mean.size(1);
      const Tensor rows = at::zeros({K, missing_.numel(), D}, at::kDouble);
      rows.index_copy_(2, missing_, at::cholesky_inverse(factor_));
      return at::zeros({K, D, D}, at::kDouble).index_copy_(1, missing_, rows);
    }

   private:
    const IncompleteFullKernel& kernel_;
    const Tensor &observed_, &missing_;
    Tensor factor_, across_, solved_, schur_, residual_;
  };

  QuadraticForm form_;
  Tensor precision_;
};

}  // namespace

std::vector<MissingPattern> missing_patterns(const Tensor& x) {
  const Tensor gaps = x.isnan().to(at::kByte).contiguous();
  const auto D = static_cast<size_t>(x.size(1));
  const auto* cells = reinterpret_cast<const char*>(gaps.data_ptr<uint8_t>());
  std::map<std::string, std::vector<int64_t>> rows;
  for (int64_t n = 0; n < x.size(0); ++n) rows[std::string(cells + static_cast<size_t>(n) * D, D)].push_back(n);
  std::vector<MissingPattern> patterns;
  for (const auto& [key, members] : rows) {
    std::vector<int64_t> observed, missing;
    for (size_t d = 0; d < D; ++d) (key[d] ? missing : observed).push_back(static_cast<int64_t>(d));
    patterns.push_back(
        {at::tensor(members, at::kLong), at::tensor(observed, at::kLong), at::tensor(missing, at::kLong)});
  }
  return patterns;
}

Tensor completed_full(const QuadraticForm& form, const Tensor& precision, const Tensor& x, const Tensor& r) {
  return IncompleteFullKernel(form, precision).completed(x, r);
}

std::unique_ptr<const RowKernel> incomplete_full_kernel(const QuadraticForm& form, const Tensor& precision) {
  return std::make_unique<IncompleteFullKernel>(form, precision);
}

}  // namespace vem
