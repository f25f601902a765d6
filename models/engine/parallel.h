// Work over the threads set for LibTorch (at::set_num_threads): one pool for everything in the process.
#pragma once

#include <cstdint>
#include <functional>

namespace tnb {

// Calls body(begin, end) on disjoint ranges that cover [0, count); in this thread alone when `count` is small
// (at most `grain`) or one thread is set.
void ParallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);
int Threads();
void SetThreads(int threads);

}  // namespace tnb
