// Counts of words that occur together.
#include "vem/infer/topics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "vem/dist/counts.h"
#include "vem/infer/assignment.h"

namespace vem {

Tensor top_words(const Tensor& topics, int64_t num_words) {
  return std::get<1>(topics.sort(true, 1, true)).slice(1, 0, num_words).contiguous();
}

namespace {

/// Documents that have each of some words, and each pair of them.
class CoOccurrence {
 public:
  CoOccurrence(const Tensor& words, const Batch& documents) : documents_(static_cast<double>(documents.size())) {
    const Tensor flat = words.reshape({-1}).contiguous();
    for (int64_t i = 0; i < flat.numel(); ++i) place_.emplace(flat.data_ptr<int64_t>()[i], place_.size());
    together_.resize(place_.size() * place_.size());
    count(documents);
  }
  double documents() const { return documents_; }
  double operator()(int64_t v, int64_t w) const { return together_[place_.at(v) * place_.size() + place_.at(w)]; }
  double operator()(int64_t v) const { return (*this)(v, v); }

 private:
  void count(const Batch& documents) {
    const Tensor word = documents.at("word").to(at::kLong).contiguous(), offsets = documents.offsets.contiguous();
    const int64_t *w = word.data_ptr<int64_t>(), *offset = offsets.data_ptr<int64_t>();
    std::vector<size_t> here;
    for (int64_t d = 0; d < documents.size(); ++d) {
      here.clear();
      for (int64_t i = offset[d]; i < offset[d + 1]; ++i)
        if (const auto found = place_.find(w[i]); found != place_.end()) here.push_back(found->second);
      for (const size_t a : here)
        for (const size_t b : here) together_[a * place_.size() + b] += 1;
    }
  }

  double documents_;
  std::unordered_map<int64_t, size_t> place_;
  std::vector<double> together_;
};

}  // namespace

Coherence coherence(const Tensor& words, const Batch& documents) {
  constexpr double kNever = 1e-12;
  const CoOccurrence in(words, documents);
  const double N = in.documents();
  const int64_t K = words.size(0), M = words.size(1);
  const int64_t* w = words.data_ptr<int64_t>();
  Tensor sums = at::zeros({3, K}, at::kDouble), pairs = at::zeros({K}, at::kDouble);
  for (int64_t k = 0; k < K; ++k)
    for (int64_t i = 1; i < M; ++i)
      for (int64_t j = 0; j < i; ++j) {
        const int64_t v = w[k * M + i], u = w[k * M + j];
        if (in(v) == 0 || in(u) == 0) continue;
        const double both = in(v, u), p = both / N + kNever, pmi = std::log(p * N * N / (in(v)*in(u)));
        sums[0][k] += std::log((both + 1) / in(u));
        sums[1][k] += pmi;
        sums[2][k] += both == 0 ? -1 : both == N ? 1 : pmi / -std::log(p);
        pairs[k] += 1;
      }
  const Tensor mean = sums / pairs;
  return {mean[0], mean[1], mean[2]};
}

double topic_diversity(const Tensor& words) {
  const Tensor sorted = std::get<0>(words.reshape({-1}).sort());
  const int64_t n = sorted.numel();
  const int64_t different = 1 + (sorted.slice(0, 1) != sorted.slice(0, 0, n - 1)).sum().item<int64_t>();
  return static_cast<double>(different) / static_cast<double>(n);
}

TopicMatch match_topics(const Tensor& a, const Tensor& b) {
  // A topic may have none of the words: of another vocabulary, say. Then it is like no other.
  const auto unit = [](const Tensor& x) { return x / x.norm(2, {1}, true).clamp_min(1e-300); };
  const Tensor cosines = at::matmul(unit(a), unit(b).t());
  TopicMatch match{assignment(-cosines), {}};
  for (size_t k = 0; k < match.partner.size(); ++k)
    match.cosine.push_back(cosines[static_cast<int64_t>(k)][match.partner[k]].item<double>());
  return match;
}

namespace {

// A document of more tokens is split without listing them.
constexpr int64_t kListed = int64_t{1} << 20;

/// Rows of one half, document by document.
struct WordRows {
  std::vector<int32_t> word, count;
  std::vector<int64_t> offsets{0};

  void add(int32_t w, int64_t c) {
    if (c > 0) word.push_back(w), count.push_back(static_cast<int32_t>(c));
  }
  void finish() { offsets.push_back(static_cast<int64_t>(word.size())); }
  Batch batch(const Batch& like) const {
    Batch half = like;
    half.columns = {{"word", at::tensor(word, at::kInt)}, {"count", at::tensor(count, at::kInt)}};
    half.offsets = at::tensor(offsets, at::kLong);
    half.local.clear();
    return half;
  }
};

/// How many of the tokens of each row are seen: the first half of all tokens in a random order.
std::vector<int64_t> seen_of_listed(const int32_t* count, int64_t rows, int64_t tokens, const Tensor& item,
                                    const Rng& rng) {
  std::vector<int64_t> row_of, seen(static_cast<size_t>(rows)), order(static_cast<size_t>(tokens));
  for (int64_t i = 0; i < rows; ++i) row_of.insert(row_of.end(), static_cast<size_t>(count[i]), i);
  const Tensor u = rng.uniform(item, {tokens}, "halves").squeeze(0).contiguous();
  const double* key = u.data_ptr<double>();
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return key[a] < key[b]; });
  for (int64_t i = 0; i < tokens - tokens / 2; ++i) ++seen[static_cast<size_t>(row_of[static_cast<size_t>(order[i])])];
  return seen;
}

/// The same distribution, row by row: of the tokens that are left, those of this row that are seen.
std::vector<int64_t> seen_of_counts(const int32_t* count, int64_t rows, int64_t tokens, const Tensor& item,
                                    const Rng& rng) {
  const Tensor u = rng.uniform(item, {rows}, "halves of counts").squeeze(0).contiguous();
  std::vector<int64_t> seen;
  int64_t left = tokens, left_seen = tokens - tokens / 2;
  for (int64_t i = 0; i < rows; ++i) {
    seen.push_back(hypergeometric(u.data_ptr<double>()[i], count[i], left, left_seen));
    left -= count[i];
    left_seen -= seen.back();
  }
  return seen;
}

}  // namespace

Halves halves_of(const Batch& documents, const Rng& rng) {
  const Tensor word = documents.at("word").contiguous(), count = documents.at("count").contiguous();
  const int64_t* offset = documents.offsets.data_ptr<int64_t>();
  WordRows seen, held;
  for (int64_t d = 0; d < documents.size(); ++d) {
    const int32_t* w = word.data_ptr<int32_t>() + offset[d];
    const int32_t* c = count.data_ptr<int32_t>() + offset[d];
    const int64_t rows = offset[d + 1] - offset[d], tokens = std::accumulate(c, c + rows, int64_t{0});
    const auto draw = tokens > kListed ? seen_of_counts : seen_of_listed;
    const std::vector<int64_t> drawn = draw(c, rows, tokens, documents.index.slice(0, d, d + 1), rng);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t of_row = drawn[static_cast<size_t>(i)];
      seen.add(w[i], of_row);
      held.add(w[i], c[i] - of_row);
    }
    seen.finish();
    held.finish();
  }
  return {seen.batch(documents), held.batch(documents)};
}

}  // namespace vem
