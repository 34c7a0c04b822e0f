// Threads, denormals and malloc, tuned once; BLAS, identified by the file that its symbols come from.
#include "vem/core/platform.h"

#include <ATen/Version.h>
#include <dlfcn.h>
#include <malloc.h>
#include <omp.h>

#include <chrono>
#include <cstdlib>
#include <string>

namespace vem {

namespace {

/// OpenBLAS knows processors by a list; one that is newer than the list gets kernels of 2004, which are five times
/// slower. Then its choice is made again, by what the processor can do. OPENBLAS_CORETYPE in the environment is heeded.
void choose_blas_kernels() {
  const std::string vectors = vector_instructions();
  const auto name = reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "gotoblas_corename"));
  const auto quit = reinterpret_cast<void (*)()>(dlsym(RTLD_DEFAULT, "gotoblas_dynamic_quit"));
  const auto init = reinterpret_cast<void (*)()>(dlsym(RTLD_DEFAULT, "gotoblas_dynamic_init"));
  if (!name || !quit || !init || vectors == "baseline" || std::string(name()) != "Prescott") return;
  if (setenv("OPENBLAS_CORETYPE", vectors == "AVX512" ? "SKYLAKEX" : "HASWELL", /*overwrite=*/0) != 0) return;
  quit();
  init();
}

}  // namespace

void tune_platform(int64_t threads) {
  choose_blas_kernels();
  // Activations and gradients are megabytes that come and go each step: keep them instead of asking the kernel. Without
  // effect where tcmalloc is linked, which does so by itself.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  // Results are the same for any number of threads; of MKL, where LibTorch has it, this must be asked.
  setenv("MKL_CBWR", "AUTO,STRICT", /*overwrite=*/0);
  // LibTorch itself counts physical cores; the second thread of one is worth having. OMP_NUM_THREADS is heeded.
  at::set_num_threads(threads > 0 ? static_cast<int>(threads) : omp_get_max_threads());
  at::globalContext().setFlushDenormal(true);
#pragma omp parallel
  at::globalContext().setFlushDenormal(true);  // the flag belongs to a thread
}

std::string vector_instructions() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return "AVX512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "AVX2";
#endif
  return "baseline";
}

BlasInfo blas_info() {
  BlasInfo info;
  Dl_info where;
  void* product = dlsym(RTLD_DEFAULT, "sgemm_");
  if (product && dladdr(product, &where) && where.dli_fname) info.library = where.dli_fname;
  if (at::hasMKL()) {  // inside libtorch_cpu itself
    info.config = at::get_mkl_version();
    return info;
  }
  using Text = char* (*)();
  using Number = int (*)();
  if (const auto config = reinterpret_cast<Text>(dlsym(RTLD_DEFAULT, "openblas_get_config"))) info.config = config();
  if (info.config.empty()) {
    info.warning =
        "matrix products use a reference BLAS, many times slower than OpenBLAS; apt-get install libopenblas-openmp-dev "
        "and build again";
    return info;
  }
  const auto parallel = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
  if (parallel && parallel() == 1)
    info.warning =
        "this OpenBLAS has threads of its own that fight with LibTorch's; apt-get install libopenblas-openmp-dev and "
        "build again";
  return info;
}

double measured_gflops(at::ScalarType dtype) {
  const int64_t n = 1024;
  const at::Tensor a = at::ones({n, n}, dtype), b = at::ones({n, n}, dtype);
  double best = 0;
  for (int i = 0; i < 6; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const at::Tensor c = at::mm(a, b);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * n * n * n / seconds * 1e-9);
  }
  return best;
}

}  // namespace vem
