#include "models/formats/base_logits.h"

#include <cmath>
#include <fstream>
#include <random>

#include "base/error.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using Rows = std::vector<std::vector<float>>;

Rows RandomRows(int64_t rows, int64_t vocabulary, unsigned seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  Rows all(static_cast<size_t>(rows), std::vector<float>(static_cast<size_t>(vocabulary)));
  for (auto& row : all) {
    for (float& value : row) value = normal(random);
  }
  return all;
}

TokenId NextOf(size_t row) { return static_cast<TokenId>(row % 3); }

void Write(const std::filesystem::path& path, const Rows& rows, const Json& key) {
  const auto vocabulary = static_cast<int64_t>(rows[0].size());
  BaseLogitsWriter writer(path, key, static_cast<int64_t>(rows.size()), vocabulary);
  for (size_t row = 0; row < rows.size(); ++row) writer.Add(rows[row].data(), NextOf(row));
  writer.Finish();
}

std::vector<double> LogSoftmax(const std::vector<float>& logits) {
  double most = -1e300, sum = 0;
  for (const float value : logits) most = std::max(most, double{value});
  for (const float value : logits) sum += std::exp(value - most);
  std::vector<double> result;
  for (const float value : logits) result.push_back(value - most - std::log(sum));
  return result;
}

// The definition, in fp64 from the logits themselves; and the bound of base_logits.h for half a step `h`.
struct Exact {
  double kld = 0, weight = 0;
  Exact(const std::vector<float>& base, const std::vector<float>& other) {
    const std::vector<double> p = LogSoftmax(base), q = LogSoftmax(other);
    for (size_t i = 0; i < p.size(); ++i) {
      kld += std::exp(p[i]) * (p[i] - q[i]);
      weight += std::exp(p[i]) * std::abs(p[i] - q[i]);
    }
  }
  double Bound(double h) const { return 2 * h * weight + h * h / 2 + 1e-12; }
};

const Json kKey = {{"base", "abc"}, {"window", 4}};

TEST_CASE("drift is that of a plain computation, to the error of 16-bit codes") {
  const testing::TemporaryFolder folder;
  const auto path = folder / "base";
  const float spread = GENERATE(0.01F, 1.0F, 4.0F, 9.0F);
  CAPTURE(spread);
  const Rows base = RandomRows(20, 1003, 1, spread), noise = RandomRows(20, 1003, 2, 0.3F);
  Write(path, base, kKey);
  CHECK(static_cast<int64_t>(std::filesystem::file_size(path)) <=
        BaseLogitsBytes(20, 1003) + 4096 + 20 * 2 * 128 + 20 * 64);
  const BaseLogits stored(path, kKey, 20, 1003);
  for (size_t row = 0; row < base.size(); ++row) {
    std::vector<float> other = base[row];
    for (size_t i = 0; i < other.size(); ++i) other[i] += noise[row][i];
    const TokenId next = NextOf(row);
    const TokenDrift drift = stored.Compare(static_cast<int64_t>(row), other.data(), next);
    const Exact exact(base[row], other);
    const double h = stored.step(static_cast<int64_t>(row)) / 2;
    CHECK(h <= 16.0 / 65535 + 1e-9);
    CHECK(std::abs(drift.kld - exact.kld) <= exact.Bound(h));
    CHECK(drift.kld >= 0);
    // fp32, exact otherwise.
    CHECK(drift.base_log_probability ==
          Approx(LogSoftmax(base[row])[static_cast<size_t>(next)]).epsilon(1e-7));
    CHECK(drift.log_probability == Approx(LogSoftmax(other)[static_cast<size_t>(next)]).margin(1e-9));
    const auto top = [](const std::vector<float>& values) {
      return std::max_element(values.begin(), values.end()) - values.begin();
    };
    CHECK(drift.same_top == (top(base[row]) == top(other)));

    // With itself: nothing but the error of storing.
    const TokenDrift self = stored.Compare(static_cast<int64_t>(row), base[row].data(), next);
    CHECK(self.kld >= -1e-12);
    CHECK(self.kld <= h * h / 2 + 1e-9);
    CHECK(self.same_top);
  }
}

TEST_CASE("drift of two distributions that can be computed by hand") {
  const testing::TemporaryFolder folder;
  // p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2): KLD = 1/2 log 2 + 1/4 log(1/2) = log(2) / 4. The step divides
  // log 2, so that nothing is lost.
  const auto log2 = static_cast<float>(std::log(2.0));
  Write(folder / "base", {{log2, 0, 0}, {5, 5, 5}}, kKey);
  const BaseLogits stored(folder / "base", kKey, 2, 3);
  const std::vector<float> other = {0, 0, log2};
  const TokenDrift drift = stored.Compare(0, other.data(), 0);
  CHECK(drift.kld == Approx(std::log(2.0) / 4).epsilon(1e-6));
  CHECK(drift.base_log_probability == Approx(std::log(0.5)).epsilon(1e-6));
  CHECK(drift.log_probability == Approx(std::log(0.25)).epsilon(1e-6));
  CHECK_FALSE(drift.same_top);
  CHECK(stored.step(1) == 0);  // a flat row
  CHECK(stored.Compare(1, other.data(), 0).base_log_probability == Approx(-std::log(3.0)));
}

TEST_CASE("what lies far below the top has next to no mass") {
  const testing::TemporaryFolder folder;
  Rows rows = {std::vector<float>(50000, -80.0F)};
  rows[0][7] = 3;
  Write(folder / "base", rows, kKey);
  const BaseLogits stored(folder / "base", kKey, 1, 50000);
  CHECK(stored.Compare(0, rows[0].data(), 0).base_log_probability == Approx(-83));  // kept as it is
  CHECK(stored.Compare(0, rows[0].data(), 0).kld < 1e-7);  // 50,000 exp(-32) * 51 nats = 3e-8
}

TEST_CASE("files that are damaged or of something else are refused") {
  const testing::TemporaryFolder folder;
  const auto path = folder / "base";
  const Rows rows = RandomRows(3, 100, 3, 1);
  Write(path, rows, kKey);
  CHECK_THROWS_WITH(BaseLogits(path, {{"base", "other"}}, 3, 100), Contains("another model or text"));
  CHECK_THROWS_WITH(BaseLogits(path, kKey, 4, 100), Contains("row.3") && Contains("--force"));
  CHECK_THROWS_WITH(BaseLogits(path, kKey, 3, 99), Contains("another shape"));
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path)) - 800);
    file.put('\x5a');
  }
  CHECK_THROWS_WITH(BaseLogits(path, kKey, 3, 100), Contains("checksum") && Contains("--force"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  CHECK_THROWS_AS(BaseLogits(path, kKey, 3, 100), Error);

  BaseLogitsWriter writer(folder / "other", kKey, 2, 100);
  std::vector<float> bad = rows[0];
  bad[5] = std::nanf("");
  CHECK_THROWS_WITH(writer.Add(bad.data(), 0), Contains("not finite"));
  writer.Add(rows[0].data(), 0);
  CHECK_THROWS_AS(writer.Finish(), Error);
  CHECK_FALSE(std::filesystem::exists(folder / "other"));
  Write(path, rows, kKey);
  CHECK(std::isnan(BaseLogits(path, kKey, 3, 100).Compare(0, bad.data(), 0).kld));
}

}  // namespace
}  // namespace tnb
