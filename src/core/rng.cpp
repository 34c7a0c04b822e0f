// Philox4x32-10, vectorised over counters. Counter words: item, place and high item bits, epoch, block of four draws.
#include "vem/core/rng.h"

#include <array>

#include "vem/core/error.h"
#include "vem/core/target_clones.h"

namespace vem {
namespace {

// Counters go through the rounds kLanes at a time; a group is their 4 * kLanes words, word by word, so that everything
// is stored in whole vectors. A row of numbers begins a new group.
constexpr int kLanes = 16, kGroup = 4 * kLanes;

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

/// Where a group of draws belongs.
struct Place {
  uint64_t key;
  uint32_t item, place, epoch, first_block;
};

__attribute__((always_inline)) inline void rounds(uint64_t key, uint32_t* __restrict a, uint32_t* __restrict b,
                                                  uint32_t* __restrict c, uint32_t* __restrict d) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
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

__attribute__((always_inline)) inline void group(const Place& p, uint32_t* __restrict w) {
#pragma omp simd
  for (int i = 0; i < kLanes; ++i) {
    w[i] = p.item;
    w[kLanes + i] = p.place;
    w[2 * kLanes + i] = p.epoch;
    w[3 * kLanes + i] = p.first_block + static_cast<uint32_t>(i);
  }
  rounds(p.key, w, w + kLanes, w + 2 * kLanes, w + 3 * kLanes);
}

// The three ways to turn a group into numbers on (0, 1): 23 bits for float32, 32 for Box-Muller, 53 for float64.
VEM_CLONES void fill_23(const Place& p, float* __restrict out) {
  alignas(64) uint32_t w[kGroup];
  group(p, w);
#pragma omp simd
  for (int i = 0; i < kGroup; ++i) out[i] = (static_cast<float>(static_cast<int32_t>(w[i] >> 9)) + 0.5f) * 0x1.0p-23f;
}
VEM_CLONES void fill_32(const Place& p, double* __restrict out) {
  alignas(64) uint32_t w[kGroup];
  group(p, w);
#pragma omp simd
  for (int i = 0; i < kGroup; ++i) out[i] = (static_cast<double>(w[i]) + 0.5) * 0x1.0p-32;
}
VEM_CLONES void fill_53(const Place& p, double* __restrict out) {
  alignas(64) uint32_t w[kGroup];
  group(p, w);
#pragma omp simd
  for (int i = 0; i < kGroup / 2; ++i) {
    const uint64_t bits = (static_cast<uint64_t>(w[i]) << 21) ^ (w[kGroup / 2 + i] >> 11);
    out[i] = (static_cast<double>(static_cast<int64_t>(bits)) + 0.5) * 0x1.0p-53;
  }
}

double unit53(uint32_t high, uint32_t low) {
  return (static_cast<double>(((static_cast<uint64_t>(high) << 32) | low) >> 11) + 0.5) * 0x1.0p-53;
}
/// Fills rows of `groups` groups each, `per_group` numbers a group.
template <class T>
void fill(T* out, int64_t per_group, uint64_t key, uint32_t epoch, const Tensor& index, const Tensor& place,
          int64_t groups, void (*fill_group)(const Place&, T*)) {
  const int64_t* items = index.data_ptr<int64_t>();
  const int64_t* places = place.defined() ? place.data_ptr<int64_t>() : nullptr;
  at::parallel_for(0, index.numel() * groups, 512, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = t / groups;
      const auto item = static_cast<uint64_t>(items[row]);
      const Place p{key, static_cast<uint32_t>(item),
                    static_cast<uint32_t>(places ? places[row] : 0) ^ static_cast<uint32_t>((item >> 32) << 20), epoch,
                    static_cast<uint32_t>((t % groups) * kLanes)};
      fill_group(p, out + t * per_group);
    }
  });
}

struct Plan {
  Tensor index, place;
  Shape shape;    // of the result
  int64_t inner;  // numbers a row
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
  uint32_t w[kGroup] = {};
  for (int i = 0; i < 4; ++i) w[i * kLanes] = counter[static_cast<size_t>(i)];
  rounds(key, w, w + kLanes, w + 2 * kLanes, w + 3 * kLanes);
  return {w[0], w[kLanes], w[2 * kLanes], w[3 * kLanes]};
}

Rng Rng::at(int64_t epoch) const { return Rng(key_, static_cast<uint32_t>(epoch)); }
Rng Rng::fold(uint64_t tag) const { return Rng(mix(key_ ^ mix(tag)), epoch_); }
Rng Rng::fold(std::string_view tag) const { return fold(hash(tag)); }

Tensor Rng::uniform(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype,
                    const Tensor& place) const {
  const Plan p = plan(index, shape, place);
  const uint64_t key = stream_key(key_, stream);
  if (dtype == at::kFloat) {
    const int64_t groups = (p.inner + kGroup - 1) / kGroup;
    Tensor out = at::empty({p.shape[0], groups * kGroup}, at::kFloat);
    fill(out.data_ptr<float>(), kGroup, key, epoch_, p.index, p.place, groups, &fill_23);
    return trim(out, p);
  }
  if (dtype != at::kDouble) fail<Error>("rng.uniform: dtype is {}, float32 or float64 is expected", toString(dtype));
  const int64_t groups = (p.inner + kGroup / 2 - 1) / (kGroup / 2);
  Tensor out = at::empty({p.shape[0], groups * kGroup / 2}, at::kDouble);
  fill(out.data_ptr<double>(), kGroup / 2, key, epoch_, p.index, p.place, groups, &fill_53);
  return trim(out, p);
}

Tensor Rng::normal(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype,
                   const Tensor& place) const {
  const Plan p = plan(index, shape, place);
  const int64_t groups = (p.inner + kGroup - 1) / kGroup;
  Tensor u = at::empty({p.shape[0], groups, 2, kGroup / 2}, at::kDouble);
  fill(u.data_ptr<double>(), kGroup, stream_key(key_, stream), epoch_, p.index, p.place, groups, &fill_32);
  const Tensor radius = u.select(2, 0).log().mul_(-2).sqrt_(), angle = u.select(2, 1) * (2 * M_PI);
  const Tensor pairs = at::stack({radius * angle.cos(), radius * angle.sin()}, 2);
  return trim(pairs.reshape({p.shape[0], groups * kGroup}), p).to(dtype);
}

Tensor Rng::gamma(const Tensor& concentration, std::string_view stream) const {
  const uint64_t key = stream_key(key_, stream);
  const Tensor shapes = concentration.to(at::kDouble).contiguous();
  Tensor out = at::empty_like(shapes);
  const double* shape = shapes.data_ptr<double>();
  double* result = out.data_ptr<double>();
  for (int64_t i = 0; i < shapes.numel(); ++i) {
    uint32_t draw = 0;
    const auto words = [&] {
      return philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), epoch_, draw++}, key);
    };
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
