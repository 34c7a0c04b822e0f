// Latent Dirichlet allocation as a model: golden values, exact evidence, learned priors, methods, recovery of topics.
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/import.h>

#include "../models/lda/kernel.h"
#include "support/amortised.h"
#include "support/lda_reference.h"
#include "support/long_tests.h"
#include "support/models.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/data/corpus.h"
#include "vem/dist/dirichlet_concentration.h"
#include "vem/train/exporter.h"

namespace vem {
namespace lda_test {

std::string lda(const std::string& options) { return "[model]\nkind = \"lda\"\n" + options; }
const std::string kToConvergence = "precision = \"float64\"\ninner_iterations = 100000\ninner_tolerance = 1e-14\n";

Step held_out() {
  Step step;
  step.training = false;
  return step;
}

Batch all(const Dataset& data) { return data.batch(at::arange(data.size, at::kLong), 0, at::kDouble); }

std::vector<Tensor> call(const Model& model, const std::string& name, const std::vector<Tensor>& in = {}) {
  const std::vector<Method> methods = model.methods();
  return Model::find(methods, name)->call(in, Rng(3));
}

std::vector<Tensor> documents(const Batch& batch) { return {batch.at("word"), batch.at("count"), batch.offsets}; }

FitOptions passes(int64_t epochs) {
  FitOptions options;
  options.epochs = epochs;
  options.tolerance = 0;
  options.seed = 2;
  return options;
}

// Values of an independent program, to the digits that it printed: a document of one occurrence of word 0.
TEST(Lda, GoldenDocument) {
  Tensor counts = at::zeros({1, 6}, at::kDouble);
  counts[0][0] = 1;
  const Dataset data = documents_of_counts(counts);
  const auto model = make_model(
      lda("num_topics = 2\ndocument_concentration = 0.01\ntopic_concentration = 0.01\n" + kToConvergence), data);
  const Tensor lambda = at::tensor({1.86738052, 1.94056535, 1.89981687, .0833265, .07405918, .07940597, .15081551,
                                    .08637973, .12428538, 1.9474897, 1.94615165, 1.95204124},
                                   at::kDouble)
                            .view({2, 6});
  TensorMap state = copy(model->state());
  state["model/topic_words.eta"] = lambda - 1;
  state["model/topic_words.t"] = at::digamma(lambda) - at::digamma(lambda.sum(1, true));
  model->load(state);
  const Expectation e = model->e_step(all(data), Step(), Rng(0));
  EXPECT_NEAR(e.bound.item<double>(), -2.0556649968, 1e-10);  // as printed
  EXPECT_NEAR(model->kl_global().item<double>(), 23.9150310579, 1e-10);
  EXPECT_NEAR((e.bound - model->kl_global()).item<double>(), -25.9706960547, 2e-10);
}

// p(w) = B(eta + n) / B(eta): with one topic there is nothing left to approximate.
TEST(Lda, OneTopicsBoundIsTheExactEvidence) {
  const Dataset data = sample_data(Sample::documents);
  const auto model = make_model(lda("num_topics = 1\ntopic_concentration = 0.3\n" + kToConvergence), data);
  const FitResult result = fit(*model, data, passes(2), {plugins()});
  const Tensor n = dense_counts(all(data), 12).sum(0), eta = at::full({12}, 0.3, at::kDouble);
  const auto log_beta = [](const Tensor& a) { return (at::lgamma(a).sum() - at::lgamma(a.sum())).item<double>(); };
  const double exact = log_beta(eta + n) - log_beta(eta);
  EXPECT_NEAR(result.bounds.back(), exact, 1e-11 * std::abs(exact));
  EXPECT_NEAR(result.after.back(), exact, 1e-11 * std::abs(exact));
}

/// E[log beta], or the log of the mode, of topics with natural parameters eta [K, V].
Tensor dense_log_beta(const Tensor& eta, bool collapsed) {
  if (collapsed) return (eta / eta.sum(1, true)).log();
  return at::digamma(eta + 1) - at::digamma((eta + 1).sum(1, true));
}

struct Regime {
  const char* name;
  int64_t batch_size;
  bool memoised;
};

/// Three passes written out with dense tensors, two sweeps from where the last pass left gamma; returns eta.
Tensor dense_passes(const Dataset& data, const Regime& regime, bool collapsed, Tensor eta) {
  const double prior = collapsed ? 0.05 : 0.05 - 1;
  const int64_t N = data.size, size = regime.batch_size > 0 ? regime.batch_size : N, batches = (N + size - 1) / size;
  DenseLda dense{dense_counts(all(data), 12), {}, at::full({3}, 0.1, at::kDouble), collapsed};
  const Tensor counts = dense.counts, gamma = dense_start(dense);
  std::vector<Tensor> cache(static_cast<size_t>(batches));
  for (int64_t update = 0; update < 3 * batches; ++update) {
    const int64_t b = update % batches, begin = b * size, end = std::min(N, begin + size);
    dense.counts = counts.slice(0, begin, end);
    dense.log_beta = dense_log_beta(eta, collapsed);
    const DenseSweep sweep = dense_sweep(dense, dense_sweep(dense, gamma.slice(0, begin, end)).gamma);
    gamma.slice(0, begin, end).copy_(sweep.gamma);
    Tensor& sums = cache[static_cast<size_t>(b)];
    sums = sweep.topics.sum(0);
    if (!regime.memoised) {
      const double rho = batches == 1 ? 1 : std::pow(update + 1., -0.7);
      const auto scale = static_cast<double>(N) / static_cast<double>(end - begin);
      eta = (1 - rho) * eta + rho * (prior + scale * sums);
    } else if (update >= batches - 1) {  // the first pass only fills the cache
      eta = at::full_like(eta, prior);
      for (const Tensor& part : cache) eta = eta + part;
    }
  }
  return eta;
}

// Rounding of sums of some hundred numbers, over up to nine M-steps.
TEST(Lda, EveryRegimeIsTheDenseReferences) {
  const Dataset data = sample_data(Sample::documents);
  for (const Regime& regime : {Regime{"batch", 0, false}, {"stochastic", 25, false}, {"memoised", 25, true}})
    for (const bool collapsed : {false, true}) {
      const auto model = make_model(lda("num_topics = 3\nprecision = \"float64\"\ninner_iterations = 2\n"
                                        "inner_tolerance = 0\nestimate = \"") +
                                        (collapsed ? "cvb0" : "posterior") + "\"\n",
                                    data);
      FitOptions options = passes(3);
      options.batch_size = regime.batch_size;
      options.memoised = regime.memoised;
      options.shuffle = false;
      model->initialize(data, Rng(options.seed).fold("initialize"));  // as fit() does
      const Tensor start = copy(model->state()).at("model/topic_words.eta");
      fit(*model, data, options, {plugins()});
      const Tensor dense = dense_passes(data, regime, collapsed, start);
      EXPECT_LE(difference(model->state().at("model/topic_words.eta"), dense), 1e-10) << regime.name << collapsed;
    }
}

// Of the bound as a function of alpha, and of eta, with q as it is: no point of a grid around the optimum is better.
TEST(Lda, LearnedPriorsAreTheBestOfAGrid) {
  const Dataset data = sample_data(Sample::documents);
  const auto model = make_model(
      lda("num_topics = 3\nlearn_topic_prior = true\nlearn_document_prior = \"vector\"\nprecision = \"float64\"\n"),
      data);
  fit(*model, data, passes(20), {plugins()});
  const Expectation e = model->e_step(all(data), Step(), Rng(0));
  const Tensor log_beta = copy(model->state()).at("model/topic_words.t"), sums = e.sums.at("document_prior.t")[0];
  model->m_step(e, Step(), Rng(0));
  const TensorMap state = model->state();
  // sum_d E[log Dirichlet(theta_d; alpha)] and the same of topics; sums[3] is minus the number of documents
  const auto of_alpha = [&](const Tensor& a) {
    return ((sums.slice(0, 0, 3) * (a - 1)).sum() + sums[3] * (at::lgamma(a).sum() - at::lgamma(a.sum())))
        .item<double>();
  };
  const auto of_eta = [&](double eta) {
    return (eta - 1) * log_beta.sum().item<double>() + 3 * (std::lgamma(12 * eta) - 12 * std::lgamma(eta));
  };
  const Tensor alpha = state.at("model/document_prior.t").detach()[0].slice(0, 0, 3);
  const double eta = state.at("model/topic_words.eta_prior")[0][0].item<double>() + 1;
  for (const double factor : {0.5, 0.9, 0.99, 1.01, 1.1, 2.}) {
    EXPECT_LT(of_eta(factor * eta), of_eta(eta)) << factor;
    for (int64_t k = 0; k < 3; ++k) {
      Tensor moved = alpha.clone();
      moved[k] *= factor;
      EXPECT_LT(of_alpha(moved), of_alpha(alpha)) << factor << k;
    }
  }
}

// With q as the E-step left it, the bound's own gradient in a learned prior vanishes after the M-step. (The family's
// test looks at a grid around it.)
TEST(Lda, LearnedPriorsAreWhereTheBoundIsFlat) {
  const Dataset data = sample_data(Sample::documents);
  for (const std::string learn : {"scalar", "vector"}) {
    const auto model = make_model(lda("num_topics = 3\nlearn_topic_prior = true\nlearn_document_prior = \"" + learn +
                                      "\"\nprecision = \"float64\"\n"),
                                  data);
    fit(*model, data, passes(20), {plugins()});
    const Expectation e = model->e_step(all(data), Step(), Rng(0));
    const Tensor log_beta = copy(model->state()).at("model/topic_words.t");
    model->m_step(e, Step(), Rng(0));
    const TensorMap state = model->state();
    const Tensor alpha = state.at("model/document_prior.t").detach()[0].slice(0, 0, 3);
    const Tensor sums = e.sums.at("document_prior.t")[0];
    const Tensor slope = sums.slice(0, 0, 3) - sums[3] * (at::digamma(alpha.sum()) - at::digamma(alpha));
    EXPECT_LE((learn == "vector" ? (alpha * slope).abs().max() : (alpha * slope).sum().abs()).item<double>(), 1e-6);
    EXPECT_EQ(learn == "scalar", alpha.max().item<double>() == alpha.min().item<double>());
    const Tensor eta = state.at("model/topic_words.eta_prior")[0][0] + 1;
    const Tensor eta_slope = log_beta.sum() + 3 * 12 * (at::digamma(12 * eta) - at::digamma(eta));
    EXPECT_LE((eta * eta_slope).abs().item<double>(), 1e-6);
  }
}

// A few sweeps from where the last pass left gamma never lower the bound.
TEST(Lda, StoredGammaKeepsShortEStepsMonotone) {
  const Dataset data = sample_data(Sample::documents);
  for (const std::string estimate : {"posterior", "cvb0"})
    for (const bool memoised : {false, true}) {
      const auto model = make_model(
          lda("num_topics = 3\nprecision = \"float64\"\ninner_iterations = 1\nestimate = \"" + estimate + "\"\n"),
          data);
      FitOptions options = passes(200);
      options.memoised = memoised;
      options.batch_size = memoised ? 7 : 0;
      const FitResult result = fit(*model, data, options, {plugins()});
      const std::vector<double>& bounds = memoised ? result.after : result.bounds;
      for (size_t i = 1; i < bounds.size(); ++i)
        ASSERT_GE(bounds[i] - bounds[i - 1], -1e-10 * std::abs(bounds[i])) << estimate << memoised << i;
    }
}

class Warnings final : public Callback {
 public:
  void on_warning(const std::string& text) override { texts.push_back(text); }
  std::vector<std::string> texts;
};

TEST(Lda, BoundsThatMayFallNeitherWarnNorStopARun) {
  const Dataset data = sample_data(Sample::documents);
  for (const std::string options : {"estimate = \"gibbs\"\n", "gamma_start = \"fresh\"\ninner_iterations = 1\n"}) {
    const auto model = make_model(lda("num_topics = 3\n" + options), data);
    FitOptions o = passes(40);
    o.tolerance = 1e-3;
    Warnings warnings;
    const FitResult result = fit(*model, data, o, {plugins(), nullptr, nullptr, {&warnings}});
    EXPECT_EQ(result.epoch, 40);
    EXPECT_TRUE(warnings.texts.empty());
  }
}

// ---- methods ----

std::shared_ptr<Model> fitted(const Dataset& data, const std::string& options) {
  const auto model = make_model(lda("num_topics = 3\nprecision = \"float64\"\n" + options), data);
  fit(*model, data, passes(30), {plugins()});
  return model;
}

TEST(Lda, MethodsAgreeWithTheDenseFormulas) {
  const Dataset data = sample_data(Sample::documents);
  const Batch batch = all(data);
  for (const std::string estimate : {"posterior", "cvb0", "gibbs"}) {
    const auto model = fitted(data, "estimate = \"" + estimate + "\"\n");
    const std::vector<Tensor> topics = call(*model, "topics");
    EXPECT_LE(difference(topics[0].sum(1), at::ones({3}, at::kDouble)), 1e-12);
    EXPECT_NEAR(topics[1].sum().item<double>(), 1, 1e-12);
    const Tensor theta = call(*model, "encode", documents(batch))[0];
    EXPECT_LE(difference(theta.sum(1), at::ones({60}, at::kDouble)), 1e-12);
    std::vector<Tensor> in = documents(batch);
    for (const Tensor& held : documents(batch)) in.push_back(held);
    const std::vector<Tensor> scored = call(*model, "completion", in);
    const Tensor counts = dense_counts(batch, 12);
    EXPECT_LE(difference(scored[0], (counts * at::matmul(theta, topics[0]).log()).sum(1)), 1e-10);
    EXPECT_EQ(difference(scored[1], counts.sum(1)), 0);
  }
}

TEST(Lda, TheExportedFileInfersTheSameProportions) {
  const Dataset data = sample_data(Sample::documents);
  const Batch some = data.batch(at::arange(7, 24, at::kLong), 0, at::kDouble);
  for (const std::string estimate : {"posterior", "cvb0", "gibbs"}) {
    const auto model = fitted(data, "estimate = \"" + estimate + "\"\n");
    const TemporaryFolder folder;
    export_torchscript(*model, "", folder.file("lda.pt"));
    auto file = torch::jit::load(folder.file("lda.pt"));
    const Tensor theta = file.get_method("encode")({some.at("word"), some.at("count"), some.offsets}).toTensor();
    EXPECT_LE(difference(theta, call(*model, "encode", documents(some))[0]), 1e-9) << estimate;
    for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kLong, at::kByte}) {
      const Tensor same = file.get_method("encode")({some.at("word").to(type), some.at("count").to(type),
                                                     some.offsets.to(type == at::kByte ? at::kInt : type)})
                              .toTensor();
      EXPECT_EQ(difference(same, theta), 0) << type;
    }
    EXPECT_LE(difference(file.get_method("topics")({}).toTuple()->elements()[0].toTensor(), call(*model, "topics")[0]),
              1e-12);
  }
}

