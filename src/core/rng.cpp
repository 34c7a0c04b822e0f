// Philox4x32-10, vectorised over counters. Counter words: item, place and high item bits, epoch, block of four draws.
#include "vem/core/rng.h"

#include <array>

#include "vem/core/error.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VEM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VEM_CLONES
#endif

namespace vem {
namespace {

constexpr int kLanes = 16;
using Lanes = std::array<uint32_t, kLanes>;

uint64_t mix(uint64_t x) {  // the finaliser of SplitMix64 (Steele, Lea, Flood 2014)
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

uint64_t hash(std::string_view text) {  // FNV-1a, 64 bits
  uint64_t h = 14695981039346656037ull;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return h;
}

uint64_t stream_key(uint64_t key, std::string_view stream) { return mix(key ^ hash(stream)); }

/// Ten rounds on kLanes counters at once, in place.
VEM_CLONES void philox(uint64_t key, Lanes& a, Lanes& b, Lanes& c, Lanes& d) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kLanes; ++i) {
      const uint64_t x = 0xD2511F53ull * a[i], y = 0xCD9E8D57ull * c[i];
      a[i] = static_cast<uint32_t>(y >> 32) ^ b[i] ^ k0;
      c[i] = static_cast<uint32_t>(x >> 32) ^ d[i] ^ k1;
      b[i] = static_cast<uint32_t>(y);
      d[i] = static_cast<uint32_t>(x);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

double unit53(uint32_t high, uint32_t low) {
  return (static_cast<double>(((static_cast<uint64_t>(high) << 32) | low) >> 11) + 0.5) * 0x1.0p-53;
}
// The three ways to turn words into numbers on (0, 1): 24 bits for float32, 32 for Box-Muller, 53 for float64.
void store(float* out, const uint32_t* w) {
  for (int i = 0; i < 4; ++i) out[i] = (static_cast<float>(w[i] >> 8) + 0.5f) * 0x1.0p-24f;
}
void store(double* out, const uint32_t* w) {
  for (int i = 0; i < 4; ++i) out[i] = (static_cast<double>(w[i]) + 0.5) * 0x1.0p-32;
}
struct Wide {
  double value;
};
void store(Wide* out, const uint32_t* w) {
  out[0].value = unit53(w[0], w[1]);
  out[1].value = unit53(w[2], w[3]);
}

/// Fills rows of `blocks` Philox blocks each; T numbers of a block are stored by store().
template <class T>
void fill(T* out, int per_block, uint64_t key, uint32_t epoch, const Tensor& index, const Tensor& place, int64_t blocks) {
  const int64_t* items = index.data_ptr<int64_t>();
  const int64_t* places = place.defined() ? place.data_ptr<int64_t>() : nullptr;
  const int64_t total = index.numel() * blocks;
  at::parallel_for(0, (total + kLanes - 1) / kLanes, 512, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      Lanes a{}, b{}, c{}, d{};
      const int lanes = static_cast<int>(std::min<int64_t>(kLanes, total - group * kLanes));
      for (int i = 0; i < lanes; ++i) {
        const int64_t t = group * kLanes + i, row = t / blocks;
        const auto item = static_cast<uint64_t>(items[row]);
        a[i] = static_cast<uint32_t>(item);
        b[i] = static_cast<uint32_t>(places ? places[row] : 0) ^ static_cast<uint32_t>((item >> 32) << 20);
        c[i] = epoch;
        d[i] = static_cast<uint32_t>(t % blocks);
      }
      philox(key, a, b, c, d);
      for (int i = 0; i < lanes; ++i) {
        const uint32_t words[4] = {a[i], b[i], c[i], d[i]};
        store(out + (group * kLanes + i) * per_block, words);
      }
    }
  });
}

struct Plan {
  Tensor index, place;
  Shape shape;      // of the result
  int64_t inner;    // numbers a row
};

Plan plan(const Tensor& index, const Shape& shape, const Tensor& place) {
  Plan p{index.contiguous(), place.defined() ? place.contiguous() : place, {index.numel()}, 1};
  for (const int64_t size : shape) {
    p.shape.push_back(size);
    p.inner *= size;
  }
  return p;
}

Tensor trim(const Tensor& padded, const Plan& p) { return padded.slice(1, 0, p.inner).reshape(p.shape); }

}  // namespace

