// A program of libFuzzer for the harnesses of one layer; run.sh starts it. The environment says what it does:
//   VEM_FUZZ_HARNESS=NAME  which harness runs
//   VEM_FUZZ_SEEDS=FOLDER  its seeds are written there, and nothing is run
//   neither                the names of the harnesses are printed, and nothing is run
// $TMPDIR should be in memory: the file is written anew for each input.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz/harness.h"

namespace {

const vem::Harness* g_harness = nullptr;
std::string g_folder;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  const char* const name = std::getenv("VEM_FUZZ_HARNESS");
  for (const vem::Harness& harness : vem::harnesses()) {
    if (!name) std::puts(harness.name);
    if (name && std::string(name) == harness.name) g_harness = &harness;
  }
  if (!name) std::exit(0);
  if (!g_harness) std::exit(64);
  if (const char* const seeds = std::getenv("VEM_FUZZ_SEEDS")) {
    for (size_t i = 0; i < g_harness->seeds.size(); ++i)
      std::ofstream(std::string(seeds) + "/seed" + std::to_string(i), std::ios::binary) << g_harness->seeds[i];
    std::exit(0);
  }
  g_folder = (std::filesystem::temp_directory_path() / ("vem-fuzz-" + std::to_string(getpid()))).string();
  std::filesystem::create_directories(g_folder);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vem::read_as(*g_harness, g_folder, std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