TEST(Lda, WrongInputIsNamed) {
  const Dataset data = sample_data(Sample::documents), blobs = sample_data(Sample::blobs);
  const auto model = make_model(lda("num_topics = 2\n"), data);
  EXPECT_THROW(model->initialize(blobs, Rng(0)), DataError);
  Dataset wrong = data;
  wrong.columns["word"] = data.columns.at("word") + 1;
  EXPECT_EQ(message_of<DataError>([&] { model->initialize(wrong, Rng(0)); }),
            "lda: word 12 is out of range: there are 12");
  Dataset empty = documents_of_counts(at::zeros({3, 12}, at::kDouble));
  EXPECT_EQ(message_of<DataError>([&] { model->initialize(empty, Rng(0)); }),
            "lda: the training documents have no words of any weight");
  EXPECT_THROW(make_model(lda("num_topics = 2\n"), sample_data(Sample::images)), DataError);
  EXPECT_THROW(make_model(lda("estimate = \"cvb0\"\nlearn_topic_prior = true\n"), data), ConfigError);
}

// ---- recovery ----

/// The mean cosine of topics with their partners in the best one-to-one match, found greedily.
double matched_cosine(Tensor a, Tensor b) {
  a = a / a.norm(2, {1}, true);
  b = b / b.norm(2, {1}, true);
  Tensor cosines = at::matmul(a, b.t());
  double sum = 0;
  for (int64_t k = 0; k < a.size(0); ++k) {
    const int64_t place = cosines.argmax().item<int64_t>(), row = place / b.size(0), column = place % b.size(0);
    sum += cosines[row][column].item<double>();
    cosines[row].fill_(-1);
    cosines.select(1, column).fill_(-1);
  }
  return sum / static_cast<double>(a.size(0));
}

