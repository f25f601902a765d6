// AQLM on small matrices.
#include "methods/vector/additive.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "methods/vector/kmeans.h"
#include "tests/methods/stage_support.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

at::Tensor Covariance(int64_t size) {
  const at::Tensor x =
      at::matmul(at::randn({500, size}), at::randn({size, size})) * at::logspace(0.5, -1, size);
  return at::matmul(x.t(), x) / 500;
}

double OutputError(const at::Tensor& difference, const at::Tensor& w, const at::Tensor& covariance) {
  const auto energy = [&](const at::Tensor& m) {
    const at::Tensor d = m.to(at::kDouble);
    return (at::matmul(d, covariance.to(at::kDouble)) * d).sum().item<double>();
  };
  return energy(difference) / energy(w);
}

}  // namespace

TEST_CASE("additive codes follow the inputs: rounds lower the output error") {
  at::manual_seed(1);
  const at::Tensor w = at::randn({96, 64}), h = Covariance(64);
  AdditiveOptions options;
  options.bits = 6;
  options.rounds = 0;
  const Additive start = QuantizeAdditive(w, h, options);
  options.rounds = 3;
  const Additive trained = QuantizeAdditive(w, h, options);
  CAPTURE(start.start_loss, start.loss, trained.loss);
  // Without rounds only the last search is done, after rounding to fp16.
  CHECK(start.loss < start.start_loss);
  CHECK(trained.loss < 0.9 * start.loss);
  CHECK(trained.rounds >= 1);
  // What is reported is what is stored.
  CHECK(OutputError(Expand(trained.books) - w, w, h) == Approx(trained.loss).epsilon(1e-3));
}

// A search over all codes one group at a time: with one codebook every group's code is the best given the
// others, so that changing any single code cannot help.
TEST_CASE("no single code can be improved") {
  at::manual_seed(2);
  const at::Tensor w = at::randn({12, 16}), h = Covariance(16);
  AdditiveOptions options;
  options.bits = 3;
  options.group = 4;
  options.codebooks = 1;
  options.rounds = 0;
  Codebooks books = QuantizeAdditive(w, h, options).books;
  const double reached = OutputError(Expand(books) - w, w, h);
  const at::Tensor codes = UnpackIntegers(books.stages[0].codes, 3, 12 * 4);
  // The last group of the search order cannot be improved, whichever it is; others were chosen before it. So
  // at least one group must be optimal for all rows, and no change may gain much.
  int optimal_groups = 0;
  for (int64_t group = 0; group < 4; ++group) {
    bool optimal = true;
    for (int64_t row = 0; row < 12; ++row) {
      for (int32_t code = 0; code < 8; ++code) {
        at::Tensor changed = codes.clone();
        changed[row * 4 + group] = code;
        books.stages[0].codes = PackBits(changed, 3);
        if (OutputError(Expand(books) - w, w, h) < reached - 1e-7) optimal = false;
      }
    }
    optimal_groups += optimal ? 1 : 0;
  }
  CHECK(optimal_groups >= 1);
}

TEST_CASE("a sum of entries is found again") {
  at::manual_seed(3);
  const at::Tensor entries = at::randn({8, 4});
  const at::Tensor w = entries.index_select(0, at::randint(0, 8, {40 * 8}, at::kLong)).view({40, 32});
  AdditiveOptions options;
  options.bits = 4;
  options.group = 4;
  const Additive result = QuantizeAdditive(w, at::eye(32), options);
  // Rows differ by their norms, so that entries do too: 2 x 4 bits are enough for all but a little.
  CHECK(result.loss < 0.02);
}

TEST_CASE("bytes, and what is refused") {
  at::manual_seed(4);
  const at::Tensor w = at::randn({64, 48});
  at::Tensor with_zeros = w.clone();
  with_zeros[3].zero_();
  const Additive result = QuantizeAdditive(with_zeros, Covariance(48), {});
  // 2 x 8 bits a group of 8, two codebooks of 256 entries, a scale a row.
  CHECK(SizeOf(result.books).bytes == 64 * 48 / 8 * 2 + 2 * 2 * 256 * 8 + 2 * 64);
  CHECK(at::isfinite(Expand(result.books)).all().item<bool>());
  AdditiveOptions odd;
  odd.group = 7;
  CHECK_THROWS_AS(QuantizeAdditive(w, Covariance(48), odd), Error);
  CHECK_THROWS_AS(QuantizeAdditive(w * NAN, Covariance(48), {}), Error);

  testing::FixedStatistics statistics({{"blocks.0.qkv.covariance", Covariance(48)}});
  LinearSlot slot = testing::SlotOf("blocks.0.q", LinearKind::kQ, MakeDenseWeight(w));
  const std::vector<LayerOutcome> outcomes =
      testing::Compress("aqlm:feed=dense,rounds=1,steps=5", slot, &statistics);
  REQUIRE(outcomes.size() == 1);
  CHECK(slot.linear->Describe() == "dense codebook 8: 1x256 + 1x256");
  CHECK(outcomes[0].report.detail.at("relative_output_error").get<double>() < 0.2);
}

}  // namespace tnb
