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
#include "lda_kernel.h"
#include "vem/core/error.h"
#include "vem/dist/dirichlet.h"
#include "vem/dist/dirichlet_concentration.h"
#include "vem/infer/model.h"

namespace vem {
namespace {

// Held-out documents are iterated until gamma stands still, from a fresh start.
constexpr int64_t kHeldOutIterations = 200;
constexpr double kHeldOutTolerance = 1e-5;
constexpr int64_t kChunk = 4096;  // documents that are looked at together

enum class LdaEstimate { posterior, cvb0, gibbs };
enum class Learn { none, scalar, vector };
enum class GammaStart { stored, fresh };

struct LdaOptions final : ModelOptions {
  int64_t num_topics = 20;
  LdaEstimate estimate = LdaEstimate::posterior;
  Precision precision = Precision::float32;
  std::vector<double> document_concentration{0.1};
  double topic_concentration = 0.05;
  Learn learn_document_prior = Learn::none;
  bool learn_topic_prior = false;
  GammaStart gamma_start = GammaStart::stored;
  int64_t inner_iterations = 2;
  double inner_tolerance = 1e-3;

  bool has_conjugate() const override { return true; }
  bool has_gradient() const override { return false; }
  bool sampled() const override { return estimate == LdaEstimate::gibbs; }
  void visit(OptionVisitor& v) override {
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
    v.when(estimate != LdaEstimate::gibbs, "estimate is posterior or cvb0", [&] {
      v("gamma_start", gamma_start, {{"stored", GammaStart::stored}, {"fresh", GammaStart::fresh}},
        "where a document's inner iterations begin: where the last pass left them, or anew");
      v("inner_iterations", inner_iterations, {1, 100000}, "sweeps over a document in an E-step at most");
      v("inner_tolerance", inner_tolerance, at_least(0), "mean change of gamma that ends them");
    });
  }
};

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

class Lda final : public Model {
 public:
  Lda(const LdaOptions& options, const Context& context);

  void initialize(const Dataset& train, const Rng& rng) override;
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override;
  std::vector<Method> methods() const override;
  at::ScalarType dtype() const override { return scalar_type(options_.precision); }
  /// A fresh start that is cut short may end below where the last pass was.
  bool monotone() const override { return Model::monotone() && options_.gamma_start == GammaStart::stored; }

 private:
  int64_t K() const { return options_.num_topics; }
  int64_t V() const { return schema_.num_features(); }
  bool posterior() const { return options_.estimate == LdaEstimate::posterior; }
  /// alpha [K] and, for the variational bound, log B(alpha): [K + 1].
  Tensor document_prior() const { return (learned_ ? learned_->t() : fixed_->get("document_prior.t")).detach()[0]; }
  Tensor alpha() const { return document_prior().slice(0, 0, K()); }
  double log_norm() const;
  LdaUpdate update() const { return posterior() ? LdaUpdate::variational : LdaUpdate::collapsed; }

  void check(const Batch& batch) const;
  Tensor topic_means() const;
  /// What documents see of the topics outside of training: E[log beta], or the log of the means.
  Tensor log_topics() const { return posterior() ? topics_->t().detach() : topic_means().log(); }
  LdaExpectation infer(const Batch& batch) const;
  std::vector<Tensor> completion(const std::vector<Tensor>& in) const;
  std::vector<Tensor> sample(int64_t n, const Rng& rng) const;
  std::string encode_script() const;