struct Synthetic {
  Tensor topics;
  Dataset documents;
};

/// 10 topics, 2,000 documents of 60 words out of 100.
Synthetic synthetic_documents(uint64_t seed) {
  const Dataset blank = documents_of_counts(at::ones({1, 100}, at::kDouble));
  const auto truth = make_model(lda("num_topics = 10\n"), blank);
  TensorMap state = copy(truth->state());
  const Tensor weights = Rng(seed).gamma(at::full({10, 100}, 0.1, at::kDouble), "truth");
  state["model/topic_words.eta"] = weights / weights.sum(1, true) * 1e6 - 1;
  state["model/documents.mean_length"] = at::scalar_tensor(60., at::kDouble);
  truth->load(state);
  const std::vector<Tensor> drawn = call(*truth, "sample", {at::scalar_tensor(2000, at::kLong)});
  Dataset data;
  data.size = 2000;
  data.schema.item_shape = {100};
  data.columns = {{"word", drawn[0]}, {"count", drawn[1]}};
  data.offsets = drawn[2];
  return {call(*truth, "topics")[0], data};
}

// Told apart by 12,000 words each, the topics of the best fit have a cosine of .999; where two are merged and one is
// split, the mean is about .9.
TEST(Lda, RecoversTheTopicsOfSyntheticDocuments) {
  for (int corpus = 8; corpus < 10 + (long_tests() ? 8 : 0); ++corpus) {
    const Synthetic made = synthetic_documents(static_cast<uint64_t>(corpus));
    EXPECT_EQ(made.documents.columns.at("count").sum().item<int64_t>(), 2000 * 60);
    for (const std::string estimate : {"posterior", "cvb0", "gibbs"}) {
      double best = -kInfinity, cosine = 0;
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        const auto model = make_model(
            lda("num_topics = 10\ntopic_concentration = 0.1\nestimate = \"" + estimate + "\"\n"), made.documents);
        FitOptions options = passes(estimate == "gibbs" ? 40 : 30);
        options.seed = seed;
        const double bound = fit(*model, made.documents, options, {plugins()}).bounds.back();
        if (bound > best) best = bound, cosine = matched_cosine(call(*model, "topics")[0], made.topics);
      }
      EXPECT_GT(cosine, 0.97) << estimate << corpus;
    }
  }
}

