// Sweeps over documents in whole vectors. A word's row is exp(log beta) scaled so that its largest entry is one; where
// a product of scaled weights underflows nevertheless, that word is done in logarithms.
#include "lda_kernel.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <vector>

#include "vem/core/error.h"
#include "vem/core/target_clones.h"
#include "vem/dist/special.h"

namespace vem {
namespace {

constexpr int64_t kVectorBytes = 64;
template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(kVectorBytes)));
  static constexpr int64_t lanes = kVectorBytes / sizeof(T);
};

// Below this a sum of products of scaled weights may have lost its largest terms to underflow.
template <class T>
constexpr T kSmallestSum = sizeof(T) == 4 ? T(1e-30) : T(1e-280);

/// out[k] += factor * row[k].
template <class T>
VEM_INLINE void add_row(const T* __restrict row, T factor, T* __restrict out, int64_t padded) {
  using V = typename Vector<T>::type;
  const auto* r = reinterpret_cast<const V*>(row);
  auto* o = reinterpret_cast<V*>(out);
  for (int64_t j = 0; j < padded / Vector<T>::lanes; ++j) o[j] += r[j] * factor;
}

template <class T>
VEM_INLINE T dot(const T* __restrict a, const T* __restrict b, int64_t padded) {
  using V = typename Vector<T>::type;
  const auto* x = reinterpret_cast<const V*>(a);
  const auto* y = reinterpret_cast<const V*>(b);
  V sum = x[0] * y[0];
  for (int64_t j = 1; j < padded / Vector<T>::lanes; ++j) sum += x[j] * y[j];
  T total = 0;
  for (int64_t i = 0; i < Vector<T>::lanes; ++i) total += sum[i];
  return total;
}

/// One sweep over a document: sums[i] = <weights, row of word i>, mass = sum_i count_i / sums[i] * row.
template <class T>
VEM_INLINE void sweep(const int32_t* word, const int32_t* count, int64_t words, const T* rows, int64_t padded,
                      const T* weights, T* mass, T* sums) {
  for (int64_t i = 0; i < words; ++i) {
    const T* row = rows + word[i] * padded;
    const T s = dot(weights, row, padded);
    sums[i] = s;
    if (s >= kSmallestSum<T>) add_row(row, static_cast<T>(count[i]) / s, mass, padded);
  }
}

/// Adds weight * count_i * phi_i to the sums of each word, phi_ik = weights_k row_ik / sums[i].
template <class T>
VEM_INLINE void scatter(const int32_t* word, const int32_t* count, int64_t words, const T* rows, int64_t padded,
                        const T* weights, const T* sums, double weight, double* out) {
  for (int64_t i = 0; i < words; ++i) {
    if (sums[i] < kSmallestSum<T>) continue;
    const T* row = rows + word[i] * padded;
    double* o = out + word[i] * padded;
    const double factor = weight * count[i] / static_cast<double>(sums[i]);
#pragma omp simd
    for (int64_t k = 0; k < padded; ++k) o[k] += factor * static_cast<double>(weights[k] * row[k]);
  }
}

VEM_CLONES void sweep_32(const int32_t* w, const int32_t* c, int64_t n, const float* rows, int64_t padded,
                         const float* weights, float* mass, float* sums) {
  sweep(w, c, n, rows, padded, weights, mass, sums);
}
VEM_CLONES void sweep_64(const int32_t* w, const int32_t* c, int64_t n, const double* rows, int64_t padded,
                         const double* weights, double* mass, double* sums) {
  sweep(w, c, n, rows, padded, weights, mass, sums);
}
VEM_CLONES void scatter_32(const int32_t* w, const int32_t* c, int64_t n, const float* rows, int64_t padded,
                           const float* weights, const float* sums, double weight, double* out) {
  scatter(w, c, n, rows, padded, weights, sums, weight, out);
}
VEM_CLONES void scatter_64(const int32_t* w, const int32_t* c, int64_t n, const double* rows, int64_t padded,
                           const double* weights, const double* sums, double weight, double* out) {
  scatter(w, c, n, rows, padded, weights, sums, weight, out);
}
template <class T>
constexpr auto kSweep = sweep_64;
template <>
constexpr auto kSweep<float> = sweep_32;
template <class T>
constexpr auto kScatter = scatter_64;
template <>
constexpr auto kScatter<float> = scatter_32;

/// A document of a batch.
struct Document {
  const int32_t *word, *count;
  int64_t words;
  double weight, tokens;
};

