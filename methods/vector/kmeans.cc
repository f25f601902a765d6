#include "methods/vector/kmeans.h"

#include <ATen/ATen.h>

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
    for (int64_t i = begin; i < end; ++i) {
      kernels::NearestRow(x + i * size, size, table, lengths, padded, out + i);
    }
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

Clustering KMeansFrom(const at::Tensor& points, at::Tensor words, int64_t iterations) {
  const at::Tensor from = points.contiguous();
  const int64_t n = from.size(0), size = from.size(1), k = words.size(0);
  words = words.contiguous().clone();
  const float* x = from.const_data_ptr<float>();
  float* const entry = words.mutable_data_ptr<float>();
  std::vector<double> sums;
  std::vector<int64_t> counts;
  for (int64_t iteration = 0; iteration < iterations; ++iteration) {
    const at::Tensor codes = NearestWords(from, words);
    const int32_t* code = codes.const_data_ptr<int32_t>();
    sums.assign(static_cast<size_t>(k * size), 0);
    counts.assign(static_cast<size_t>(k), 0);
    for (int64_t i = 0; i < n; ++i) {
      double* sum = sums.data() + code[i] * size;
      for (int64_t j = 0; j < size; ++j) sum[j] += double{x[i * size + j]};
      ++counts[static_cast<size_t>(code[i])];
    }
    for (int64_t c = 0; c < k; ++c) {
      const int64_t count = counts[static_cast<size_t>(c)];
      if (count == 0) continue;
      for (int64_t j = 0; j < size; ++j) {
        entry[c * size + j] =
            static_cast<float>(sums[static_cast<size_t>(c * size + j)] / static_cast<double>(count));
      }
    }
  }
  return {words, NearestWords(from, words)};
}

}  // namespace tnb
