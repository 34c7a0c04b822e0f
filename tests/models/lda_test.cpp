// Latent Dirichlet allocation as a model: golden values, exact evidence, learned priors, methods, recovery of topics.
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/import.h>

#include "support/amortised.h"
#include "support/lda_reference.h"
#include "support/models.h"
#include "support/temporary_folder.h"
#include "vem/core/error.h"
#include "vem/data/corpus.h"
#include "vem/train/exporter.h"

namespace vem {
namespace {

std::string lda(const std::string& options) { return "[model]\nkind = \"lda\"\n" + options; }
const std::string kToConvergence = "precision = \"float64\"\ninner_iterations = 100000\ninner_tolerance = 1e-14\n";

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

// The one M-step by hand: lambda = eta + sums of the dense reference.
TEST(Lda, APassIsTheDenseReferences) {
  const Dataset data = sample_data(Sample::documents);
  const auto model =
      make_model(lda("num_topics = 3\nprecision = \"float64\"\ninner_iterations = 2\ninner_tolerance = 0\n"), data);
  model->initialize(data, Rng(1));
  DenseLda dense{dense_counts(all(data), 12), {}, at::full({3}, 0.1, at::kDouble), false};
  Tensor gamma = dense_start(dense);
  Batch batch = all(data);
  for (int pass = 0; pass < 3; ++pass) {
    const Tensor lambda = model->state().at("model/topic_words.eta") + 1;
    dense.log_beta = at::digamma(lambda) - at::digamma(lambda.sum(1, true));
    const DenseSweep sweep = dense_sweep(dense, dense_sweep(dense, gamma).gamma);
    const Expectation e = model->e_step(batch, Step(), Rng(1));
    EXPECT_NEAR(e.bound.item<double>(), sweep.bound.sum().item<double>(), 1e-10 * std::abs(e.bound.item<double>()));
    model->m_step(e, Step(), Rng(1));
    EXPECT_LE(difference(model->state().at("model/topic_words.eta") + 1, 0.05 + sweep.topics.sum(0)), 1e-10);
    gamma = sweep.gamma;
    batch.local = e.local;
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
    // our sweeps stop where gamma moves by 1e-5 on average, at a rate that leaves some ten times that
    EXPECT_LE(difference(theta, call(*model, "encode", documents(some))[0]), 1e-4) << estimate;
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

// 10 topics, 2,000 documents of 60 words out of 100. From one random start most topics are found: the mean matched
// cosine was 0.86 to 0.90 with the three algorithms.
TEST(Lda, FindsMostTopicsOfSyntheticDocuments) {
  Dataset blank = documents_of_counts(at::ones({1, 100}, at::kDouble));
  const auto truth =
      make_model(lda("num_topics = 10\ndocument_concentration = 0.1\ntopic_concentration = 0.1\n"), blank);
  TensorMap state = copy(truth->state());
  const Tensor weights = Rng(8).gamma(at::full({10, 100}, 0.1, at::kDouble), "truth");
  state["model/topic_words.eta"] = weights / weights.sum(1, true) * 1e6 - 1;
  state["model/documents.mean_length"] = at::scalar_tensor(60., at::kDouble);
  truth->load(state);
  const std::vector<Tensor> drawn = call(*truth, "sample", {at::scalar_tensor(2000, at::kLong)});
  Dataset data;
  data.size = 2000;
  data.schema.item_shape = {100};
  data.columns = {{"word", drawn[0]}, {"count", drawn[1]}};
  data.offsets = drawn[2];
  EXPECT_EQ(data.columns.at("count").sum().item<int64_t>(), 2000 * 60);
  for (const std::string estimate : {"posterior", "cvb0", "gibbs"}) {
    const auto model =
        make_model(lda("num_topics = 10\ntopic_concentration = 0.1\nestimate = \"" + estimate + "\"\n"), data);
    fit(*model, data, passes(estimate == "gibbs" ? 100 : 60), {plugins()});
    EXPECT_GT(matched_cosine(call(*model, "topics")[0], call(*truth, "topics")[0]), 0.85) << estimate;
  }
}

// ---- real documents ----

/// Perplexity of the second halves of the ETM test documents given the first, 50 topics. For comparison: scikit-learn's
/// batch inference reaches 1458 at alpha .1, eta .05, and 1435 at .5, .5; a collapsed sampler 1414.
double newsgroups_perplexity(const std::string& options, int64_t epochs) {
  const std::string stem = shared_data() + "/bow/20ng-etm-";
  const Dataset train = read_corpus(stem + "tr.ldac.gz", {}), seen = read_corpus(stem + "ts_h1.ldac.gz", {}),
                held = read_corpus(stem + "ts_h2.ldac.gz", {});
  const auto model = make_model(lda("num_topics = 50\n" + options), train);
  FitOptions options_of_fit = passes(epochs);
  options_of_fit.seed = 1;
  fit(*model, train, options_of_fit, {plugins()});
  std::vector<Tensor> in = documents(all(seen));
  for (const Tensor& part : documents(all(held))) in.push_back(part);
  const std::vector<Tensor> scored = call(*model, "completion", in);
  return std::exp(-(scored[0].sum() / scored[1].sum()).item<double>());
}

TEST(Lda, CompletesNewsgroups) {
  if (shared_data().empty()) GTEST_SKIP() << "VEM_SHARED_DATA is not set";
  // 1428 and 1401 with this seed. It guards against a regression and says nothing about other seeds: the first settings
  // gave 1456 with another one.
  EXPECT_LE(newsgroups_perplexity("document_concentration = 0.5\ntopic_concentration = 0.5\n", 60), 1435);
  EXPECT_LT(newsgroups_perplexity("estimate = \"cvb0\"\ntopic_concentration = 0.5\n", 40), 1414);
}

}  // namespace
}  // namespace vem