class Documents {
 public:
  explicit Documents(const Batch& batch)
      : word_(batch.at("word").contiguous()),
        count_(batch.at("count").contiguous()),
        offsets_(batch.offsets.contiguous()),
        weight_(batch.weight.contiguous()) {}
  int64_t size() const { return weight_.size(0); }
  int64_t rows() const { return word_.size(0); }
  Document operator[](int64_t d) const {
    const int64_t* offset = offsets_.data_ptr<int64_t>() + d;
    Document document{word_.data_ptr<int32_t>() + offset[0], count_.data_ptr<int32_t>() + offset[0],
                      offset[1] - offset[0], weight_.data_ptr<double>()[d], 0};
    for (int64_t i = 0; i < document.words; ++i) document.tokens += document.count[i];
    return document;
  }

 private:
  Tensor word_, count_, offsets_, weight_;
};

/// What the documents of one group add up to.
struct Sums {
  double bound = 0, documents = 0, tokens = 0, iterations = 0;
  Tensor topics;     // [V, padded] float64
  Tensor log_theta;  // [K] float64
};

/// Groups of documents whose number depends on sizes only; each has sums of its own, [V, padded], and enough words to
/// be worth them.
int64_t num_groups(int64_t rows, int64_t words, int64_t padded) {
  const int64_t by_work = rows / (32 * words), by_memory = (int64_t{1} << 25) / (words * padded);
  return std::max<int64_t>(1, std::min<int64_t>({16, by_work, by_memory}));
}

template <class Body>
Sums sum_groups(int64_t documents, int64_t groups, const Body& body) {
  std::vector<Sums> parts(static_cast<size_t>(groups));
  at::parallel_for(0, groups, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;  // a state of the thread
    for (int64_t g = begin; g < end; ++g)
      parts[static_cast<size_t>(g)] = body(g * documents / groups, (g + 1) * documents / groups);
  });
  Sums total = parts[0];
  for (size_t g = 1; g < parts.size(); ++g) {
    total.bound += parts[g].bound;
    total.documents += parts[g].documents;
    total.tokens += parts[g].tokens;
    total.iterations += parts[g].iterations;
    total.topics += parts[g].topics;
    total.log_theta += parts[g].log_theta;
  }
  return total;
}

/// log_beta [K, V] and what is needed of it for one document at a time.
struct Topics {
  int64_t K, V, padded;
  const double *log_beta, *largest, *alpha;
};

/// The local E-step of one document after the other; buffers are kept from one to the next.
template <class T>
class DocumentStep {
 public:
  DocumentStep(const Topics& topics, const T* rows, double log_norm, const LdaSettings& settings)
      : topics_(topics),
        rows_(rows),
        log_norm_(log_norm),
        settings_(settings),
        gamma_(static_cast<size_t>(topics.K)),
        log_theta_(gamma_),
        direct_(gamma_),
        phi_(gamma_),
        weights_(at::zeros({topics.padded}, c10::CppTypeToScalarType<T>::value)),
        mass_(at::zeros_like(weights_)) {}

  /// Runs to the end of the last sweep. `gamma` [K] is read, unless it is NaN, and written.
  void run(const Document& document, T* gamma, Sums& sums) {
    begin(document, gamma);
    bool last = document.words == 0;
    for (int64_t iteration = 1; !last; ++iteration) {
      last = iteration >= settings_.max_iterations || converged_;
      set_weights();
      sweep(document);
      if (last) finish(document, static_cast<double>(iteration), sums);
      converged_ = update_gamma() < settings_.tolerance;
    }
    std::copy(gamma_.begin(), gamma_.end(), gamma);
  }

 private:
  size_t K() const { return gamma_.size(); }

  void begin(const Document& document, const T* start) {
    sums_.resize(static_cast<size_t>(document.words));
    converged_ = false;
    const bool fresh = std::isnan(start[0]) || document.words == 0;
    for (size_t k = 0; k < K(); ++k)
      gamma_[k] = fresh ? topics_.alpha[k] + document.tokens / static_cast<double>(K()) : static_cast<double>(start[k]);
  }

  /// log theta as it enters, and its exponential.
  void set_weights() {
    const auto n = static_cast<int64_t>(K());
    double total = 0;
    for (const double g : gamma_) total += g;
    double norm = total;
    if (settings_.update == LdaUpdate::variational) {
      special::digamma(gamma_.data(), log_theta_.data(), n);
      special::digamma(&total, &norm, 1);
    } else {
      special::log(gamma_.data(), log_theta_.data(), n);
      special::log(&total, &norm, 1);
    }
    for (double& t : log_theta_) t -= norm;
    special::exp(log_theta_.data(), phi_.data(), n);
    T* weights = weights_.template data_ptr<T>();
    for (size_t k = 0; k < K(); ++k) weights[k] = static_cast<T>(phi_[k]);
  }

