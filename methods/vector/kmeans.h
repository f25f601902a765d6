// methods/vector quantizes vectors with codebooks: k-means, product quantization and what builds on it.
//
// k-means as scipy.cluster.vq.kmeans2 does it for the release of QET: random points to begin with, Lloyd's
// iterations, and an entry that no point is nearest to stays where it was. Deterministic for a seed,
// whatever the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tnb {

// The nearest entry of every point by squared distance, the first of equals: int32 [n]. `points` [n, size],
// `words` [k, size], fp32.
at::Tensor NearestWords(const at::Tensor& points, const at::Tensor& words);

struct Clustering {
  at::Tensor words;  // fp32 [k, size]
  at::Tensor codes;  // int32 [n], the nearest of `words`
};
// `k` up to the number of points.
Clustering KMeans(const at::Tensor& points, int64_t k, int64_t iterations, int64_t seed);
// The same from given entries.
Clustering KMeansFrom(const at::Tensor& points, at::Tensor words, int64_t iterations);

}  // namespace tnb
