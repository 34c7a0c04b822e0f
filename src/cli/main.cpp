// The program `vem`: the command line over the plug-ins that come with it.
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "vem/cli/run.h"
#include "vem/core/platform.h"
#include "vem/models/registry.h"

namespace {

/// Ends the program where a limit of its address space (ulimit -v) is too small for the buffers that OpenBLAS takes
/// when it is loaded: it asks for them again and again, for ever. Runs before any library has been initialised.
void require_address_space(int, char**, char** environment) {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  long threads = sysconf(_SC_NPROCESSORS_ONLN);
  for (char** entry = environment; *entry; ++entry)
    if (std::strncmp(*entry, "OMP_NUM_THREADS=", 16) == 0 && std::atol(*entry + 16) > 0)
      threads = std::atol(*entry + 16);
  const auto megabytes = [](int64_t bytes) { return static_cast<long>(bytes >> 20); };
  constexpr int64_t kStart = int64_t{128} << 20;  // what the libraries take beside, and the stacks of threads
  const auto needed = vem::memory_in_use().addresses + vem::blas_address_space(threads) + kStart;
  if (static_cast<int64_t>(limit.rlim_cur) >= needed) return;
  char text[256];
  const int size =
      std::snprintf(text, sizeof(text),
                    "vem: ulimit -v is %ld MiB, and the libraries alone take %ld MiB of addresses with %ld "
                    "threads; raise it, or set OMP_NUM_THREADS=1\n",
                    megabytes(static_cast<int64_t>(limit.rlim_cur)), megabytes(needed), threads);
  (void)!write(STDERR_FILENO, text, static_cast<size_t>(size));
  _exit(EX_OSERR);
}

__attribute__((section(".preinit_array"), used)) void (*const g_first)(int, char**, char**) = require_address_space;

}  // namespace

int main(int argc, char** argv) { return vem::run(argc, argv, vem::builtin_registry()); }
