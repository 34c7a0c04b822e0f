// A library's product of m(x) [n, F] with W [F, K] would read m(x) from memory, where it must be written first, and
// write it once more in the order that it wants; with few components that is most of the work. Here moments are formed
// a panel at a time, for as many rows as a vector has lanes, and stay in the nearest cache. A tile of the result, some
// rows times some vectors of components, then stays in registers along the panel:
//   c[m][k] += moment of row m * W[f][k]    along f, for log-likelihoods;
//   c[f][k] += moment f of row n * R[n][k]  along n, for sums.
#include "moment_product.h"

#include <algorithm>
#include <cmath>

#include "vem/core/platform.h"
#include "vem/core/target_clones.h"

namespace vem {
namespace {

constexpr int64_t kPanel = 128;
// Rows whose log-likelihoods, or the moments of a panel, stay in the second cache; and whose sums stay in the type of
// the rows, so that those of float32 are few.
template <class T>
constexpr int64_t kRows = sizeof(T) == 4 ? 256 : 512;

/// What one call computes: log-likelihoods, or, where there are marginals, sums.
template <class T>
struct Work {
  const std::vector<MomentProduct::Panel>& panels;
  const T* columns;                         // [1 + D, stride]
  int64_t stride, rows, components, width;  // width: components in whole vectors
  const T* weights;                         // [F, width]
  T* log_lik;                               // [rows in whole vectors, width]
  const T* marginals;                       // [rows, width]
  double* sums;                             // [F, components]
  T* panel;                                 // room for the moments of kRows<T> rows
};

/// Vectors of so many bytes; tiles of kSide rows (or moments) by up to three vectors, which fill the registers.
template <class T, int kBytes, int64_t kSide>
struct Tiles {
  typedef T Vector __attribute__((vector_size(kBytes), aligned(alignof(T)), may_alias));
  static constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(T));

  static VEM_INLINE Vector& at(T* p) { return *reinterpret_cast<Vector*>(p); }
  static VEM_INLINE const Vector& at(const T* p) { return *reinterpret_cast<const Vector*>(p); }

  /// Moments of the rows that share a vector: [panel, lanes].
  static VEM_INLINE void form(const MomentProduct::Panel& panel, const T* columns, int64_t stride, T* out) {
    for (const MomentProduct::Run& run : panel.runs) {
      const T *left = columns + run.left * stride, *right = columns + run.right * stride;
      const int64_t step = run.squares ? stride : 0;
      for (int64_t c = 0; c < run.count; ++c, left += step, right += stride, out += kLanes)
        at(out) = at(left) * at(right);
    }
  }

  /// One step along a tile: c[m][v] += a[m kStep] b[v].
  template <int64_t kVectors, int64_t kStep>
  static VEM_INLINE void step(Vector (&c)[kSide][kVectors], const T* a, const T* b) {
    Vector own[kVectors];
#pragma GCC unroll 3
    for (int64_t v = 0; v < kVectors; ++v) own[v] = at(b + v * kLanes);
#pragma GCC unroll 8
    for (int64_t m = 0; m < kSide; ++m) {
      const T number = a[m * kStep];
#pragma GCC unroll 3
      for (int64_t v = 0; v < kVectors; ++v) c[m][v] += number * own[v];
    }
  }

  template <int64_t kVectors>
  static VEM_INLINE void log_lik_tile(const T* moments, const T* weights, int64_t size, int64_t width, T* out,
                                      bool first) {
    Vector c[kSide][kVectors];
#pragma GCC unroll 8
    for (int64_t m = 0; m < kSide; ++m)
#pragma GCC unroll 3
      for (int64_t v = 0; v < kVectors; ++v) c[m][v] = first ? Vector{} : at(out + m * width + v * kLanes);
    for (int64_t f = 0; f < size; ++f) step<kVectors, 1>(c, moments + f * kLanes, weights + f * width);
#pragma GCC unroll 8
    for (int64_t m = 0; m < kSide; ++m)
#pragma GCC unroll 3
      for (int64_t v = 0; v < kVectors; ++v) at(out + m * width + v * kLanes) = c[m][v];
  }

  /// Sums of up to kSide moments over some rows, whose moments lie group_size numbers apart, a vector of rows each.
  template <int64_t kVectors>
  static VEM_INLINE void sums_tile(const T* moments, int64_t group_size, const T* marginals, int64_t rows,
                                   int64_t width, double* out, int64_t num_moments, int64_t components,
                                   int64_t num_components) {
    Vector c[kSide][kVectors] = {};
    for (int64_t n = 0; n < rows; n += kLanes, moments += group_size)
      for (int64_t lane = 0; lane < std::min(kLanes, rows - n); ++lane, marginals += width)
        step<kVectors, kLanes>(c, moments + lane, marginals);
    T all[kSide][kVectors * kLanes];
#pragma GCC unroll 8
    for (int64_t m = 0; m < kSide; ++m)
#pragma GCC unroll 3
      for (int64_t v = 0; v < kVectors; ++v) at(all[m] + v * kLanes) = c[m][v];
    for (int64_t m = 0; m < num_moments; ++m, out += num_components)
      for (int64_t k = 0; k < components; ++k) out[k] += static_cast<double>(all[m][k]);
  }

