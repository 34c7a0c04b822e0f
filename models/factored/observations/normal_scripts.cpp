// TorchScript that draws normal rows, for exports: at the point t, or from the predictive density at eta.
#include "normal.h"
#include "vem/core/error.h"

namespace vem {
namespace {

constexpr const char* kFullPoint = R"(
    t = self.{block}.t
{sharing}    corner = torch.triu_indices({D}, {D})
    half = torch.zeros([t.size(0), {D}, {D}], dtype=t.dtype)
    half[:, corner[0], corner[1]] = -t[:, {D} + 1:-1]
    precision = torch.linalg_cholesky(half + half.transpose(1, 2))
    means = torch.cholesky_solve(t[:, 1:{D} + 1].unsqueeze(2), precision).squeeze(2)
    root = torch.linalg_solve_triangular(precision.transpose(1, 2), torch.eye({D}, dtype=t.dtype), upper=True)
    noise = torch.randn([n, {D}], dtype=t.dtype)
)";
constexpr const char* kFullPredictive = R"(
    eta = self.{block}.eta
{sharing}    corner = torch.triu_indices({D}, {D})
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

constexpr const char* kDiagonalPoint = R"(
    t = self.{block}.t
{sharing}    variances = -0.5 / t[:, 2 * {D}:3 * {D}]
    means = t[:, {D}:2 * {D}] * variances
    x = means[label] + torch.sqrt(variances)[label] * torch.randn([n, {D}], dtype=t.dtype)
)";
constexpr const char* kDiagonalPredictive = R"(
    eta = self.{block}.eta
{sharing}    beta = eta[:, :{D}]
    means = eta[:, {D}:2 * {D}] / beta
    a = 0.5 * (eta[:, 3 * {D}:] + 1.0)
    b = 0.5 * (eta[:, 2 * {D}:3 * {D}] - eta[:, {D}:2 * {D}] * means)
    scale = torch.sqrt(b * (beta + 1.0) / (a * beta))
    half = a[label]{first}
    tail = torch.sqrt(half / torch._standard_gamma(half))
    x = means[label] + scale[label] * tail * torch.randn([n, {D}], dtype=eta.dtype)
)";

}  // namespace

std::string full_script(const std::string& block, Estimate estimate, int64_t num_features, const Sharing& sharing) {
  const bool predictive = estimate == Estimate::posterior;
  return fmt::format(fmt::runtime((predictive ? kFullPredictive : kFullPoint) + 1), fmt::arg("block", block),
                     fmt::arg("D", num_features), fmt::arg("sharing", sharing.script(predictive))) +
         (kFullDraw + 1);
}

std::string diagonal_script(const std::string& block, Estimate estimate, int64_t num_features, const Sharing& sharing,
                            bool one_tail) {
  const bool predictive = estimate == Estimate::posterior;
  return fmt::format(fmt::runtime((predictive ? kDiagonalPredictive : kDiagonalPoint) + 1), fmt::arg("block", block),
                     fmt::arg("D", num_features), fmt::arg("sharing", sharing.script(predictive)),
                     fmt::arg("first", one_tail ? "[:, :1]" : ""));
}

}  // namespace vem
