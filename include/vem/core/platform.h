// The machine: threads, denormals, malloc, and which BLAS the program has found.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace vem {

/// Sets the number of threads (0: all cores, or OMP_NUM_THREADS), flushes denormals on every one of them, keeps large
/// buffers mapped and sees to it that OpenBLAS uses the processor's vectors. These change the speed of a training step
/// by up to ten times, twenty percent and five times. A program calls it before its first product; `vem` does. More
/// threads than there are cores are cut to as many, with a warning. Throws Error where a limit of the address space
/// (ulimit -v) is too small for the buffers that OpenBLAS takes for so many threads: it would ask for them for ever.
void tune_platform(int64_t threads);

/// Bytes that this program has in use, as the limits RLIMIT_AS and RLIMIT_DATA count them; 0 where the system does not
/// say. May be called before the C++ library is initialised.
struct MemoryInUse {
  int64_t addresses = 0, data = 0;
};
MemoryInUse memory_in_use();
/// Bytes of addresses that OpenBLAS takes for its buffers with so many threads: one for each, one for the caller and
/// one to spare.
int64_t blas_address_space(int64_t threads);

/// The widest vector instructions of this processor that LibTorch has kernels for: "AVX512", "AVX2" or "baseline".
std::string vector_instructions();

struct BlasInfo {
  std::string library;  ///< the file that holds sgemm
  std::string config;   ///< what the library says of itself, if it is OpenBLAS
  std::string warning;  ///< why it will be slow; empty if it will not
};
BlasInfo blas_info();
/// Measured GFLOP/s of a product of 1024 x 1024 matrices with the current threads.
double measured_gflops(at::ScalarType dtype);

}  // namespace vem
