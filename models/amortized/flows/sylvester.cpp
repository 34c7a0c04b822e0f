// Sylvester flow, z + Q R tanh(R~ Q'z + b) with orthogonal Q and upper triangular R, R~, all from the encoder (van den
// Berg et al. 2018, equation 9): as many directions as there are dimensions. Q is a product of Householder reflections.
#include "../posteriors/triangle.h"
#include "vem/infer/flow.h"

namespace vem {
namespace {

struct SylvesterOptions final : Options {
  int64_t num_reflections = 4;
  void visit(OptionVisitor& v) override {
    v("num_reflections", num_reflections, {1, 1000}, "Householder reflections that make up Q");
  }
};

class Sylvester final : public Flow {
 public:
  Sylvester(const SylvesterOptions& options, const Context& context)
      : H_(options.num_reflections), L_(context.latent_dim), triangle_(L_) {}
  int64_t num_parameters() const override { return H_ * L_ + 2 * (triangle_.numel() + L_) + L_; }

  // The diagonals are of size below one, so 1 + h' r r~ > 0.
  std::pair<Tensor, Tensor> operator()(const Tensor& z, const Tensor& parameters) const override {
    const auto part = parameters.split_with_sizes({H_ * L_, triangle_.numel(), triangle_.numel(), L_, L_, L_}, -1);
    const auto reflections = part[0].chunk(H_, -1);
    const Tensor r = at::tanh(part[3]), r_tilde = at::tanh(part[4]);
    Tensor y = z;
    for (const Tensor& v : reflections) y = reflected(y, v);  // Q'z
    const Tensor h = at::tanh(times_upper(part[2], r_tilde, y) + part[5]);
    Tensor shift = times_upper(part[1], r, h);
    for (size_t i = reflections.size(); i-- > 0;) shift = reflected(shift, reflections[i]);
    return {z + shift, at::log1p((1 - h * h) * r * r_tilde).sum(-1)};
  }

 private:
  static Tensor reflected(const Tensor& z, const Tensor& v) {
    return z - 2 * v * (z * v).sum(-1, true) / ((v * v).sum(-1, true) + 1e-12);
  }
  /// An upper triangular matrix of each row, its triangle and diagonal given, times z [S, R, L].
  Tensor times_upper(const Tensor& triangle, const Tensor& diagonal, const Tensor& z) const {
    return at::matmul(z.unsqueeze(-2), triangle_(triangle)).squeeze(-2) + diagonal * z;
  }

  int64_t H_, L_;
  Triangle triangle_;
};

}  // namespace

void register_sylvester_flow(Registry& registry) {
  registry.add<Flow, SylvesterOptions>("sylvester", "shift along all directions at once",
                                       [](const SylvesterOptions& options, const Flow::Context& context) {
                                         return std::make_shared<Sylvester>(options, context);
                                       });
}

}  // namespace vem
