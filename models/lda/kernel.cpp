// Sweeps over documents in whole vectors. A word's row is exp(log beta) scaled so that its largest entry is one; where
// a product of scaled weights underflows nevertheless, that word is done in logarithms.
#include "kernel.h"

#include <cmath>

#include "documents.h"
#include "vem/core/infinity.h"
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
        buffer_(at::zeros({2, topics.padded}, c10::CppTypeToScalarType<T>::value)),
        weights_(buffer_.template data_ptr<T>()),
        mass_(weights_ + topics.padded) {}

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

  bool variational() const { return settings_.update == LdaUpdate::variational; }

  /// theta as it enters: exp(E log theta), or gamma over its sum.
  void set_weights() {
    double total = 0;
    for (const double g : gamma_) total += g;
    const double* weight = gamma_.data();
    if (variational()) {
      special::exp_digamma(gamma_.data(), phi_.data(), static_cast<int64_t>(K()));
      special::exp_digamma(&total, &total, 1);
      weight = phi_.data();
    }
    const double scale = 1 / total;
    for (size_t k = 0; k < K(); ++k) weights_[k] = static_cast<T>(scale * weight[k]);
    log_theta_known_ = false;
  }

  /// The logarithms of theta as it enters, only found where they are asked for.
  const std::vector<double>& log_theta() {
    if (log_theta_known_) return log_theta_;
    const auto log = variational() ? special::digamma : special::log;
    double norm = 0;
    for (const double g : gamma_) norm += g;
    log(&norm, &norm, 1);
    log(gamma_.data(), log_theta_.data(), static_cast<int64_t>(K()));
    for (double& t : log_theta_) t -= norm;
    log_theta_known_ = true;
    return log_theta_;
  }

  void sweep(const Document& document) {
    std::fill(direct_.begin(), direct_.end(), 0);
    sweep_words(document, rows_, topics_.padded, weights_, mass_, sums_.data());
    for (int64_t i = 0; i < document.size; ++i) {
      if (sums_[static_cast<size_t>(i)] >= kSmallestSum<T>) continue;
      set_phi(document.word[i]);
      for (size_t k = 0; k < K(); ++k) direct_[k] += document.count[i] * phi_[k];
    }
  }

  /// phi of one word in logarithms; returns log sum_k theta_k beta_kw.
  double set_phi(int64_t word) {
    double top = -kInfinity, sum = 0;
    for (size_t k = 0; k < K(); ++k) {
      phi_[k] = log_theta()[k] + topics_.log_beta[static_cast<int64_t>(k) * topics_.V + word];
      top = std::max(top, phi_[k]);
    }
    for (double& p : phi_) sum += p = std::exp(p - top);
    for (double& p : phi_) p /= sum;
    return top + std::log(sum);
  }

  /// Bound and sums at the weights of this sweep.
  void finish(const Document& document, double iterations, DocumentSums& sums) {
    const double weight = document.weight;
    sums.bound += weight * (word_terms(document, sums) + theta_terms());
    sums.count(document, iterations, converged_);
    double* log_thetas = sums.log_theta.template data_ptr<double>();
    for (size_t k = 0; k < K(); ++k) log_thetas[k] += weight * log_theta()[k];
    if (settings_.sums)
      scatter_words(document, rows_, topics_.padded, weights_, sums_.data(), weight,
                    sums.topics.template data_ptr<double>());
  }

  /// sum_w c_w log sum_k theta_k beta_kw; words that underflow are put right, and added to the sums.
  double word_terms(const Document& document, DocumentSums& sums) {
    double bound = 0;
    log_sums_.assign(sums_.begin(), sums_.end());
    for (int64_t i = 0; i < document.size; ++i) {
      if (sums_[static_cast<size_t>(i)] >= kSmallestSum<T>) continue;
      const int32_t word = document.word[i];
      log_sums_[static_cast<size_t>(i)] = 1;
      bound += document.count[i] * (set_phi(word) - topics_.largest[word]);
      if (settings_.sums) add_phi(word, document.weight * document.count[i], sums);
    }
    special::log(log_sums_.data(), log_sums_.data(), document.size);
    const double* log_sum = log_sums_.data();
    for (int64_t i = 0; i < document.size; ++i)
      bound += document.count[i] * (log_sum[i] + topics_.largest[document.word[i]]);
    return bound;
  }

  void add_phi(int64_t word, double count, DocumentSums& sums) const {
    double* out = sums.topics.template data_ptr<double>() + word * topics_.padded;
    for (size_t k = 0; k < K(); ++k) out[k] += count * phi_[k];
  }

  /// E[log p(theta) - log q(theta)], or log p(theta) in the softmax basis, whose prior is Dirichlet(alpha + 1) there.
  double theta_terms() {
    double total = 0, linear = 0;
    for (size_t k = 0; k < K(); ++k) {
      total += gamma_[k];
      linear += (variational() ? topics_.alpha[k] - gamma_[k] : topics_.alpha[k]) * log_theta()[k];
    }
    if (!variational()) return linear - log_norm_;
    const double entropy_norm =
        special::sum_lgamma(gamma_.data(), static_cast<int64_t>(K())) - special::sum_lgamma(&total, 1);
    return linear - log_norm_ + entropy_norm;
  }

  /// gamma = alpha + sum of phi; returns the mean change.
  double update_gamma() {
    double change = 0;
    for (size_t k = 0; k < K(); ++k) {
      const double next = topics_.alpha[k] + static_cast<double>(weights_[k] * mass_[k]) + direct_[k];
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
  Tensor buffer_;       // aligned as at::empty aligns
  T *weights_, *mass_;  // [padded], in the buffer
  bool converged_ = false, log_theta_known_ = false;
};

}  // namespace

LdaKernel::LdaKernel(const Tensor& log_beta, const Tensor& alpha, at::ScalarType dtype)
    : K_(log_beta.size(0)),
      V_(log_beta.size(1)),
      log_beta_(log_beta.detach().contiguous()),
      alpha_(alpha.detach().contiguous()),
      largest_(log_beta_.amax(0).contiguous()) {
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
