// Latent Dirichlet allocation (Blei, Ng, Jordan 2003) on bags of words: topics beta_k ~ Dirichlet(eta), documents
// theta_d ~ Dirichlet(alpha), words z ~ theta_d, w ~ beta_z. Topics are one conjugate block; a document's gamma is
// per-item state. Estimates:
//   posterior  variational Bayes with the exact bound of token sequences, no multinomial coefficient (Hoffman, Blei,
//              Bach 2010, equations 1 to 5)
//   cvb0       the zero-order collapsed update of Foulds et al. 2013: the mode of theta and beta in the softmax basis,
//              that is, with Dirichlet priors of concentration + 1 (Asuncion et al. 2009, section 3); its bound is that
//              joint density
//   gibbs      uncollapsed Gibbs sampling: topics of words in the E-step, theta there too, beta in the M-step
// Not allocation x observation: gathered columns [rows, K] would be a stored phi, K numbers for every pair.
#include "lda.h"

#include "start.h"
#include "vem/core/error.h"
#include "vem/dist/dirichlet.h"
#include "vem/dist/dirichlet_concentration.h"

namespace vem {
namespace {

constexpr int64_t kChunk = 4096;  // documents that are looked at together

/// The word weights' own prior, learned: maximises -KL(q(beta) || p(beta)) over a symmetric eta, just before the topics
/// are updated. Has no globals; what it learns is the topics' eta_prior.
class TopicPrior final : public Block {
 public:
  explicit TopicPrior(std::shared_ptr<ConjugateBlock> topics) : Block("topic_prior"), topics_(std::move(topics)) {}
  TensorMap globals() const override { return {}; }
  void m_step(const Expectation&, const Step& step, const Rng&) override {
    const at::NoGradGuard no_grad;
    const Tensor t = topics_->t();  // [K, V] E[log beta], draws of the concentration's family
    const int64_t K = t.size(0), V = t.size(1);
    const Tensor eta = at::cat({t.sum(0), at::full({1}, -static_cast<double>(K), at::kDouble)}).unsqueeze(0);
    const Tensor mode = DirichletConcentration(V, true).mode(eta).squeeze(0).slice(0, 0, V).expand({K, V});
    const double rho = step.weight("rho");
    topics_->replace_prior((1 - rho) * topics_->eta_prior() + rho * (mode - 1));
  }
  bool conjugate() const override { return true; }
  std::map<std::string, double> diagnostics() const override {
    return {{"topic_concentration", topics_->eta_prior()[0][0].item<double>() + 1}};
  }
  TensorMap state() const override { return {}; }
  void load(const TensorMap&) override {}

