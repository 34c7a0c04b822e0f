// What a topic model offers beside its fit: proportions of documents, topics, document completion, synthetic documents.
#include "lda.h"

#include "vem/core/error.h"
#include "vem/dist/counts.h"
#include "vem/dist/dirichlet.h"
#include "vem/infer/torchscript_library.h"

namespace vem {
namespace {

using Tensors = std::vector<Tensor>;
const std::vector<std::string> kDocuments{"word", "count", "offsets"};

/// Documents as methods take them.
Batch documents_of(const Tensor& word, const Tensor& count, const Tensor& offsets) {
  Batch batch;
  batch.columns = {{"word", word.to(at::kInt)}, {"count", count.to(at::kInt)}};
  batch.offsets = offsets;
  batch.index = at::arange(offsets.size(0) - 1, at::kLong);
  batch.weight = at::ones({offsets.size(0) - 1}, at::kDouble);
  return batch;
}

/// Words at the uniform numbers u [tokens] of running weights `edges` [V]: add(word, how often), in ascending order.
template <class Add>
void each_run(const Tensor& edges, const Tensor& u, const Add& add) {
  const Tensor at_edges = (u * edges[-1]).contiguous();
  const Tensor drawn = std::get<0>(at::searchsorted(edges, at_edges).clamp_max(edges.size(0) - 1).sort());
  const int64_t *word = drawn.data_ptr<int64_t>(), *const end = word + drawn.numel();
  while (word < end) {
    const int64_t* const next = std::upper_bound(word, end, *word);
    add(*word, next - word);
    word = next;
  }
}

/// The same for `tokens` words without a list of them, from one uniform number a word of the vocabulary.
template <class Add>
void each_count(const Tensor& weights, int64_t tokens, const Tensor& u, const Add& add) {
  const Tensor left_weight = weights.flip(0).cumsum(0).flip(0).contiguous(), numbers = u.contiguous();
  for (int64_t v = 0; v < weights.size(0) && tokens > 0; ++v) {
    const double p = weights.data_ptr<double>()[v] / left_weight.data_ptr<double>()[v];
    const int64_t count = binomial(numbers.data_ptr<double>()[v], tokens, p);
    add(v, count);
    tokens -= count;
  }
}

}  // namespace

Tensor Lda::topic_means() const {
  if (options_.estimate == LdaEstimate::cvb0) return topics_->t().detach().exp();
  const Tensor counts = topics_->eta() + 1;
  return counts / counts.sum(1, true);
}

LdaExpectation Lda::infer(const Batch& batch) const {
  return LdaKernel(log_topics(), alpha(), at::kDouble)
      .expect(batch, {}, log_norm(), {update(), options_.held_out_iterations, options_.held_out_tolerance, false});
}

Tensor Lda::proportions(const Tensors& in) const {
  if (torchscript::recording())
    return torchscript::topic_proportions(in[0], in[1], in[2], log_topics(), alpha(), posterior(),
                                          options_.held_out_iterations, options_.held_out_tolerance);
  const Batch batch = documents_of(in[0], in[1], in[2]);
  require_documents(batch);
  const Tensor gamma = infer(batch).gamma.to(at::kDouble);
  return gamma / gamma.sum(1, true);
}

/// log p of the second halves given the first: sum_w c_w log sum_k E[theta_k] E[beta_kw].
std::vector<Tensor> Lda::complete(const std::vector<Tensor>& in) const {
  const Tensor theta = proportions(in);
  const Batch held = documents_of(in[3], in[4], in[5]);
  require_documents(held);
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
std::vector<Tensor> Lda::draw(int64_t n, const Rng& rng) const {
  const Tensor beta = topic_means();
  const auto length = static_cast<int64_t>(std::llround(fixed_->get("documents.mean_length").item<double>()));
  const Tensor theta = log_dirichlet_draw(alpha().expand({n, K()}), rng, "theta").exp();
  std::vector<int32_t> words, counts;
  std::vector<int64_t> offsets{0};
  constexpr int64_t kListed = int64_t{1} << 20;  // words of longer documents are drawn as counts
  for (int64_t d = 0; d < n; ++d) {
    const Tensor weights = at::matmul(theta[d], beta), index = at::full({1}, d, at::kLong);
    const auto add = [&](int64_t word, int64_t count) {
      if (count > std::numeric_limits<int32_t>::max())
        fail<DataError>("lda: a document of the mean length, {} words, has more of one than 2^31", length);
      if (count > 0) words.push_back(static_cast<int32_t>(word)), counts.push_back(static_cast<int32_t>(count));
    };
    if (length > kListed)
      each_count(weights.contiguous(), length, rng.uniform(index, {V()}, "words of counts").squeeze(0), add);
    else
      each_run(weights.cumsum(0), rng.uniform(index, {length}, "word").squeeze(0), add);
    offsets.push_back(static_cast<int64_t>(words.size()));
  }
  return {at::tensor(words, at::kInt), at::tensor(counts, at::kInt), at::tensor(offsets, at::kLong)};
}

Method Lda::encode() const {
  Method method{"encode",
                "expected topic weights of each document",
                kDocuments,
                {"proportions"},
                [this](const Tensors& in, const Rng&) { return Tensors{proportions(in)}; }};
  method.example = {at::zeros({2}, at::kInt), at::ones({2}, at::kDouble), at::tensor({0, 2}, at::kLong)};
  return method;
}

Method Lda::topics() const {
  return {"topics",
          "word weights of each topic, and the share of all words that each explains",
          {},
          {"topics", "prevalence"},
          [this](const Tensors&, const Rng&) {
            const Tensor counts = (topics_->eta() - topics_->eta_prior()).sum(1);
            return Tensors{topic_means(), counts / counts.sum()};
          }};
}

Method Lda::completion() const {
  return {"completion",
          "log probability of held words given a document's other words, and how many they are",
          {"word", "count", "offsets", "held_word", "held_count", "held_offsets"},
          {"log_prob", "tokens"},
          [this](const Tensors& in, const Rng&) { return complete(in); }};
}

Method Lda::sample() const {
  Method method{"sample",
                "documents of the mean length of the training documents",
                {"n"},
                kDocuments,
                [this](const Tensors& in, const Rng& rng) { return draw(in[0].item<int64_t>(), rng); }};
  method.integers = {"n"};
  return method;
}

std::vector<Method> Lda::methods() const { return {encode(), topics(), completion(), sample()}; }

}  // namespace vem
