#include "support/linear_vae.h"

#include "support/amortised.h"

namespace vem {
namespace {

constexpr int64_t kRows = 40, kColumns = 5, kFactors = 2;
constexpr double kSigma = 0.7;

void put(const Model& model, const std::string& name, const Tensor& value) {
  model.globals().at(name).detach().copy_(value);
}

}  // namespace

LinearVae linear_vae(const std::string& top) {
  LinearVae v;
  v.sigma = kSigma;
  const Tensor columns = std::get<0>(at::linalg_qr(random({kColumns, kFactors}, "columns")));
  v.W = columns * at::tensor({1.5, 0.6}, at::kDouble);
  v.b = random({kColumns}, "offset");
  v.data.size = kRows;
  v.data.schema.item_shape = {kColumns};
  const Tensor z = random({kRows, kFactors}, "z");
  v.data.columns["x"] = at::mm(z, v.W.t()) + v.b + kSigma * random({kRows, kColumns}, "noise");
  const bool encoder = top.find("\"local\"") == std::string::npos;
  v.model =
      make_model("[model]\nkind = \"vae\"\nprecision = \"float64\"\nlatent_dim = 2\n" + top +
                     "likelihood = {kind = \"normal\", scale = \"fixed\", value = 0.7}\ndecoder = {widths = []}\n" +
                     (encoder ? "encoder = {widths = []}\nencoder_inputs = \"raw\"\n" : ""),
                 v.data);
  put(*v.model, "decoder.output.weight", v.W);
  put(*v.model, "decoder.output.bias", v.b);
  if (encoder) v.set_encoder();
  return v;
}

Tensor LinearVae::log_evidence() const {
  const Tensor covariance = at::mm(W, W.t()) + sigma * sigma * at::eye(W.size(0), at::kDouble);
  const Tensor factor = at::linalg_cholesky(covariance), difference = (data.columns.at("x") - b).t();
  const Tensor white = at::linalg_solve_triangular(factor, difference, false);
  const double constant = 0.5 * std::log(2 * M_PI) * static_cast<double>(W.size(0));
  return (white * white).sum(0) * -0.5 - factor.diagonal().log().sum() - constant;
}

Tensor LinearVae::posterior_variance() const { return 1 / (1 + (W * W).sum(0) / (sigma * sigma)); }

Tensor LinearVae::posterior_mean() const {
  return at::mm(data.columns.at("x") - b, W) * posterior_variance() / (sigma * sigma);
}

void LinearVae::set_encoder(double error) const {
  const Tensor slope = W.t() * posterior_variance().unsqueeze(-1) / (sigma * sigma);
  put(*model, "encoder.output.weight", at::cat({slope, at::zeros_like(slope)}));
  put(*model, "encoder.output.bias", at::cat({-at::mv(slope, b), 0.5 * posterior_variance().log()}) + error);
}

}  // namespace vem
