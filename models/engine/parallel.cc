#include "models/engine/parallel.h"

#include <ATen/Parallel.h>

#ifndef _OPENMP
#error "compile this file with OpenMP: at::parallel_for is a serial loop without"
#endif

namespace tnb {

void RunParallel(int64_t count, int64_t grain, const ParallelBody& body) {
  at::parallel_for(0, count, grain, body);
}

int Threads() { return at::get_num_threads(); }
void SetThreads(int threads) { at::set_num_threads(threads); }

}  // namespace tnb
