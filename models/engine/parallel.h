// Work over the threads set for LibTorch (at::set_num_threads): one pool for everything in the process.
#pragma once

#include <cstdint>
#include <functional>

namespace tnb {

using ParallelBody = std::function<void(int64_t begin, int64_t end)>;
void RunParallel(int64_t count, int64_t grain, const ParallelBody& body);

// Calls body(begin, end) on disjoint ranges that cover [0, count); in this thread alone when `count` is small
// (at most `grain`) or one thread is set.
template <typename Body>
void ParallelFor(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  if (count <= grain) return body(0, count);
  RunParallel(count, grain, std::cref(body));  // a reference: a copy of many captures would be allocated
}
int Threads();
void SetThreads(int threads);

}  // namespace tnb
