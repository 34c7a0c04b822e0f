// The machine: threads, denormals, malloc, and which BLAS the program has found.
#pragma once

#include <string>

namespace vem {

/// Sets the number of threads (0: all cores), flushes denormals on every one of them and keeps large buffers mapped.
/// Both change the speed of a training step by up to ten times and twenty percent.
void tune_platform(int64_t threads);

struct BlasInfo {
  std::string library;  ///< the file that holds sgemm
  std::string config;   ///< what the library says of itself, if it is OpenBLAS
  std::string warning;  ///< why it will be slow; empty if it will not
};
BlasInfo blas_info();
/// Measured GFLOP/s of a float32 product of 1024 x 1024 matrices with the current threads.
double measured_gflops();

}  // namespace vem
