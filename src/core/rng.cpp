// Philox4x32-10, vectorised over counters. Counter words: item, place and high item bits, epoch, block of four draws.
#include "vem/core/rng.h"

#include <algorithm>
#include <array>

#include "box_muller.h"
#include "unit_interval.h"
#include "vem/core/error.h"
#include "vem/core/target_clones.h"

namespace vem {
namespace {

// Counters go through the rounds kLanes at a time; a group is their 4 * kLanes words, word by word, so that everything
// is stored in whole vectors. A row of numbers begins a new group.
constexpr int kLanes = 16, kGroup = 4 * kLanes, kHalf = kGroup / 2;

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

// The ways to turn a group into numbers: 23 bits on (0, 1) for float32, 53 for float64, pairs of normal ones from 32
// bits each.
VEM_CLONES void fill_23(const Place& p, float* __restrict out) {
  alignas(64) uint32_t w[kGroup];
  group(p, w);
#pragma omp simd
  for (int i = 0; i < kGroup; ++i) out[i] = unit_23(w[i] >> 9);
}
VEM_CLONES void fill_53(const Place& p, double* __restrict out) {
  alignas(64) uint32_t w[kGroup];
  group(p, w);
#pragma omp simd
  for (int i = 0; i < kHalf; ++i) out[i] = unit_53((static_cast<uint64_t>(w[i]) << 21) ^ (w[kHalf + i] >> 11));
}
VEM_CLONES void fill_normal(const Place& p, double* __restrict out) {
  alignas(64) uint32_t w[kGroup];
  group(p, w);
#pragma omp simd
  for (int i = 0; i < kHalf; ++i) {
    const double u = (static_cast<double>(w[i]) + 0.5) * 0x1.0p-32,
                 turn = (static_cast<double>(w[kHalf + i]) + 0.5) * 0x1.0p-32;
    const double radius = __builtin_sqrt(-2 * log_unit(u));
    double sine, cosine;
    sin_cos_turn(turn, &sine, &cosine);
    out[i] = radius * cosine;
    out[kHalf + i] = radius * sine;
  }
}

double unit_of(uint32_t high, uint32_t low) { return unit_53(((static_cast<uint64_t>(high) << 32) | low) >> 11); }

/// What is drawn: rows of `inner` numbers, and who they belong to.
struct Plan {
  Plan(uint64_t key, uint32_t epoch, const Tensor& index, at::IntArrayRef row, const Tensor& place)
      : key(key),
        epoch(epoch),
        index(index.contiguous()),
        place(place.defined() ? place.contiguous() : place),
        shape{index.numel()} {
    shape.insert(shape.end(), row.begin(), row.end());
    for (const int64_t size : row) inner *= size;
  }

  uint64_t key;
  uint32_t epoch;
  Tensor index, place;
  Shape shape;        // of the result
  int64_t inner = 1;  // numbers a row
};

/// Calls use(first number, how many, the numbers) for each group of `per_group` numbers of each row.
template <class T, class Use>
void for_each_group(const Plan& plan, int64_t per_group, void (*fill_group)(const Place&, T*), const Use& use) {
  const int64_t* items = plan.index.data_ptr<int64_t>();
  const int64_t* places = plan.place.defined() ? plan.place.data_ptr<int64_t>() : nullptr;
  const int64_t groups = (plan.inner + per_group - 1) / per_group;
  at::parallel_for(0, plan.index.numel() * groups, 512, [&](int64_t begin, int64_t end) {
    alignas(64) T numbers[kGroup];
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = t / groups, first = (t % groups) * per_group;
      const auto item = static_cast<uint64_t>(items[row]);
      const uint32_t place =
          static_cast<uint32_t>(places ? places[row] : 0) ^ static_cast<uint32_t>((item >> 32) << 20);
      fill_group({plan.key, static_cast<uint32_t>(item), place, plan.epoch, static_cast<uint32_t>(t % groups) * kLanes},
                 numbers);
      use(row * plan.inner + first, std::min(per_group, plan.inner - first), numbers);
    }
  });
}

/// The numbers themselves as a tensor of Out.
template <class Out, class T>
Tensor filled(const Plan& plan, int64_t per_group, void (*fill_group)(const Place&, T*)) {
  Tensor result = at::empty(plan.shape, c10::CppTypeToScalarType<Out>::value);
  Out* out = result.data_ptr<Out>();
  for_each_group(plan, per_group, fill_group, [out](int64_t first, int64_t n, const T* numbers) {
    for (int64_t i = 0; i < n; ++i) out[first + i] = static_cast<Out>(numbers[i]);
  });
  return result;
}

/// 1 where a uniform number is below x / scale.
template <class X>
Tensor coins(const Plan& plan, const Tensor& x, float scale) {
  Tensor result = at::empty(plan.shape, at::kFloat);
  float* out = result.data_ptr<float>();
  const X* p = x.data_ptr<X>();
  for_each_group(plan, kGroup, &fill_23, [=](int64_t first, int64_t n, const float* u) {
    for (int64_t i = 0; i < n; ++i) out[first + i] = u[i] < static_cast<float>(p[first + i]) / scale ? 1.0f : 0.0f;
  });
  return result;
}

/// Zeros [rows, *row] of this type, whose number of rows stays that of `index` in a trace.
Tensor zeros_like_rows(const Tensor& index, const Shape& row, at::ScalarType dtype) {
  Shape ones(row.size() + 1, 1), wide(row.size() + 1, -1);
  ones[0] = -1;
  std::copy(row.begin(), row.end(), wide.begin() + 1);
  return at::zeros_like(index, at::TensorOptions(dtype)).view(ones).expand(wide);
}

/// LibTorch's uniform numbers lie on [0, 1); 0 becomes half of the smallest step.
Tensor open_uniform(const Tensor& like) {
  return at::rand_like(like).clamp_min(like.scalar_type() == at::kFloat ? 0x1.0p-25 : 0x1.0p-54);
}

void require_floating(const char* where, at::ScalarType dtype) {
  if (dtype != at::kFloat && dtype != at::kDouble)
    fail<Error>("{}: dtype is {}, float32 or float64 is expected", where, toString(dtype));
}

}  // namespace

