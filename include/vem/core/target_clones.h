// One binary, each machine its own vector instructions: put VEM_CLONES before a function with a hot loop.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VEM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VEM_CLONES
#endif
