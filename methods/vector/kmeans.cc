#include "methods/vector/kmeans.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "models/engine/nearest_word.h"
#include "models/engine/parallel.h"

namespace tnb {

at::Tensor NearestWords(const at::Tensor& points, const at::Tensor& words) {
  const at::Tensor from = points.contiguous();
  const int64_t n = from.size(0), size = from.size(1), k = words.size(0), padded = (k + 15) / 16 * 16;
  const at::Tensor turned = at::constant_pad_nd(words.t(), {0, padded - k}).contiguous();
  const at::Tensor halves =
      at::constant_pad_nd(words.square().sum(1) * 0.5, {0, padded - k}, INFINITY).contiguous();
  at::Tensor codes = at::empty({n}, at::kInt);
  const float* x = from.const_data_ptr<float>();
  const float* table = turned.const_data_ptr<float>();
  const float* lengths = halves.const_data_ptr<float>();
  int32_t* out = codes.mutable_data_ptr<int32_t>();
  ParallelFor(n, std::max<int64_t>(1, (1 << 16) / (padded * size)), [&](int64_t begin, int64_t end) {
    kernels::NearestRows(x + begin * size, end - begin, size, table, lengths, padded, out + begin);
  });
  return codes;
}

Clustering KMeans(const at::Tensor& points, int64_t k, int64_t iterations, int64_t seed) {
  PythonRandom random(seed);
  const std::vector<size_t> chosen =
      random.Sample(static_cast<size_t>(points.size(0)), static_cast<size_t>(k));
  const std::vector<int64_t> index(chosen.begin(), chosen.end());
  return KMeansFrom(points, points.index_select(0, at::tensor(index, at::kLong)), iterations);
}

namespace {

// Sums of the points of every entry and their numbers. Points are cut into a fixed number of pieces, each
// with sums of its own that are added in order: the same bits for every number of threads.
struct Sums {
  std::vector<double> values;
  std::vector<int64_t> counts;
};

void AddUp(const float* x, const int32_t* code, int64_t n, int64_t k, int64_t size,
           std::vector<Sums>& pieces) {
  const auto count = static_cast<int64_t>(pieces.size());
  ParallelFor(count, 1, [&](int64_t first, int64_t last) {
    for (int64_t piece = first; piece < last; ++piece) {
      Sums& sums = pieces[static_cast<size_t>(piece)];
      sums.values.assign(static_cast<size_t>(k * size), 0);
      sums.counts.assign(static_cast<size_t>(k), 0);
      for (int64_t i = n * piece / count; i < n * (piece + 1) / count; ++i) {
        double* sum = sums.values.data() + code[i] * size;
        for (int64_t j = 0; j < size; ++j) sum[j] += double{x[i * size + j]};
        ++sums.counts[static_cast<size_t>(code[i])];
      }
    }
  });
  Sums& all = pieces[0];
  for (size_t piece = 1; piece < pieces.size(); ++piece) {
    for (size_t i = 0; i < all.values.size(); ++i) all.values[i] += pieces[piece].values[i];
    for (size_t i = 0; i < all.counts.size(); ++i) all.counts[i] += pieces[piece].counts[i];
  }
}

}  // namespace

Clustering KMeansFrom(const at::Tensor& points, at::Tensor words, int64_t iterations) {
  const at::Tensor from = points.contiguous();
  const int64_t n = from.size(0), size = from.size(1), k = words.size(0);
  words = words.contiguous().clone();
  const float* x = from.const_data_ptr<float>();
  float* const entry = words.mutable_data_ptr<float>();
  // So many points that adding up the pieces is little work.
  std::vector<Sums> pieces(static_cast<size_t>(std::clamp<int64_t>(n / (16 * k), 1, 8)));
  at::Tensor codes;
  for (int64_t iteration = 0; iteration < iterations; ++iteration) {
    at::Tensor nearest = NearestWords(from, words);
    // The same codes give the same entries: nothing will change any more.
    if (codes.defined() && at::equal(nearest, codes)) return {words, codes};
    codes = std::move(nearest);
    AddUp(x, codes.const_data_ptr<int32_t>(), n, k, size, pieces);
    for (int64_t c = 0; c < k; ++c) {
      const int64_t count = pieces[0].counts[static_cast<size_t>(c)];
      if (count == 0) continue;
      for (int64_t j = 0; j < size; ++j) {
        entry[c * size + j] = static_cast<float>(pieces[0].values[static_cast<size_t>(c * size + j)] /
                                                 static_cast<double>(count));
      }
    }
  }
  return {words, NearestWords(from, words)};
}

}  // namespace tnb
