// Sweeps over documents in whole vectors. A word's row is exp(log beta) scaled so that its largest entry is one; where
// a product of scaled weights underflows nevertheless, that word is done in logarithms.
#include "lda_kernel.h"

#include <cmath>

#include "lda_documents.h"
#include "vem/dist/special.h"

namespace vem {
namespace {

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
  void run(const Document& document, T* gamma, DocumentSums& sums) {
    begin(document, gamma);
    bool last = document.size == 0;
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
    sums_.resize(static_cast<size_t>(document.size));
    converged_ = false;
    const bool fresh = std::isnan(start[0]) || document.size == 0;
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
    sweep_words(document, rows_, topics_.padded, weights_.template data_ptr<T>(), mass_.template data_ptr<T>(),
                sums_.data());
    for (int64_t i = 0; i < document.size; ++i) {
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
  void finish(const Document& document, double iterations, DocumentSums& sums) {
    const double weight = document.weight;
    double bound = 0;
    log_sums_.assign(sums_.begin(), sums_.end());
    for (int64_t i = 0; i < document.size; ++i) {
      const bool tiny = sums_[static_cast<size_t>(i)] < kSmallestSum<T>;
      if (tiny) log_sums_[static_cast<size_t>(i)] = 1;
      bound += document.count[i] * (tiny ? set_phi(document.word[i]) : topics_.largest[document.word[i]]);
      if (tiny && settings_.sums) add_phi(document.word[i], weight * document.count[i], sums);
    }
    special::log(log_sums_.data(), log_sums_.data(), document.size);
    for (int64_t i = 0; i < document.size; ++i) bound += document.count[i] * log_sums_[static_cast<size_t>(i)];
    sums.bound += weight * (bound + theta_terms());
    sums.count(document, iterations);
    double* log_theta = sums.log_theta.template data_ptr<double>();
    for (size_t k = 0; k < K(); ++k) log_theta[k] += weight * log_theta_[k];
    if (settings_.sums)
      scatter_words(document, rows_, topics_.padded, weights_.template data_ptr<T>(), sums_.data(), weight,
                    sums.topics.template data_ptr<double>());
  }

  void add_phi(int64_t word, double count, DocumentSums& sums) const {
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

}  // namespace

LdaKernel::LdaKernel(const Tensor& log_beta, const Tensor& alpha, at::ScalarType dtype)
    : K_(log_beta.size(0)),
      V_(log_beta.size(1)),
      log_beta_(log_beta.detach().contiguous()),
      alpha_(alpha.detach().contiguous()),
      largest_(std::get<0>(log_beta_.max(0)).contiguous()) {
  padded_ = dtype == at::kFloat ? padded_width<float>(K_) : padded_width<double>(K_);
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
  const auto body = [&](int64_t begin, int64_t end) {
    DocumentSums sums(settings.sums ? V_ : 0, padded_, K_);
    DocumentStep<T> step(topics, rows_.data_ptr<T>(), log_norm, settings);
    for (int64_t d = begin; d < end; ++d) step.run(documents[d], gamma.data_ptr<T>() + d * K_, sums);
    return sums;
  };
  return sum_documents(documents, V_, padded_, body).expectation(gamma);
}

}  // namespace vem
