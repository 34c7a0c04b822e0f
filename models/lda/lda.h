// The model class of latent Dirichlet allocation; what it does is said in lda.cpp, its methods are in methods.cpp.
#pragma once

#include "kernel.h"
#include "vem/infer/model.h"

namespace vem {

enum class LdaEstimate { posterior, cvb0, gibbs };

struct LdaOptions final : ModelOptions {
  enum class Learn { none, scalar, vector };
  enum class Start { clusters, random };
  enum class GammaStart { stored, fresh };

  int64_t num_topics = 20;
  LdaEstimate estimate = LdaEstimate::posterior;
  Precision precision = Precision::float32;
  std::vector<double> document_concentration{0.1};
  double topic_concentration = 0.05;
  Learn learn_document_prior = Learn::none;
  bool learn_topic_prior = false;
  Start start = Start::clusters;
  int64_t restarts = 3;
  GammaStart gamma_start = GammaStart::stored;
  int64_t inner_iterations = 2;
  double inner_tolerance = 1e-3;
  int64_t held_out_iterations = 10000;
  double held_out_tolerance = 1e-7;

  bool has_conjugate() const override { return true; }
  bool has_gradient() const override { return false; }
  bool sampled() const override { return estimate == LdaEstimate::gibbs; }
  bool takes_documents() const override { return true; }
  void visit(OptionVisitor& v) override;
};

class Lda final : public Model {
 public:
  Lda(const LdaOptions& options, const Context& context);

  void initialize(const Dataset& train, const Rng& rng) override;
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override;
  std::vector<Method> methods() const override;
  at::ScalarType dtype() const override { return scalar_type(options_.precision); }
  /// A fresh start that is cut short may end below where the last pass was.
  bool monotone() const override { return Model::monotone() && options_.gamma_start == LdaOptions::GammaStart::stored; }

 private:
  int64_t K() const { return options_.num_topics; }
  int64_t V() const { return schema_.num_features(); }
  bool posterior() const { return options_.estimate == LdaEstimate::posterior; }
  /// alpha [K] and, for the variational bound, log B(alpha): [K + 1].
  Tensor document_prior() const { return (learned_ ? learned_->t() : fixed_->get("document_prior.t")).detach()[0]; }
  Tensor alpha() const { return document_prior().slice(0, 0, K()); }
  double log_norm() const;
  LdaUpdate update() const { return posterior() ? LdaUpdate::variational : LdaUpdate::collapsed; }

  void require_documents(const Batch& batch) const;
  Tensor start_counts(const Dataset& train, double tokens, const Rng& rng) const;
  LdaExpectation train_step(const Batch& batch, const Tensor& start, const Rng& rng) const;
  Tensor topic_means() const;
  /// What documents see of the topics outside of training: E[log beta], or the log of the means.
  Tensor log_topics() const { return posterior() ? topics_->t().detach() : topic_means().log(); }
  /// Documents that are not trained on: from a fresh start until gamma stands still, in float64, since float32 would
  /// not come to rest.
  LdaExpectation infer(const Batch& batch) const;
  Tensor proportions(const std::vector<Tensor>& in) const;
  std::vector<Tensor> complete(const std::vector<Tensor>& in) const;
  std::vector<Tensor> draw(int64_t n, const Rng& rng) const;
  Method encode() const;
  Method topics() const;
  Method completion() const;
  Method sample() const;

  LdaOptions options_;
  Schema schema_;
  std::shared_ptr<ConjugateBlock> topics_, learned_;
  std::shared_ptr<ConstantBlock> fixed_;
};

}  // namespace vem