std::array<uint32_t, 4> philox4x32(const std::array<uint32_t, 4>& counter, uint64_t key) {
  uint32_t w[kGroup] = {};
  for (int i = 0; i < 4; ++i) w[i * kLanes] = counter[static_cast<size_t>(i)];
  rounds(key, w, w + kLanes, w + 2 * kLanes, w + 3 * kLanes);
  return {w[0], w[kLanes], w[2 * kLanes], w[3 * kLanes]};
}

Rng Rng::recorded() { return Rng(0, 0, true); }
Rng Rng::at(int64_t epoch) const { return Rng(key_, static_cast<uint32_t>(epoch), recorded_); }
Rng Rng::fold(uint64_t tag) const { return Rng(mix(key_ ^ mix(tag)), epoch_, recorded_); }
Rng Rng::fold(std::string_view tag) const { return fold(hash(tag)); }

Tensor Rng::uniform(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype,
                    const Tensor& place) const {
  require_floating("rng.uniform", dtype);
  if (recorded_) return open_uniform(zeros_like_rows(index, shape, dtype));
  const Plan plan(stream_key(key_, stream), epoch_, index, shape, place);
  return dtype == at::kFloat ? filled<float>(plan, kGroup, &fill_23) : filled<double>(plan, kHalf, &fill_53);
}

Tensor Rng::normal(const Tensor& index, const Shape& shape, std::string_view stream, at::ScalarType dtype,
                   const Tensor& place) const {
  require_floating("rng.normal", dtype);
  if (recorded_) return at::randn_like(zeros_like_rows(index, shape, dtype));
  const Plan plan(stream_key(key_, stream), epoch_, index, shape, place);
  return dtype == at::kFloat ? filled<float>(plan, kGroup, &fill_normal) : filled<double>(plan, kGroup, &fill_normal);
}

Tensor Rng::bernoulli(const Tensor& index, const Tensor& x, double scale, std::string_view stream,
                      const Tensor& place) const {
  if (recorded_) return at::bernoulli(x.to(at::kFloat) / scale);
  const Plan plan(stream_key(key_, stream), epoch_, index, x.sizes().slice(1), place);
  const auto probability_scale = static_cast<float>(scale);
  return x.scalar_type() == at::kByte ? coins<uint8_t>(plan, x.contiguous(), probability_scale)
                                      : coins<float>(plan, x.to(at::kFloat).contiguous(), probability_scale);
}

Tensor Rng::gamma(const Tensor& concentration, std::string_view stream) const {
  if (recorded_) return at::_standard_gamma(concentration.to(at::kDouble));
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
      boost = std::pow(unit_of(w[0], w[1]), 1 / a);
      a += 1;
    }
    const double d = a - 1. / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const auto w = words(), v = words();
      const double x = std::sqrt(-2 * std::log(unit_of(w[0], w[1]))) * std::cos(2 * M_PI * unit_of(w[2], w[3]));
      const double cube = std::pow(1 + c * x, 3);
      if (cube > 0 && std::log(unit_of(v[0], v[1])) < 0.5 * x * x + d - d * cube + d * std::log(cube)) {
        result[i] = d * cube * boost;
        break;
      }
    }
  }
  return out;
}

Tensor Rng::permutation(int64_t n) const {
  constexpr int64_t kAtOnce = 1 << 16;  // of keys: what a data set on disk can spare is little
  std::vector<double> keys(static_cast<size_t>(n));
  for (int64_t begin = 0; begin < n; begin += kAtOnce) {
    const Tensor part = uniform(at::arange(begin, std::min(n, begin + kAtOnce), at::kLong), {}, "permutation");
    std::copy_n(part.data_ptr<double>(), part.numel(), keys.data() + begin);
  }
  const Tensor order = at::arange(n, at::kLong);
  int64_t* const places = order.data_ptr<int64_t>();
  std::sort(places, places + n, [&](int64_t a, int64_t b) {
    const double x = keys[static_cast<size_t>(a)], y = keys[static_cast<size_t>(b)];
    return x < y || (x == y && a < b);
  });
  return order;
}

}  // namespace vem