  void sweep(const Document& document) {
    mass_.zero_();
    std::fill(direct_.begin(), direct_.end(), 0);
    kSweep<T>(document.word, document.count, document.words, rows_, topics_.padded, weights_.template data_ptr<T>(),
              mass_.template data_ptr<T>(), sums_.data());
    for (int64_t i = 0; i < document.words; ++i) {
      if (sums_[static_cast<size_t>(i)] >= kSmallestSum<T>) continue;
      set_phi(document.word[i]);
      for (size_t k = 0; k < K(); ++k) direct_[k] += document.count[i] * phi_[k];
    }
  }

  /// phi of one word in logarithms; returns log sum_k theta_k beta_kw.
  double set_phi(int64_t word) {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (size_t k = 0; k < K(); ++k) {
      phi_[k] = log_theta_[k] + topics_.log_beta[static_cast<int64_t>(k) * topics_.V + word];
      top = std::max(top, phi_[k]);
    }
    for (double& p : phi_) sum += p = std::exp(p - top);
    for (double& p : phi_) p /= sum;
    return top + std::log(sum);
  }

  /// Bound and sums at the weights of this sweep.
  void finish(const Document& document, double iterations, Sums& sums) {
    const double weight = document.weight;
    double bound = 0;
    log_sums_.assign(sums_.begin(), sums_.end());
    for (int64_t i = 0; i < document.words; ++i) {
      const bool tiny = sums_[static_cast<size_t>(i)] < kSmallestSum<T>;
      if (tiny) log_sums_[static_cast<size_t>(i)] = 1;
      bound += document.count[i] * (tiny ? set_phi(document.word[i]) : topics_.largest[document.word[i]]);
      if (tiny && settings_.sums) add_phi(document.word[i], weight * document.count[i], sums);
    }
    special::log(log_sums_.data(), log_sums_.data(), document.words);
    for (int64_t i = 0; i < document.words; ++i) bound += document.count[i] * log_sums_[static_cast<size_t>(i)];
    sums.bound += weight * (bound + theta_terms());
    sums.documents += weight;
    sums.tokens += weight * document.tokens;
    sums.iterations += weight * iterations;
    double* log_theta = sums.log_theta.template data_ptr<double>();
    for (size_t k = 0; k < K(); ++k) log_theta[k] += weight * log_theta_[k];
    if (settings_.sums)
      kScatter<T>(document.word, document.count, document.words, rows_, topics_.padded, weights_.template data_ptr<T>(),
                  sums_.data(), weight, sums.topics.template data_ptr<double>());
  }

  void add_phi(int64_t word, double count, Sums& sums) const {
    double* out = sums.topics.template data_ptr<double>() + word * topics_.padded;
    for (size_t k = 0; k < K(); ++k) out[k] += count * phi_[k];
  }

  /// E[log p(theta) - log q(theta)], or log p(theta) in the softmax basis, whose prior is Dirichlet(alpha + 1) there.
  double theta_terms() const {
    double total = 0, linear = 0;
    const bool variational = settings_.update == LdaUpdate::variational;
    for (size_t k = 0; k < K(); ++k) {
      total += gamma_[k];
      linear += (variational ? topics_.alpha[k] - gamma_[k] : topics_.alpha[k]) * log_theta_[k];
    }
    if (!variational) return linear - log_norm_;
    const double entropy_norm =
        special::sum_lgamma(gamma_.data(), static_cast<int64_t>(K())) - special::sum_lgamma(&total, 1);
    return linear - log_norm_ + entropy_norm;
  }

  /// gamma = alpha + sum of phi; returns the mean change.
  double update_gamma() {
    const T *weights = weights_.template data_ptr<T>(), *mass = mass_.template data_ptr<T>();
    double change = 0;
    for (size_t k = 0; k < K(); ++k) {
      const double next = topics_.alpha[k] + static_cast<double>(weights[k] * mass[k]) + direct_[k];
      change += std::abs(next - gamma_[k]);
      gamma_[k] = next;
    }
    return change / static_cast<double>(K());
  }

  const Topics& topics_;
  const T* rows_;
  const double log_norm_;
  const LdaSettings& settings_;
  std::vector<double> gamma_, log_theta_, direct_, phi_, log_sums_;
  std::vector<T> sums_;
  Tensor weights_, mass_;  // [padded], aligned as at::empty aligns
  bool converged_ = false;
};

/// [V, padded] -> [K, V].
Tensor by_topic(const Tensor& sums, int64_t K) { return sums.slice(1, 0, K).t().contiguous(); }

Tensor scalar(double value) { return at::scalar_tensor(value, at::kDouble); }

}  // namespace

LdaKernel::LdaKernel(const Tensor& log_beta, const Tensor& alpha, at::ScalarType dtype)
    : K_(log_beta.size(0)),
      V_(log_beta.size(1)),
      log_beta_(log_beta.detach().contiguous()),
      alpha_(alpha.detach().contiguous()),
      largest_(std::get<0>(log_beta_.max(0)).contiguous()) {
  const int64_t lanes = kVectorBytes / static_cast<int64_t>(c10::elementSize(dtype));
  padded_ = (K_ + lanes - 1) / lanes * lanes;
  rows_ = at::zeros({V_, padded_}, dtype);
  rows_.slice(1, 0, K_).copy_((log_beta_ - largest_).exp_().t());
}