  /// body(number of vectors, first component) of tiles that cover all components: three vectors, or two, or one.
  template <class Body>
  static VEM_INLINE void each_width(int64_t width, const Body& body) {
    for (int64_t k = 0, left = width / kLanes; left > 0;) {
      const int64_t vectors = left == 4 ? 2 : std::min<int64_t>(left, 3);
      if (vectors == 3)
        body(std::integral_constant<int64_t, 3>(), k);
      else if (vectors == 2)
        body(std::integral_constant<int64_t, 2>(), k);
      else
        body(std::integral_constant<int64_t, 1>(), k);
      k += vectors * kLanes;
      left -= vectors;
    }
  }

  static VEM_INLINE void log_lik(const Work<T>& w) {
    for (int64_t begin = 0; begin < w.rows; begin += kRows<T>)
      for (const MomentProduct::Panel& panel : w.panels)
        for (int64_t n = begin; n < std::min(w.rows, begin + kRows<T>); n += kLanes) {
          form(panel, w.columns + n, w.stride, w.panel);
          each_width(
              w.width, [&](auto vectors, int64_t k) __attribute__((always_inline)) {
                for (int64_t m = 0; m < kLanes; m += kSide)
                  log_lik_tile<vectors()>(w.panel + m, w.weights + panel.first * w.width + k, panel.size, w.width,
                                          w.log_lik + (n + m) * w.width + k, panel.first == 0);
              });
        }
  }

  static VEM_INLINE void sums(const Work<T>& w) {
    for (int64_t begin = 0; begin < w.rows; begin += kRows<T>)
      for (const MomentProduct::Panel& panel : w.panels) {
        const int64_t rows = std::min(kRows<T>, w.rows - begin), group_size = panel.size * kLanes;
        for (int64_t n = 0; n < rows; n += kLanes)
          form(panel, w.columns + begin + n, w.stride, w.panel + n / kLanes * group_size);
        each_width(
            w.width, [&](auto vectors, int64_t k) __attribute__((always_inline)) {
              for (int64_t f = 0; f < panel.size; f += kSide)
                sums_tile<vectors()>(w.panel + f * kLanes, group_size, w.marginals + begin * w.width + k, rows, w.width,
                                     w.sums + (panel.first + f) * w.components + k, std::min(kSide, panel.size - f),
                                     std::min(vectors() * kLanes, w.components - k), w.components);
            });
      }
  }

  static VEM_INLINE void run(const Work<T>& w) {
    if (w.marginals)
      sums(w);
    else
      log_lik(w);
  }
};

#ifdef __x86_64__
#define VEM_AVX512 __attribute__((target("arch=x86-64-v4")))
#define VEM_AVX2 __attribute__((target("arch=x86-64-v3")))
#else
#define VEM_AVX512
#define VEM_AVX2
#endif
VEM_AVX512 void run_avx512(const Work<double>& w) { Tiles<double, 64, 8>::run(w); }
VEM_AVX512 void run_avx512(const Work<float>& w) { Tiles<float, 64, 8>::run(w); }
VEM_AVX2 void run_avx2(const Work<double>& w) { Tiles<double, 32, 4>::run(w); }
VEM_AVX2 void run_avx2(const Work<float>& w) { Tiles<float, 32, 4>::run(w); }
void run_any(const Work<double>& w) { Tiles<double, 16, 2>::run(w); }
void run_any(const Work<float>& w) { Tiles<float, 16, 4>::run(w); }

template <class T>
void run(MomentProduct::Vectors vectors, const Work<T>& w) {
  if (vectors == MomentProduct::Vectors::avx512)
    run_avx512(w);
  else if (vectors == MomentProduct::Vectors::avx2)
    run_avx2(w);
  else
    run_any(w);
}

/// Rows [n, D] to columns, after one of ones.
template <class T>
VEM_INLINE void transpose(const T* x, T* out, int64_t rows, int64_t D, int64_t stride) {
  std::fill(out, out + rows, T{1});
  out += stride;
  constexpr int64_t kBlock = 8;
  for (int64_t n = 0; n < rows; n += kBlock)
    for (int64_t d = 0; d < D; ++d)
      for (int64_t r = n; r < std::min(rows, n + kBlock); ++r) out[d * stride + r] = x[r * D + d];
}

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// [n, K] to contiguous [n, width], with zeros.
Tensor padded(const Tensor& t, int64_t width) {
  return t.size(1) == width ? t.contiguous() : at::constant_pad_nd(t, {0, width - t.size(1)}).contiguous();
}

/// D of F = 1 + 2 D, or (D + 1) (D + 2) / 2.
int64_t features_of(int64_t F, bool full) {
  return full ? std::llround(std::sqrt(2. * static_cast<double>(F) + 0.25) - 1.5) : (F - 1) / 2;
}

}  // namespace

