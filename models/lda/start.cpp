// Legend: D documents, V words, K clusters; a table [V, columns] has a row for each word, padded to whole vectors.
#include "start.h"

#include <cmath>
#include "documents.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

constexpr int64_t kCandidates = 5, kIterations = 10;
constexpr int64_t kFew = 4000, kMany = 20000;  // documents that restarts see, and that refine the best
constexpr double kClusteredWords = 1e6;        // different words in them at most, on average: memory
// Shares of words are mixed with those of the corpus: a word that a cluster lacks does not rule a document out, and
// clusters are told apart by what is frequent in them. A share of .5 found better optima than .1 and .3.
constexpr double kCorpusShare = 0.5;

class Clustering {
 public:
  Clustering(const Batch& batch, int64_t K, int64_t V)
      : documents_(batch),
        K_(K),
        V_(V),
        word_(batch.at("word")),
        item_(batch.row_item()),
        factor_(batch.at("count").to(at::kFloat).contiguous()) {
    const Tensor count = batch.at("count").to(at::kDouble), tokens = batch.per_item(count);
    weight_ = at::where(tokens > 0, batch.weight, at::zeros_like(tokens));
    root_ = (count / tokens.index_select(0, item_)).sqrt().to(at::kFloat).contiguous();
    row_weight_ = count * weight_.index_select(0, item_);
    const Tensor sums = at::bincount(word_, row_weight_, V);
    corpus_ = sums / sums.sum().clamp_min(1e-300);
  }

  /// Sums [K, V] over clusters of one document each.
  Tensor seeds(const Rng& rng) const {
    const Tensor uniform = rng.uniform(at::arange(K_, at::kLong), {kCandidates}, "seed");
    Tensor nearest = at::full({documents_.size()}, kInfinity, at::kDouble), mass = weight_;
    const Tensor counts = at::zeros({K_, V_}, at::kDouble);
    for (int64_t k = 0; k < K_; ++k) {
      const Tensor candidates = draw(mass, uniform[k]);
      const Tensor near = at::minimum(distances(candidates), nearest.unsqueeze(1));  // [D, candidates]
      const int64_t best = (near * weight_.unsqueeze(1)).sum(0).argmin().item<int64_t>();
      nearest = near.select(1, best).contiguous();
      mass = weight_ * nearest;
      const Document document = documents_[candidates[best].item<int64_t>()];
      double* row = counts.data_ptr<double>() + k * V_;
      for (int64_t i = 0; i < document.size; ++i) row[document.word[i]] = document.count[i];
    }
    return counts;
  }

  /// Hard EM from these sums over clusters [K, V]: new ones, and the log-likelihood of the documents.
  std::pair<Tensor, double> fit(Tensor sums) const {
    Tensor labels;
    double log_lik = 0;
    for (int64_t i = 0; i < kIterations; ++i) {
      const auto [best, next] = scores(table(shares(sums).clamp_min(1e-300).log()), factor_).slice(1, 0, K_).max(1);
      log_lik = (best.to(at::kDouble) * weight_).sum().item<double>();
      if (labels.defined() && at::equal(next, labels)) break;
      labels = next;
      const Tensor place = labels.index_select(0, item_) * V_ + word_;
      const Tensor sorted = at::bincount(place, row_weight_, K_ * V_).view({K_, V_});
      sums = at::where(sorted.sum(1, true) > 0, sorted, sums);  // a cluster that has lost its documents stays
    }
    return {sums, log_lik};
  }

  /// Word weights of clusters, and of documents that are told apart by them.
  Tensor shares(const Tensor& sums) const {
    return (1 - kCorpusShare) * sums / sums.sum(1, true).clamp_min(1e-300) + kCorpusShare * corpus_;
  }

 private:
  /// Documents [candidates] drawn with probability in proportion to mass [D]; where none is left, to their weights.
  Tensor draw(const Tensor& mass, const Tensor& uniform) const {
    Tensor edges = mass.cumsum(0);
    if (!(edges[-1].item<double>() > 0)) edges = weight_.cumsum(0);
    return at::searchsorted(edges, uniform * edges[-1], false, true).clamp_max(documents_.size() - 1);
  }

  /// 2 - 2 sum_w sqrt(p_w q_w): squared Hellinger distances [D, candidates] but for a factor.
  Tensor distances(const Tensor& candidates) const {
    const Tensor roots = at::zeros({V_, padded_width<float>(kCandidates)}, at::kFloat);
    for (int64_t j = 0; j < kCandidates; ++j) {
      const Document document = documents_[candidates[j].item<int64_t>()];
      for (int64_t i = 0; i < document.size; ++i)
        roots.data_ptr<float>()[document.word[i] * roots.size(1) + j] =
            static_cast<float>(std::sqrt(document.count[i] / document.tokens));
    }
    return (2 - 2 * scores(roots, root_).slice(1, 0, kCandidates).to(at::kDouble)).clamp_min(0);
  }

  /// [K, V] -> [V, padded K] float32.
  Tensor table(const Tensor& rows) const {
    const Tensor result = at::zeros({V_, padded_width<float>(K_)}, at::kFloat);
    result.slice(1, 0, K_).copy_(rows.t());
    return result;
  }

  /// sum_i factor_i * row of word i over the words of each document: [D, columns of the table].
  Tensor scores(const Tensor& rows, const Tensor& factor) const {
    const int64_t width = rows.size(1);
    const Tensor result = at::zeros({documents_.size(), width}, at::kFloat);
    at::parallel_for(0, documents_.size(), 64, [&](int64_t begin, int64_t end) {
      for (int64_t d = begin; d < end; ++d) {
        const Document document = documents_[d];
        add_words(document.word, factor.data_ptr<float>() + documents_.begin(d), document.size, rows.data_ptr<float>(),
                  width, result.data_ptr<float>() + d * width);
      }
    });
    return result;
  }

  Documents documents_;
  int64_t K_, V_;
  Tensor word_, item_;                 ///< [rows]
  Tensor factor_, root_, row_weight_;  ///< [rows]: count, root of its share in the document, count times weight
  Tensor weight_;                      ///< [D], 0 without words
  Tensor corpus_;                      ///< [V] share of each word
};

/// So many of the documents, or fewer long ones, drawn, in their order; all if there are no more.
Batch some_of(const Dataset& data, int64_t most, const Rng& rng) {
  const double rows = (data.offsets[-1] - data.offsets[0]).item<double>() / static_cast<double>(data.size);
  most = std::min(most, 1 + static_cast<int64_t>(kClusteredWords / std::max(1.0, rows)));
  const Tensor all = at::arange(data.size, at::kLong);
  const Tensor drawn = data.size <= most ? all : std::get<0>(rng.permutation(data.size).slice(0, 0, most).sort());
  return data.batch(drawn, 0, at::kFloat);
}

}  // namespace

Tensor cluster_documents(const Dataset& documents, int64_t num_clusters, int64_t restarts, const Rng& rng) {
  const at::NoGradGuard no_grad;
  const int64_t V = documents.schema.num_features();
  const Clustering few(some_of(documents, kFew, rng.fold("few")), num_clusters, V);
  std::pair<Tensor, double> best;
  for (int64_t r = 0; r < restarts; ++r) {
    auto found = few.fit(few.seeds(rng.fold(static_cast<uint64_t>(r))));
    if (!best.first.defined() || found.second > best.second) best = std::move(found);
  }
  const Clustering many(some_of(documents, kMany, rng.fold("many")), num_clusters, V);
  return many.shares(many.fit(best.first).first);
}

}  // namespace vem