  LdaOptions options_;
  Schema schema_;
  std::shared_ptr<ConjugateBlock> topics_, learned_;
  std::shared_ptr<ConstantBlock> fixed_;
};

Estimate block_estimate(LdaEstimate estimate) {
  return estimate == LdaEstimate::posterior ? Estimate::posterior
         : estimate == LdaEstimate::gibbs   ? Estimate::gibbs
                                            : Estimate::map;
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
  if (options.learn_document_prior == Learn::none) {
    fixed_->add("document_prior.t", DirichletConcentration::point(alpha));
  } else {
    learned_ = std::make_shared<ConjugateBlock>(
        "document_prior", std::make_shared<DirichletConcentration>(K(), options.learn_document_prior == Learn::scalar),
        1, Estimate::ml);
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

void Lda::check(const Batch& batch) const {
  if (!batch.offsets.defined() || !batch.columns.count("word"))
    fail<DataError>("lda: documents are expected, with columns word and count");
  const Tensor& word = batch.at("word");
  if (word.size(0) == 0) return;
  const int64_t low = word.min().item<int64_t>(), high = word.max().item<int64_t>();
  if (low < 0 || high >= V()) fail<DataError>("lda: word {} is out of range: there are {}", low < 0 ? low : high, V());
}

// Topics begin at Gamma(100, 1/100) pseudo-counts, near one for every word (Hoffman, Blei, Bach 2010).
void Lda::initialize(const Dataset& train, const Rng& rng) {
  const at::NoGradGuard no_grad;
  double tokens = 0;
  for (int64_t begin = 0; begin < train.size; begin += kChunk) {  // documents may be on disk
    const Batch batch = train.batch(at::arange(begin, std::min(train.size, begin + kChunk), at::kLong), 0, dtype());
    check(batch);
    tokens += (batch.per_item(batch.at("count").to(at::kDouble)) * batch.weight).sum().item<double>();
  }
  if (!(tokens > 0)) fail<DataError>("lda: the training documents have no words of any weight");
  fixed_->set("documents.mean_length", at::scalar_tensor(tokens / train.total_weight(), at::kDouble));
  Expectation start;
  start.sums[topics_->key()] = rng.fold("topics").gamma(at::full({K(), V()}, 100, at::kDouble), "start") / 100;
  topics_->m_step(start, Step(), rng);
}

Expectation Lda::e_step(const Batch& batch, const Step& step, const Rng& rng) const {
  const at::NoGradGuard no_grad;
  check(batch);
  const bool training = step.training, gibbs = options_.estimate == LdaEstimate::gibbs;
  const bool stored = training && (gibbs || options_.gamma_start == GammaStart::stored);
  const auto local = batch.local.find("gamma");
  const Tensor start = stored && local != batch.local.end() ? local->second : Tensor();
  const LdaSettings settings{update(), training ? options_.inner_iterations : kHeldOutIterations,
                             training ? options_.inner_tolerance : kHeldOutTolerance, training};
  const LdaKernel kernel(training ? topics_->t() : log_topics(), alpha(), dtype());
  const LdaExpectation result =
      training && gibbs ? kernel.sample(batch, start, rng) : kernel.expect(batch, start, log_norm(), settings);
  Expectation e;
  e.count = batch.weight.sum();
  e.bound = result.bound;
  e.metrics = {{"tokens", result.tokens}, {"inner_iterations", result.iterations}};
  if (stored) e.local["gamma"] = result.gamma;
  if (!training) return e;
  e.sums[topics_->key()] = result.topics;
  if (learned_) e.sums[learned_->key()] = at::cat({result.log_theta, -result.documents.view({1})}).unsqueeze(0);
  return e;
}

// ---- methods ----

Tensor Lda::topic_means() const {
  if (options_.estimate == LdaEstimate::cvb0) return topics_->t().detach().exp();
  const Tensor counts = topics_->eta() + 1;
  return counts / counts.sum(1, true);
}

/// Documents as methods take them.
Batch documents_of(const Tensor& word, const Tensor& count, const Tensor& offsets) {
  Batch batch;
  batch.columns = {{"word", word.to(at::kInt)}, {"count", count.to(at::kInt)}};
  batch.offsets = offsets;
  batch.index = at::arange(offsets.size(0) - 1, at::kLong);
  batch.weight = at::ones({offsets.size(0) - 1}, at::kDouble);
  return batch;
}

LdaExpectation Lda::infer(const Batch& batch) const {
  check(batch);
  return LdaKernel(log_topics(), alpha(), dtype())
      .expect(batch, {}, log_norm(), {update(), kHeldOutIterations, kHeldOutTolerance, false});
}

Tensor normalized(const Tensor& gamma) {
  const Tensor g = gamma.to(at::kDouble);
  return g / g.sum(1, true);
}

/// log p of the second halves given the first: sum_w c_w log sum_k E[theta_k] E[beta_kw].
std::vector<Tensor> Lda::completion(const std::vector<Tensor>& in) const {
  const Tensor theta = normalized(infer(documents_of(in[0], in[1], in[2])).gamma);
  const Batch held = documents_of(in[3], in[4], in[5]);
  check(held);
  const Tensor item = held.row_item(), count = held.at("count").to(at::kDouble), beta = topic_means();
  std::vector<Tensor> log_prob;
  constexpr int64_t kRows = 4096;  // bounds memory
  for (int64_t begin = 0; begin < item.size(0); begin += kRows) {
    const int64_t end = std::min(item.size(0), begin + kRows);
    const Tensor columns = beta.index_select(1, held.at("word").slice(0, begin, end)).t();
    log_prob.push_back((theta.index_select(0, item.slice(0, begin, end)) * columns).sum(1).log());
  }
  const Tensor rows = log_prob.empty() ? at::zeros({0}, at::kDouble) : at::cat(log_prob) * count;
  return {held.per_item(rows), held.per_item(count)};
}

/// Documents of the mean length: counts [n, V] of words, drawn from draws of theta.
std::vector<Tensor> Lda::sample(int64_t n, const Rng& rng) const {
  const Tensor beta = topic_means();
  const auto length = static_cast<int64_t>(std::llround(fixed_->get("documents.mean_length").item<double>()));
  const Tensor theta_draws = rng.gamma(alpha().expand({n, K()}).contiguous(), "theta").clamp_min(1e-300);
  const Tensor theta = theta_draws / theta_draws.sum(1, true);
  std::vector<int32_t> words, counts;
  std::vector<int64_t> offsets{0};
  for (int64_t d = 0; d < n; ++d) {
    const Tensor edges = at::matmul(theta[d], beta).cumsum(0);
    const Tensor u = rng.uniform(at::full({1}, d, at::kLong), {length}, "word").squeeze(0) * edges[-1];
    const Tensor drawn = std::get<0>(at::searchsorted(edges, u.contiguous()).clamp_max(V() - 1).sort());
    const int64_t* word = drawn.data_ptr<int64_t>();
    for (int64_t i = 0; i < length; ++i)
      if (i > 0 && word[i] == word[i - 1])
        ++counts.back();
      else
        words.push_back(static_cast<int32_t>(word[i])), counts.push_back(1);
    offsets.push_back(static_cast<int64_t>(words.size()));
  }
  return {at::tensor(words, at::kInt), at::tensor(counts, at::kInt), at::tensor(offsets, at::kLong)};
}

std::string Lda::encode_script() const {
  const std::string means = options_.estimate == LdaEstimate::gibbs
                                ? "torch.log((self.topic_words.eta + 1.0) / (self.topic_words.eta + 1.0).sum(1, True))"
                                : "self.topic_words.t";
  const std::string weights = posterior() ? "torch.exp(torch.digamma(gamma) - torch.digamma(gamma.sum(1, True)))"
                                          : "gamma / gamma.sum(1, True)";
  return "def encode(self, word: Tensor, count: Tensor, offsets: Tensor):\n"
         "    log_beta = " +
         means +
         "\n"
         "    alpha = self.document_prior.t[0, :-1]\n"
         "    rows = torch.exp(log_beta - log_beta.max(0)[0]).t().index_select(0, word.to(offsets))\n"
         "    counts = count.to(alpha).unsqueeze(1)\n"
         "    item = torch.repeat_interleave(offsets[1:] - offsets[:-1])\n"
         "    zero = alpha.new_zeros([offsets.size(0) - 1, alpha.size(0)])\n"
         "    gamma = alpha + zero.index_add(0, item, (counts / alpha.size(0)).expand_as(rows))\n"
         "    for i in range(" +
         std::to_string(kHeldOutIterations) +
         "):\n"
         "        weights = " +
         weights +
         "\n"
         "        norm = (weights.index_select(0, item) * rows).sum(1, True)\n"
         "        gamma = alpha + weights * zero.index_add(0, item, rows * (counts / norm))\n"
         "    return gamma / gamma.sum(1, True)\n";
}

std::vector<Method> Lda::methods() const {
  using Tensors = std::vector<Tensor>;
  const std::vector<std::string> documents{"word", "count", "offsets"};
  Method encode{"encode",
                "expected topic weights of each document",
                documents,
                {"proportions"},
                [this](const Tensors& in, const Rng&) {
                  return Tensors{normalized(infer(documents_of(in[0], in[1], in[2])).gamma)};
                },
                {},
                encode_script()};
  Method topics{"topics",
                "word weights of each topic, and the share of all words that each explains",
                {},
                {"topics", "prevalence"},
                [this](const Tensors&, const Rng&) {
                  const Tensor counts = (topics_->eta() - topics_->eta_prior()).sum(1);
                  return Tensors{topic_means(), counts / counts.sum()};
                }};
  Method completion{"completion",
                    "log probability of held words given a document's other words, and how many they are",
                    {"word", "count", "offsets", "held_word", "held_count", "held_offsets"},
                    {"log_prob", "tokens"},
                    [this](const Tensors& in, const Rng&) { return this->completion(in); }};
  Method sample{"sample",
                "documents of the mean length of the training documents",
                {"n"},
                documents,
                [this](const Tensors& in, const Rng& rng) { return this->sample(in[0].item<int64_t>(), rng); },
                {},
                "",
                {"n"}};
  return {encode, topics, completion, sample};
}

std::shared_ptr<Model> create(const LdaOptions& options, const Model::Context& context) {
  return std::make_shared<Lda>(options, context);
}

}  // namespace

void register_lda(Registry& registry) {
  registry.add<Model, LdaOptions>("lda", "topics of bags of words: latent Dirichlet allocation", create,
                                  "train.epochs = 100");
}

}  // namespace vem