// ---- real documents ----

/// Perplexity of the second halves of the ETM test documents given the first, 50 topics.
double newsgroups_perplexity(const Dataset& train, const std::string& options, int64_t epochs) {
  const std::string stem = shared_data() + "/bow/20ng-etm-";
  const Dataset seen = read_corpus(stem + "ts_h1.ldac.gz", {}), held = read_corpus(stem + "ts_h2.ldac.gz", {});
  const auto model = make_model(lda("num_topics = 50\n" + options), train);
  FitOptions options_of_fit = passes(epochs);
  fit(*model, train, options_of_fit, {plugins()});
  std::vector<Tensor> in = documents(all(seen));
  for (const Tensor& part : documents(all(held))) in.push_back(part);
  const std::vector<Tensor> scored = call(*model, "completion", in);
  return std::exp(-(scored[0].sum() / scored[1].sum()).item<double>());
}

// The bars are scikit-learn's batch inference at these priors, and a collapsed sampler. One seed here; experiments/lda
// has several.
TEST(Lda, CompletesNewsgroups) {
  if (shared_data().empty()) GTEST_SKIP() << "VEM_SHARED_DATA is not set";
  const Dataset train = read_corpus(shared_data() + "/bow/20ng-etm-tr.ldac.gz", {});
  EXPECT_LE(newsgroups_perplexity(train, "document_concentration = 0.1\ntopic_concentration = 0.05\n", 10), 1458);
  EXPECT_LE(newsgroups_perplexity(train, "document_concentration = 0.5\ntopic_concentration = 0.5\n", 10), 1435);
  EXPECT_LT(newsgroups_perplexity(train, "estimate = \"cvb0\"\ntopic_concentration = 0.1\n", 10), 1414);
}

