// The operations between the linears, against their formulas in fp64.
#include "models/engine/ops.h"

#include <ATen/ATen.h>

#include <cmath>

#include "tests/support/catch.h"

namespace tnb {

TEST_CASE("softmax of a row is that of its keys alone") {
  for (const int64_t count : {1, 2, 15, 16, 17, 31, 32, 33, 100}) {
    for (const int64_t first : {0, 1, 7, 40}) {
      const int64_t last = first + count - 1, end = last + 1 + 20;
      // What lies beside the keys does not count, whatever it is.
      std::vector<float> scores(static_cast<size_t>(end + 32), NAN), plain;
      for (int64_t j = first; j <= last; ++j) {
        scores[static_cast<size_t>(j)] = static_cast<float>(std::sin(static_cast<double>(3 * j))) * 9;
        plain.push_back(scores[static_cast<size_t>(j)]);
      }
      const float inverse = kernels::SoftmaxRow(scores.data(), first, last, end);
      const at::Tensor expected = at::softmax(at::tensor(plain, at::kDouble), 0);
      for (int64_t j = 0; j < end; ++j) {
        CAPTURE(count, first, j);
        const double wanted = j < first || j > last ? 0 : expected[j - first].item<double>();
        // Scores differ by up to 18, which fp32 rounds by 1e-6: the error of exp of them, beside its own and
        // the sum's.
        REQUIRE(std::abs(scores[static_cast<size_t>(j)] * inverse - wanted) <= 3e-6 * wanted);
      }
    }
  }
}

TEST_CASE("summaries of rows of logits") {
  for (const int64_t size : {1, 3, 15, 16, 17, 63, 65, 5000}) {
    const at::Tensor logits = at::randn({4, size}) * 5;
    logits[1].fill_(-3);        // all equal: the first
    logits[2][size - 1] = 100;  // the last
    logits[3][size / 2] = 50;   // twice the largest: the first of them
    logits[3][size - 1] = 50;
    const std::vector<RowSummary> summaries = Summarize(logits);
    for (int64_t i = 0; i < 4; ++i) {
      CAPTURE(size, i);
      CHECK(summaries[static_cast<size_t>(i)].argmax == logits[i].argmax().item<int64_t>());
      CHECK(summaries[static_cast<size_t>(i)].log_sum_exp ==
            Approx(at::logsumexp(logits[i].to(at::kDouble), 0).item<double>()).epsilon(1e-6));
    }
    CHECK(summaries[1].argmax == 0);
    CHECK(summaries[3].argmax == size / 2);
  }
}

TEST_CASE("norm with and without addition") {
  for (const int64_t size : {1, 17, 64, 577}) {
    const at::Tensor x = at::randn({5, size}), delta = at::randn({5, size}), gain = at::randn({size});
    const auto norm = [&](const at::Tensor& y) {
      const at::Tensor wide = y.to(at::kDouble);
      return (wide * at::rsqrt(wide.square().mean(1, true) + 1e-5) * gain).to(at::kFloat);
    };
    CHECK(at::allclose(RmsNorm(x, gain, 1e-5), norm(x), 1e-5, 1e-6));
    at::Tensor sum = x.clone();
    CHECK(at::allclose(AddRmsNorm(sum, delta, gain, 1e-5), norm(x + delta), 1e-5, 1e-6));
    CHECK(at::equal(sum, x + delta));
  }
}

TEST_CASE("attention over pieces of the cache that lie anywhere") {
  ModelConfig config;
  config.block_count = 1;
  config.kv_head_count = 2;
  config.head_size = 24;
  const int64_t count = 90;
  const at::Tensor q = at::randn({count, 6, 24}), k = at::randn({count, 2, 24}),
                   v = at::randn({count, 2, 24});
  const auto attend = [&](const std::vector<CacheSpan>& spans, int64_t window) {
    KvCache cache(config, 300);
    std::vector<int64_t> slots, positions;
    for (const CacheSpan& span : spans) {
      for (int64_t i = 0; i < span.count; ++i) slots.push_back(span.begin + i);
    }
    for (int64_t i = 0; i < count; ++i) positions.push_back(i);
    cache.Store(0, k, v, slots);
    const std::vector<AttentionRun> runs = {{spans, positions, 0}};
    const KvCache::Opened past = cache.Open(0, runs);
    return Attention(q, runs, past.keys, past.values, window).clone();
  };
  for (const int64_t window : {0, 40}) {
    const at::Tensor whole = attend({{0, 90}}, window);
    const at::Tensor heads_k = k.repeat_interleave(3, 1).transpose(0, 1),
                     heads_v = v.repeat_interleave(3, 1).transpose(0, 1);
    at::Tensor scores = at::bmm(q.transpose(0, 1), heads_k.transpose(1, 2)) / std::sqrt(24.0);
    at::Tensor hidden = at::ones({count, count}, at::kBool).triu(1);
    if (window > 0) hidden = hidden.logical_or(at::ones({count, count}, at::kBool).tril(-window));
    const at::Tensor expected = at::bmm(at::softmax(scores.masked_fill(hidden, -INFINITY), -1), heads_v)
                                    .transpose(0, 1)
                                    .reshape({count, 144});
    CHECK(at::allclose(whole, expected, 1e-5, 1e-5));
    // Pieces that begin and end inside, at and across the panels of 32 slots: the same bits.
    CHECK(at::equal(whole, attend({{31, 1}, {64, 33}, {1, 30}, {200, 3}, {297, 3}, {150, 20}}, window)));
    CHECK(at::equal(whole, attend({{5, 27}, {32, 63}}, window)));
    // As beams leave them: every third slot, a few in each panel, and some panels left and entered again.
    std::vector<CacheSpan> scattered;
    for (int64_t i = 0; i < count; ++i) scattered.push_back({i < 80 ? 3 * i : 3 * i - 239, 1});
    CHECK(at::equal(whole, attend(scattered, window)));
  }
}

}  // namespace tnb