std::array<uint32_t, 4> philox4x32(const std::array<uint32_t, 4>& counter, uint64_t key) {
  Lanes a{counter[0]}, b{counter[1]}, c{counter[2]}, d{counter[3]};
  philox(key, a, b, c, d);
  return {a[0], b[0], c[0], d[0]};
}

Rng Rng::at(int64_t epoch) const { return Rng(key_, static_cast<uint32_t>(epoch)); }
Rng Rng::fold(uint64_t tag) const { return Rng(mix(key_ ^ mix(tag)), epoch_); }
Rng Rng::fold(std::string_view tag) const { return fold(hash(tag)); }

Tensor Rng::uniform(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype,
                    const Tensor& place) const {
  const Plan p = plan(index, shape, place);
  const uint64_t key = stream_key(key_, stream);
  if (dtype == at::kFloat) {
    const int64_t blocks = (p.inner + 3) / 4;
    Tensor out = at::empty({p.shape[0], blocks * 4}, at::kFloat);
    fill(out.data_ptr<float>(), 4, key, epoch_, p.index, p.place, blocks);
    return trim(out, p);
  }
  if (dtype != at::kDouble) fail<Error>("rng.uniform: dtype is {}, float32 or float64 is expected", toString(dtype));
  const int64_t blocks = (p.inner + 1) / 2;
  Tensor out = at::empty({p.shape[0], blocks * 2}, at::kDouble);
  fill(reinterpret_cast<Wide*>(out.data_ptr<double>()), 2, key, epoch_, p.index, p.place, blocks);
  return trim(out, p);
}

Tensor Rng::normal(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype,
                   const Tensor& place) const {
  const Plan p = plan(index, shape, place);
  const int64_t blocks = (p.inner + 3) / 4;
  Tensor u = at::empty({p.shape[0], blocks * 2, 2}, at::kDouble);
  fill(u.data_ptr<double>(), 4, stream_key(key_, stream), epoch_, p.index, p.place, blocks);
  const Tensor radius = u.select(2, 0).log().mul_(-2).sqrt_(), angle = u.select(2, 1) * (2 * M_PI);
  const Tensor pairs = at::stack({radius * angle.cos(), radius * angle.sin()}, 2);
  return trim(pairs.reshape({p.shape[0], blocks * 4}), p).to(dtype);
}

Tensor Rng::gamma(const Tensor& concentration, std::string_view stream) const {
  const uint64_t key = stream_key(key_, stream);
  const Tensor shapes = concentration.to(at::kDouble).contiguous();
  Tensor out = at::empty_like(shapes);
  const double* shape = shapes.data_ptr<double>();
  double* result = out.data_ptr<double>();
  for (int64_t i = 0; i < shapes.numel(); ++i) {
    uint32_t draw = 0;
    const auto words = [&] { return philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), epoch_, draw++}, key); };
    double a = shape[i], boost = 1;
    if (a < 1) {  // Gamma(a) = Gamma(a + 1) U^(1/a)
      const auto w = words();
      boost = std::pow(unit53(w[0], w[1]), 1 / a);
      a += 1;
    }
    const double d = a - 1. / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const auto w = words(), v = words();
      const double x = std::sqrt(-2 * std::log(unit53(w[0], w[1]))) * std::cos(2 * M_PI * unit53(w[2], w[3]));
      const double cube = std::pow(1 + c * x, 3);
      if (cube > 0 && std::log(unit53(v[0], v[1])) < 0.5 * x * x + d - d * cube + d * std::log(cube)) {
        result[i] = d * cube * boost;
        break;
      }
    }
  }
  return out;
}

Tensor Rng::permutation(int64_t n) const {
  return std::get<1>(uniform(at::arange(n, at::kLong), {}, "permutation").sort(true, 0, false));
}

}  // namespace vem
