// Uncollapsed Gibbs sampling of documents: topics of words given theta and beta, then theta given them.
#include <cmath>

#include "documents.h"
#include "vem/dist/counts.h"

namespace vem {
namespace {

// The topics of the tokens of a longer document are drawn as counts.
constexpr double kListed = 1 << 20;

/// One sweep over one document after the other; buffers are kept from one to the next.
class DocumentDraw {
 public:
  DocumentDraw(const Tensor& alpha, const Tensor& rows, const Tensor& largest, const Rng& rng)
      : alpha_(alpha), rows_(rows), largest_(largest), rng_(rng), edges_(static_cast<size_t>(alpha.size(0))) {}

  /// New weights [K] of the topics, given the old ones `theta`; counts of topics are added to `sums`.
  Tensor run(const Document& document, int64_t item, const double* theta, DocumentSums& sums) {
    const bool listed = document.tokens <= kListed;
    const Tensor index = at::full({1}, item, at::kLong);
    const Tensor u = listed ? rng_.uniform(index, {static_cast<int64_t>(document.tokens)}, "topic")
                            : rng_.uniform(index, {document.size, alpha_.size(0)}, "topics of counts");
    const Tensor counts = alpha_.clone();
    const double* next = u.data_ptr<double>();
    for (int64_t i = 0; i < document.size; ++i) {
      const int64_t word = document.word[i];
      const double sum = set_edges(theta, word);
      sums.bound += document.weight * document.count[i] * (std::log(sum) + largest_.data_ptr<double>()[word]);
      double* const of_word = sums.topics.data_ptr<double>() + word * rows_.size(1);
      const auto add = [&](size_t k, double tokens) {
        of_word[k] += document.weight * tokens;
        counts.data_ptr<double>()[k] += tokens;
      };
      if (listed)
        for (int32_t c = 0; c < document.count[i]; ++c)
          add(static_cast<size_t>(std::upper_bound(edges_.begin(), edges_.end() - 1, *next++ * sum) - edges_.begin()),
              1);
      else
        next = draw_counts(document.count[i], next, add);
    }
    if (document.size > 0) sums.count(document, 1);
    const Tensor draws = rng_.fold(static_cast<uint64_t>(item)).gamma(counts, "theta").clamp_min(1e-300);
    return draws / draws.sum();
  }

 private:
  /// Draws how many of the tokens of a row have each topic, one topic after the other, with one uniform number each.
  template <class Add>
  const double* draw_counts(int64_t left, const double* u, const Add& add) const {
    double before = 0;
    for (size_t k = 0; k < edges_.size(); ++k, ++u) {
      const bool last = k + 1 == edges_.size();
      const int64_t drawn = last ? left : binomial(*u, left, (edges_[k] - before) / (edges_.back() - before));
      add(k, static_cast<double>(drawn));
      left -= drawn;
      before = edges_[k];
    }
    return u;
  }
  /// Running sums over topics of theta_k times the word's row; returns the last one.
  double set_edges(const double* theta, int64_t word) {
    const double* row = rows_.data_ptr<double>() + word * rows_.size(1);
    double sum = 0;
    for (size_t k = 0; k < edges_.size(); ++k) edges_[k] = sum += theta[k] * row[k];
    return sum;
  }

  const Tensor &alpha_, &rows_, &largest_;
  const Rng& rng_;
  std::vector<double> edges_;
};

}  // namespace

LdaExpectation LdaKernel::sample(const Batch& batch, const Tensor& theta, const Rng& rng) const {
  const Documents documents(batch);
  const Tensor prior_mean = (alpha_ / alpha_.sum()).expand({documents.size(), K_});
  const Tensor given = theta.defined() ? theta.to(at::kDouble) : prior_mean;
  const Tensor weights = at::where(given.isnan(), prior_mean, given).contiguous();
  const Tensor fresh = at::empty_like(weights), rows = rows_.to(at::kDouble).contiguous();
  const Tensor index = batch.index.contiguous();
  const auto body = [&](int64_t begin, int64_t end) {
    DocumentSums sums(V_, padded_, K_);
    DocumentDraw draw(alpha_, rows, largest_, rng);
    for (int64_t d = begin; d < end; ++d)
      fresh[d].copy_(draw.run(documents[d], index.data_ptr<int64_t>()[d], weights.data_ptr<double>() + d * K_, sums));
    return sums;
  };
  return sum_documents(documents, V_, padded_, body).expectation(fresh);
}

}  // namespace vem
