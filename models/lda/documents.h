// Documents of a batch one by one, and what they add up to: shared by the E-steps of topic models.
#pragma once

#include <ATen/Parallel.h>

#include "kernel.h"
#include "sweep.h"

namespace vem {

/// A document of a batch.
struct Document : Words {
  double weight, tokens;
};

class Documents {
 public:
  explicit Documents(const Batch& batch)
      : columns_{batch.at("word").contiguous(), batch.at("count").contiguous(), batch.offsets.contiguous(),
                 batch.weight.contiguous()},
        word_(columns_[0].data_ptr<int32_t>()),
        count_(columns_[1].data_ptr<int32_t>()),
        offset_(columns_[2].data_ptr<int64_t>()),
        weight_(columns_[3].data_ptr<double>()) {}
  int64_t size() const { return columns_[3].size(0); }
  int64_t rows() const { return columns_[0].size(0); }
  /// Where the rows of a document begin.
  int64_t begin(int64_t d) const { return offset_[d]; }
  Document operator[](int64_t d) const {
    const int64_t first = begin(d);
    Document document{{word_ + first, count_ + first, begin(d + 1) - first}, weight_[d], 0};
    for (int64_t i = 0; i < document.size; ++i) document.tokens += document.count[i];
    return document;
  }

 private:
  Tensor columns_[4];  // keep what the pointers point at
  const int32_t *word_, *count_;
  const int64_t* offset_;
  const double* weight_;
};

/// What the documents of one group add up to.
struct DocumentSums {
  double bound = 0, documents = 0, tokens = 0, iterations = 0, unconverged = 0;
  Tensor topics;     ///< [V, padded] float64, or [0, padded]
  Tensor log_theta;  ///< [K] float64

  DocumentSums() = default;
  DocumentSums(int64_t V, int64_t padded, int64_t K)
      : topics(at::zeros({V, padded}, at::kDouble)), log_theta(at::zeros({K}, at::kDouble)) {}

  void count(const Document& document, double sweeps, bool converged = true) {
    documents += document.weight;
    tokens += document.weight * document.tokens;
    iterations += document.weight * sweeps;
    unconverged += converged ? 0 : document.weight;
  }
  void add(const DocumentSums& other) {
    bound += other.bound;
    documents += other.documents;
    tokens += other.tokens;
    iterations += other.iterations;
    unconverged += other.unconverged;
    topics += other.topics;
    log_theta += other.log_theta;
  }
  /// With the sums as [K, V].
  LdaExpectation expectation(const Tensor& gamma) const {
    const auto scalar = [](double value) { return at::scalar_tensor(value, at::kDouble); };
    return {scalar(bound),       scalar(documents),
            scalar(tokens),      scalar(iterations),
            scalar(unconverged), topics.slice(1, 0, log_theta.size(0)).t().contiguous(),
            log_theta,           gamma};
  }
};

/// body(first, last document) of each of some groups, added in the order of groups, whose number depends on sizes only:
/// the same bits for any number of threads. A group's sums [V, padded] need enough words to be worth them.
template <class Body>
DocumentSums sum_documents(const Documents& documents, int64_t V, int64_t padded, const Body& body) {
  const int64_t by_work = documents.rows() / (32 * V), by_memory = (int64_t{1} << 25) / (V * padded);
  const int64_t groups = std::max<int64_t>(1, std::min<int64_t>({16, by_work, by_memory}));
  std::vector<DocumentSums> parts(static_cast<size_t>(groups));
  at::parallel_for(0, groups, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;  // a state of the thread
    for (int64_t g = begin; g < end; ++g)
      parts[static_cast<size_t>(g)] = body(g * documents.size() / groups, (g + 1) * documents.size() / groups);
  });
  for (size_t g = 1; g < parts.size(); ++g) parts[0].add(parts[g]);
  return parts[0];
}

}  // namespace vem
