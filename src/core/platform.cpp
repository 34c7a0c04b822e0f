// Threads, denormals and malloc, tuned once; BLAS, identified by the file that its symbols come from.
#include "vem/core/platform.h"

#include <ATen/Version.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <omp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "vem/core/error.h"
#include "vem/core/warning.h"

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

/// As many threads as are asked for (0: all cores, or OMP_NUM_THREADS), but no more than there are cores.
int64_t allowed_threads(int64_t wanted) {
  const int64_t cores = omp_get_num_procs(), asked = wanted > 0 ? wanted : omp_get_max_threads();
  if (asked <= cores) return asked;
  warn("{} threads are asked for, and there are {} cores: {} threads are used", asked, cores, cores);
  return cores;
}

/// Lets OpenBLAS take its buffers now, one a thread, while it is known that there are addresses for them.
void take_blas_buffers(int64_t threads) {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  static int64_t taken = 0;  // beside those of the libraries, as OpenBLAS was loaded
  if (threads <= taken) return;
  const int64_t left = static_cast<int64_t>(limit.rlim_cur) - memory_in_use().addresses,
                needed = blas_address_space(threads) - blas_address_space(taken);
  if (left < needed)
    fail<Error>(
        "ulimit -v leaves {} MiB of addresses, and {} threads of OpenBLAS take {} MiB more; raise it, or ask for fewer "
        "threads",
        left >> 20, threads, needed >> 20);
  const at::Tensor a = at::ones({256, 256}, at::kFloat);
  std::vector<at::Tensor> products(static_cast<size_t>(threads));
  const int count = static_cast<int>(threads);
#pragma omp parallel num_threads(count)
  {
#pragma omp barrier
    products[static_cast<size_t>(omp_get_thread_num())] = at::mm(a, a);
  }
  taken = threads;
}

}  // namespace

MemoryInUse memory_in_use() {
  char text[256] = "";
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const ssize_t size = ::read(file, text, sizeof(text) - 1);
  ::close(file);
  if (size <= 0) return {};
  int64_t pages[6] = {};  // of proc(5): size, resident, shared, text, lib, data
  char* at = text;
  for (int64_t& number : pages) number = std::strtol(at, &at, 10);
  return {pages[0] * sysconf(_SC_PAGESIZE), pages[5] * sysconf(_SC_PAGESIZE)};
}

int64_t blas_address_space(int64_t threads) { return (threads + 2) * (int64_t{128} << 20); }

void tune_platform(int64_t threads) {
  choose_blas_kernels();
  threads = allowed_threads(threads);
  // Activations and gradients are megabytes that come and go each step: keep them instead of asking the kernel. Without
  // effect where tcmalloc is linked, which does so by itself.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  // Results are the same for any number of threads; of MKL, where LibTorch has it, this must be asked.
  setenv("MKL_CBWR", "AUTO,STRICT", /*overwrite=*/0);
  // LibTorch itself counts physical cores; the second thread of one is worth having. OMP_NUM_THREADS is heeded.
  at::set_num_threads(static_cast<int>(threads));
  at::globalContext().setFlushDenormal(true);
#pragma omp parallel
  at::globalContext().setFlushDenormal(true);  // the flag belongs to a thread
  take_blas_buffers(threads);
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