LdaExpectation LdaKernel::expect(const Batch& batch, const Tensor& start, double log_norm,
                                 const LdaSettings& settings) const {
  return rows_.scalar_type() == at::kFloat ? expect_as<float>(batch, start, log_norm, settings)
                                           : expect_as<double>(batch, start, log_norm, settings);
}

template <class T>
LdaExpectation LdaKernel::expect_as(const Batch& batch, const Tensor& start, double log_norm,
                                    const LdaSettings& settings) const {
  const Documents documents(batch);
  const Topics topics{
      K_, V_, padded_, log_beta_.data_ptr<double>(), largest_.data_ptr<double>(), alpha_.data_ptr<double>()};
  const Tensor gamma = start.defined() ? start.to(rows_.scalar_type()).clone(at::MemoryFormat::Contiguous)
                                       : at::full({documents.size(), K_}, std::nan(""), rows_.options());
  const Tensor no_sums = at::zeros({0, padded_}, at::kDouble);
  const auto body = [&](int64_t begin, int64_t end) {
    Sums sums;
    sums.topics = settings.sums ? at::zeros({V_, padded_}, at::kDouble) : no_sums;
    sums.log_theta = at::zeros({K_}, at::kDouble);
    DocumentStep<T> step(topics, rows_.data_ptr<T>(), log_norm, settings);
    for (int64_t d = begin; d < end; ++d) step.run(documents[d], gamma.data_ptr<T>() + d * K_, sums);
    return sums;
  };
  const Sums total = sum_groups(documents.size(), num_groups(documents.rows(), V_, padded_), body);
  return {scalar(total.bound),
          scalar(total.documents),
          scalar(total.tokens),
          scalar(total.iterations),
          settings.sums ? by_topic(total.topics, K_) : Tensor(),
          total.log_theta,
          gamma};
}

LdaExpectation LdaKernel::sample(const Batch& batch, const Tensor& theta, const Rng& rng) const {
  const Documents documents(batch);
  const Tensor prior_mean = (alpha_ / alpha_.sum()).expand({documents.size(), K_});
  const Tensor given = theta.defined() ? theta.to(at::kDouble) : prior_mean;
  const Tensor weights = at::where(given.isnan(), prior_mean, given).contiguous();
  const Tensor fresh = at::empty_like(weights), rows = rows_.to(at::kDouble).contiguous();
  const auto body = [&](int64_t begin, int64_t end) {
    Sums sums;
    sums.topics = at::zeros({V_, padded_}, at::kDouble);
    sums.log_theta = at::zeros({K_}, at::kDouble);
    std::vector<double> edges(static_cast<size_t>(K_));
    for (int64_t d = begin; d < end; ++d) {
      const Document document = documents[d];
      const int64_t item = batch.index[d].item<int64_t>();
      const Tensor u = rng.uniform(at::full({1}, item, at::kLong), {static_cast<int64_t>(document.tokens)}, "topic");
      const Tensor counts = alpha_.clone();
      const double* next = u.data_ptr<double>();
      const double* w = weights.data_ptr<double>() + d * K_;
      for (int64_t i = 0; i < document.words; ++i) {
        const int64_t word = document.word[i];
        double sum = 0;
        for (int64_t k = 0; k < K_; ++k)
          edges[static_cast<size_t>(k)] = sum += w[k] * rows.data_ptr<double>()[word * padded_ + k];
        sums.bound += document.weight * document.count[i] * (std::log(sum) + largest_.data_ptr<double>()[word]);
        for (int32_t c = 0; c < document.count[i]; ++c) {
          const auto at = std::upper_bound(edges.begin(), edges.end() - 1, *next++ * sum) - edges.begin();
          sums.topics.data_ptr<double>()[word * padded_ + at] += document.weight;
          counts.data_ptr<double>()[at] += 1;
        }
      }
      if (document.words > 0) {
        sums.documents += document.weight;
        sums.tokens += document.weight * document.tokens;
        sums.iterations += document.weight;
      }
      const Tensor draws = rng.fold(static_cast<uint64_t>(item)).gamma(counts, "theta").clamp_min(1e-300);
      fresh[d].copy_(draws / draws.sum());
    }
    return sums;
  };
  const Sums total = sum_groups(documents.size(), num_groups(documents.rows(), V_, padded_), body);
  return {scalar(total.bound),
          scalar(total.documents),
          scalar(total.tokens),
          scalar(total.iterations),
          by_topic(total.topics, K_),
          total.log_theta,
          fresh};
}

}  // namespace vem