// Held-out documents of topics that are nearly the same take thousands of sweeps: a bound at 1e-5 or 200 sweeps lies
// well below that of the fixed point, which the kernel finds to the last digit.
TEST(Lda, HeldOutBoundsAreThoseOfTheFixedPoint) {
  Dataset data = sample_data(Sample::documents);
  data.columns["count"] = data.columns["count"] * 100;
  const auto model = make_model(lda("num_topics = 4\n"), data);
  TensorMap state = copy(model->state());
  const Tensor lambda = 50 + Rng(5).normal(at::arange(4, at::kLong), {12}, "topics");
  state["model/topic_words.eta"] = lambda - 1;
  state["model/topic_words.t"] = at::digamma(lambda) - at::digamma(lambda.sum(1, true));
  model->load(state);
  const Expectation e = model->e_step(all(data), held_out(), Rng(0));
  const Tensor alpha = at::full({4}, 0.1, at::kDouble);
  const LdaKernel kernel(state["model/topic_words.t"], alpha, at::kDouble);
  const double log_norm = DirichletConcentration::point(alpha)[0][4].item<double>();
  const LdaExpectation fixed = kernel.expect(all(data), {}, log_norm, {LdaUpdate::variational, 200000, 1e-13, false});
  const LdaExpectation cut = kernel.expect(all(data), {}, log_norm, {LdaUpdate::variational, 200, 1e-5, false});
  const double documents = e.count.item<double>();
  EXPECT_LT((cut.bound - fixed.bound).item<double>() / documents, -1e-4);
  EXPECT_NEAR((e.bound - fixed.bound).item<double>() / documents, 0, 1e-7);
}

}  // namespace lda_test
}  // namespace vem
