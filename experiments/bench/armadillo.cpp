// Passes of EM for Gaussian mixtures by Armadillo, for mixtures.py --armadillo, which builds it.
// Usage: armadillo FILE.csv COMPONENTS full|diagonal PASSES MORE
// FILE has a header, a column of labels and the features. Prints seconds of a pass, and the mean log-likelihood of a
// row after PASSES of them from the parameters that the labels give.
#include <armadillo>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

arma::mat covariance_of(const arma::mat& rows, bool diagonal) {  // [D, n], divided by n
  const arma::mat centred = rows.each_col() - arma::mean(rows, 1);
  const arma::mat full = centred * centred.t() / static_cast<double>(rows.n_cols);
  return diagonal ? arma::mat(arma::diagmat(full)) : full;
}

template <class Mixture, class Set>
double run(const arma::mat& x, arma::uword passes, arma::uword K, const Set& set, double& log_p) {
  Mixture mixture;
  set(mixture);
  arma::wall_clock clock;
  clock.tic();
  mixture.learn(x, K, arma::maha_dist, arma::keep_existing, 0, passes, 1e-12, false);
  const double seconds = clock.toc();
  log_p = mixture.avg_log_p(x);
  return seconds;
}

template <class Mixture, class Set>
void measure(const arma::mat& x, arma::uword K, arma::uword passes, arma::uword more, const Set& set) {
  double log_p = 0, ignored = 0;
  const double longer = run<Mixture>(x, passes + more, K, set, ignored),
               shorter = run<Mixture>(x, passes, K, set, log_p);
  std::printf("%.9g %.15g\n", (longer - shorter) / static_cast<double>(more), log_p);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  arma::mat table;
  arma::field<std::string> header;
  if (!table.load(arma::csv_name(argv[1], header))) return 65;
  const auto K = static_cast<arma::uword>(std::atoi(argv[2])), passes = static_cast<arma::uword>(std::atoi(argv[4])),
             more = static_cast<arma::uword>(std::atoi(argv[5]));
  const bool diagonal = std::string(argv[3]) == "diagonal";
  const arma::vec label = table.col(0);
  const arma::mat x = table.tail_cols(table.n_cols - 1).t();
  arma::mat means(x.n_rows, K), variances(x.n_rows, K);
  arma::cube covariances(x.n_rows, x.n_rows, K);
  arma::rowvec weights(K);
  for (arma::uword k = 0; k < K; ++k) {
    const arma::mat own = x.cols(arma::find(label == static_cast<double>(k)));
    weights(k) = static_cast<double>(own.n_cols) / static_cast<double>(x.n_cols);
    means.col(k) = arma::mean(own, 1);
    covariances.slice(k) = covariance_of(own, diagonal);
    variances.col(k) = covariances.slice(k).diag();
  }
  if (diagonal)
    measure<arma::gmm_diag>(x, K, passes, more, [&](arma::gmm_diag& m) { m.set_params(means, variances, weights); });
  else
    measure<arma::gmm_full>(x, K, passes, more, [&](arma::gmm_full& m) { m.set_params(means, covariances, weights); });
}