 private:
  std::shared_ptr<ConjugateBlock> topics_;
};

Estimate block_estimate(LdaEstimate estimate) {
  return estimate == LdaEstimate::posterior ? Estimate::posterior
         : estimate == LdaEstimate::gibbs   ? Estimate::gibbs
                                            : Estimate::map;
}

std::shared_ptr<Model> create_lda(const LdaOptions& options, const Model::Context& context) {
  return std::make_shared<Lda>(options, context);
}

}  // namespace

void LdaOptions::visit(OptionVisitor& v) {
  v("num_topics", num_topics, {1, 100000}, "topics");
  v("estimate", estimate,
    {{"posterior", LdaEstimate::posterior}, {"cvb0", LdaEstimate::cvb0}, {"gibbs", LdaEstimate::gibbs}},
    "variational Bayes, the zero-order collapsed update, or Gibbs sampling");
  visit_precision(v, precision);
  v("document_concentration", document_concentration, positive(),
    "alpha of the Dirichlet prior of topic weights: one number, or one a topic");
  v("topic_concentration", topic_concentration, positive(), "eta of the Dirichlet prior of word weights");
  v.when(estimate == LdaEstimate::posterior, "estimate is posterior", [&] {
    v("learn_document_prior", learn_document_prior,
      {{"none", Learn::none}, {"scalar", Learn::scalar}, {"vector", Learn::vector}},
      "maximise the bound over alpha too: one number, or one a topic");
    v("learn_topic_prior", learn_topic_prior, "maximise the bound over eta too");
  });
  v("start", start, {{"clusters", Start::clusters}, {"random", Start::random}},
    "topics begin at clusters of documents, or near one pseudo-count for every word");
  v.when(start == Start::clusters, "start is clusters", [&] {
    v("restarts", restarts, {1, 1000}, "clusterings that compete; the likeliest is taken");
  });
  v.when(estimate != LdaEstimate::gibbs, "estimate is posterior or cvb0", [&] {
    v("gamma_start", gamma_start, {{"stored", GammaStart::stored}, {"fresh", GammaStart::fresh}},
      "where a document's inner iterations begin: where the last pass left them, so that the bound never falls, or "
      "anew, which keeps nothing by document");
    v("inner_iterations", inner_iterations, {1, 100000}, "sweeps over a document in an E-step at most");
    v("inner_tolerance", inner_tolerance, at_least(0), "mean change of gamma that ends them");
  });
  v("held_out_iterations", held_out_iterations, {1, 10000000},
    "sweeps over a document that is evaluated or encoded, not trained on, at most");
  v("held_out_tolerance", held_out_tolerance, at_least(0), "mean change of gamma that ends these");
}

Lda::Lda(const LdaOptions& options, const Context& context)
    : options_(options),
      schema_(context.schema),
      topics_(std::make_shared<ConjugateBlock>("topic_words", std::make_shared<DirichletFamily>(V()), K(),
                                               block_estimate(options.estimate))),
      fixed_(std::make_shared<ConstantBlock>("documents")) {
  const at::NoGradGuard no_grad;
  if (schema_.item_shape.size() != 1)
    fail<DataError>("lda: {}: items have shape [{}]; a corpus of documents is expected", schema_.source,
                    fmt::join(schema_.item_shape, ", "));
  const auto given = static_cast<int64_t>(options.document_concentration.size());
  if (given != 1 && given != K())
    fail<ConfigError>("lda: document_concentration must be one number or model.num_topics = {} numbers, got {}", K(),
                      given);
  const Tensor alpha = at::tensor(options.document_concentration, at::kDouble).expand({K()}).contiguous();
  fixed_->add("documents.mean_length", at::zeros({}, at::kDouble));
  if (options.learn_document_prior == LdaOptions::Learn::none) {
    fixed_->add("document_prior.t", DirichletConcentration::point(alpha));
  } else {
    learned_ = std::make_shared<ConjugateBlock>(
        "document_prior",
        std::make_shared<DirichletConcentration>(K(), options.learn_document_prior == LdaOptions::Learn::scalar), 1,
        Estimate::ml);
    learned_->set_prior(DirichletConcentration::start(alpha));
    blocks_.push_back(learned_);
  }
  blocks_.push_back(fixed_);
  if (options.learn_topic_prior) blocks_.push_back(std::make_shared<TopicPrior>(topics_));
  blocks_.push_back(topics_);
  // eta is alpha - 1; cvb0's mode is that of Dirichlet(concentration + 1).
  const double eta = options.topic_concentration - (options.estimate == LdaEstimate::cvb0 ? 0 : 1);
  topics_->set_prior(at::full({K(), V()}, eta, at::kDouble));
}

double Lda::log_norm() const {
  if (posterior()) return document_prior()[K()].item<double>();
  return DirichletConcentration::point(alpha() + 1)[0][K()].item<double>();
}

void Lda::require_documents(const Batch& batch) const {
  if (!batch.offsets.defined() || !batch.columns.count("word"))
    fail<DataError>("lda: documents are expected, with columns word and count");
  const Tensor& word = batch.at("word");
  if (word.size(0) == 0) return;
  const int64_t low = word.min().item<int64_t>(), high = word.max().item<int64_t>();
  if (low < 0 || high >= V()) fail<DataError>("lda: word {} is out of range: there are {}", low < 0 ? low : high, V());
}

void Lda::initialize(const Dataset& train, const Rng& rng) {
  const at::NoGradGuard no_grad;
  double tokens = 0;
  for (int64_t begin = 0; begin < train.size; begin += kChunk) {  // documents may be on disk
    const Batch batch = train.batch(at::arange(begin, std::min(train.size, begin + kChunk), at::kLong), 0, dtype());
    require_documents(batch);
    tokens += (batch.per_item(batch.at("count").to(at::kDouble)) * batch.weight).sum().item<double>();
  }
  if (!(tokens > 0)) fail<DataError>("lda: the training documents have no words of any weight");
  fixed_->set("documents.mean_length", at::scalar_tensor(tokens / train.total_weight(), at::kDouble));
  Expectation start;
  start.sums[topics_->key()] = start_counts(train, tokens, rng);
  topics_->m_step(start, Step(), rng);
}

// Counts of words [K, V] with which the topics begin: of clusters of documents, as if each topic explained as many
// words; or one for every word (Hoffman, Blei, Bach 2010). Times Gamma(100, 1/100), so that no two topics are equal.
Tensor Lda::start_counts(const Dataset& train, double tokens, const Rng& rng) const {
  const Tensor noise = rng.fold("topics").gamma(at::full({K(), V()}, 100, at::kDouble), "start") / 100;
  if (options_.start == LdaOptions::Start::random) return noise;
  const Tensor shares = cluster_documents(train, K(), options_.restarts, rng.fold("clusters"));
  return tokens / static_cast<double>(K()) * shares * noise;
}

LdaExpectation Lda::train_step(const Batch& batch, const Tensor& start, const Rng& rng) const {
  const LdaKernel kernel(topics_->t(), alpha(), dtype());
  if (options_.estimate == LdaEstimate::gibbs) return kernel.sample(batch, start, rng);
  return kernel.expect(batch, start, log_norm(), {update(), options_.inner_iterations, options_.inner_tolerance, true});
}

Expectation Lda::e_step(const Batch& batch, const Step& step, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  require_documents(batch);
  const bool training = step.training, gibbs = options_.estimate == LdaEstimate::gibbs;
  const bool stored = training && (gibbs || options_.gamma_start == LdaOptions::GammaStart::stored);
  const auto local = batch.local.find("gamma");
  const Tensor start = stored && local != batch.local.end() ? local->second : Tensor();
  const LdaExpectation result = training ? train_step(batch, start, rng) : infer(batch);
  Expectation e;
  e.count = batch.weight.sum();
  e.bound = result.bound;
  e.metrics = {{"tokens", result.tokens}, {"inner_iterations", result.iterations}};
  if (stored) e.local["gamma"] = result.gamma;
  if (!training) {  // sums over items, as every metric is
    e.metrics["held_out_tolerance"] = e.count * options_.held_out_tolerance;
    e.metrics["unconverged"] = result.unconverged;
    return e;
  }
  e.sums[topics_->key()] = result.topics;
  if (learned_) e.sums[learned_->key()] = at::cat({result.log_theta, -result.documents.view({1})}).unsqueeze(0);
  return e;
}

void register_lda(Registry& registry) {
  // Steps that start small: two stochastic passes then come close to many batch passes (experiments/lda).
  registry.add<Model, LdaOptions>("lda", "topics of bags of words: latent Dirichlet allocation (train.rho.delay: 64)",
                                  create_lda,
                                  "train.epochs = 100\ntrain.rho = {kind = \"power\", delay = 64, exponent = 0.7}");
}

}  // namespace vem
