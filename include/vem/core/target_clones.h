// One binary, each machine its own vector instructions: put VEM_CLONES before a function with a hot loop, VEM_INLINE
// before what the loop calls (so that it is compiled for that machine too) and VEM_INDEPENDENT before the loop itself
// if no iteration reads what another one writes.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VEM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VEM_CLONES
#endif

#define VEM_INLINE inline __attribute__((always_inline))

#if defined(__clang__)
#define VEM_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define VEM_INDEPENDENT _Pragma("GCC ivdep")
#endif