MomentProduct::Vectors MomentProduct::best() {
  const std::string vectors = vector_instructions();
  return vectors == "AVX512" ? Vectors::avx512 : vectors == "AVX2" ? Vectors::avx2 : Vectors::any;
}

MomentProduct::MomentProduct(const Tensor& weights, bool full, Vectors vectors)
    : vectors_(vectors), K_(weights.size(1)), D_(features_of(weights.size(0), full)) {
  const int64_t bytes = vectors == Vectors::avx512 ? 64 : vectors == Vectors::avx2 ? 32 : 16;
  lanes_ = bytes / static_cast<int64_t>(weights.element_size());
  width_ = round_up(K_, lanes_);
  weights_ = padded(weights, width_);
  for (int64_t i = 0; full && i <= D_; ++i) add_run({i, i, D_ + 1 - i, false});
  if (!full) {
    add_run({0, 0, D_ + 1, false});
    add_run({1, 1, D_, true});
  }
}

void MomentProduct::add_run(Run run) {
  while (run.count > 0) {
    if (panels_.empty() || panels_.back().size == kPanel) panels_.push_back({size_, 0, {}});
    Panel& panel = panels_.back();
    const int64_t count = std::min(run.count, kPanel - panel.size);
    panel.runs.push_back({run.left, run.right, count, run.squares});
    panel.size += count;
    size_ += count;
    run = {run.squares ? run.left + count : run.left, run.right + count, run.count - count, run.squares};
  }
}

template <class T>
Tensor MomentProduct::columns_of(const Tensor& x) const {
  const Tensor rows = x.to(weights_.scalar_type()).contiguous();
  const int64_t n = rows.size(0);
  // An odd number of cache lines: columns that lie a power of two apart share too few places in the cache.
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t stride = (round_up(n, kLine) / kLine | 1) * kLine;
  const Tensor out = at::empty({1 + D_, stride}, rows.options());
  out.slice(1, n).zero_();
  transpose(rows.data_ptr<T>(), out.data_ptr<T>(), n, D_, stride);
  return out.t().slice(0, 0, n);
}

Tensor MomentProduct::laid_out(const Tensor& c) const {
  const int64_t line = 64 / static_cast<int64_t>(c.element_size());
  const bool as_wanted = c.scalar_type() == weights_.scalar_type() && c.stride(0) == 1 && c.stride(1) % line == 0;
  return as_wanted ? c : columns(c.slice(1, 1));
}

template <class T>
Tensor MomentProduct::log_lik_of(const Tensor& c) const {
  const int64_t n = c.size(0);
  const Tensor out = at::empty({round_up(n, lanes_), width_}, c.options());
  const Tensor panel = at::empty({kPanel * lanes_}, c.options());
  run<T>(vectors_, {panels_, c.data_ptr<T>(), c.stride(1), n, K_, width_, weights_.data_ptr<T>(), out.data_ptr<T>(),
                    nullptr, nullptr, panel.data_ptr<T>()});
  return out.slice(0, 0, n).slice(1, 0, K_);
}

template <class T>
Tensor MomentProduct::sums_of(const Tensor& c, const Tensor& marginals) const {
  const int64_t n = c.size(0);
  const Tensor r = padded(marginals.to(c.scalar_type()), width_), out = at::zeros({size_, K_}, at::kDouble);
  // The last tile of a panel may look beyond it, at numbers that it drops.
  const Tensor panel = at::empty({kPanel * (std::min(round_up(n, lanes_), kRows<T>) + lanes_)}, c.options());
  run<T>(vectors_, {panels_, c.data_ptr<T>(), c.stride(1), n, K_, width_, nullptr, nullptr, r.data_ptr<T>(),
                    out.data_ptr<double>(), panel.data_ptr<T>()});
  return out.t();
}

Tensor MomentProduct::columns(const Tensor& x) const {
  return weights_.scalar_type() == at::kFloat ? columns_of<float>(x) : columns_of<double>(x);
}

Tensor MomentProduct::log_lik(const Tensor& columns) const {
  const Tensor c = laid_out(columns);
  return c.scalar_type() == at::kFloat ? log_lik_of<float>(c) : log_lik_of<double>(c);
}

Tensor MomentProduct::sums(const Tensor& columns, const Tensor& marginals) const {
  const Tensor c = laid_out(columns);
  return c.scalar_type() == at::kFloat ? sums_of<float>(c, marginals) : sums_of<double>(c, marginals);
}

}  // namespace vem
