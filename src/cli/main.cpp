// The program `vem`: the command line over the plug-ins that come with it.
#include "vem/cli/run.h"
#include "vem/models/registry.h"

int main(int argc, char** argv) { return vem::run(argc, argv, vem::builtin_registry()); }
