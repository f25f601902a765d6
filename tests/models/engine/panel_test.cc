// Every kernel against the plain triple loop, over sizes around the panel, unit and tile edges.
#include "models/engine/panel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "models/engine/panel_codes.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"
#include "models/formats/elements.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

std::vector<float> Random(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<double> ReferenceProduct(const std::vector<float>& w, const std::vector<float>& x, int64_t rows,
                                     int64_t cols, int64_t n) {
  std::vector<double> y(static_cast<size_t>(n * rows));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (int64_t c = 0; c < cols; ++c) sum += double{w[r * cols + c]} * double{x[i * cols + c]};
      y[i * rows + r] = sum;
    }
  }
  return y;
}

// fp32 sums of `cols` products of unit normals: error of about cols * 2^-24 * sqrt(cols) at the very most.
void CheckClose(const std::vector<float>& y, const std::vector<double>& reference, double tolerance) {
  REQUIRE(y.size() == reference.size());
  for (size_t i = 0; i < y.size(); ++i) REQUIRE(std::abs(y[i] - reference[i]) <= tolerance);
}

std::vector<float> Multiply(const PanelMatrix& w, Activation activation, const std::vector<float>& x,
                            int64_t n) {
  std::vector<float> y(static_cast<size_t>(n * w.rows), NAN);
  PanelMatmul(w, activation, x.data(), w.cols, n, y.data(), w.rows);
  return y;
}

// Random codes of every kind; what was packed comes back.
PanelMatrix RandomCodes(CodeSpec spec, int64_t rows, int64_t cols) {
  std::mt19937 generator(static_cast<unsigned>(rows * 31 + cols));
  const auto scale_count = static_cast<size_t>(rows * spec.Groups(cols));
  spec.zero_point = 1 << (spec.bits - 1);
  std::vector<uint8_t> codes(static_cast<size_t>(rows * cols)), zeros(scale_count), scale_codes(scale_count);
  std::vector<uint16_t> scales(scale_count), half_zeros(scale_count);
  std::vector<float> wide_scales(scale_count), blocks(scale_count / kScaleBlock + 1, 0.01F);
  const auto random_scale = [&] { return 0.01F + static_cast<float>(generator() % 100) / 5000.0F; };
  for (auto& code : codes) code = static_cast<uint8_t>(generator() % (1U << spec.bits));
  for (auto& zero : zeros) zero = static_cast<uint8_t>(generator() % (1U << spec.bits));
  for (auto& code : scale_codes) code = static_cast<uint8_t>(generator() % 256);
  for (auto& scale : scales) scale = FloatToHalf(random_scale());
  for (auto& scale : wide_scales) scale = random_scale();
  for (auto& zero : half_zeros) zero = FloatToHalf(random_scale() * 100);
  spec.scale_offset = 0.02F;
  const std::vector<float> levels = Random(16, 9);
  CodeArrays arrays;
  arrays.codes = codes.data();
  arrays.scales = spec.scales == ScaleType::kF16   ? static_cast<const void*>(scales.data())
                  : spec.scales == ScaleType::kF32 ? static_cast<const void*>(wide_scales.data())
                                                   : scale_codes.data();
  arrays.scale_blocks = blocks.data();
  arrays.zeros = spec.zeros == ZeroType::kF16 ? static_cast<const void*>(half_zeros.data()) : zeros.data();
  arrays.levels = levels.data();
  PanelMatrix w = PackCodes(spec, arrays, rows, cols);
  std::vector<uint8_t> codes_back(codes.size());
  std::vector<uint32_t> scales_back(scale_count), zeros_back(scale_count);
  UnpackCodes(w, codes_back.data(), scales_back.data(), zeros_back.data());
  REQUIRE(codes_back == codes);
  const size_t scale_bytes = spec.scales == ScaleType::kF16 ? 2 : spec.scales == ScaleType::kF32 ? 4 : 1;
  REQUIRE(std::memcmp(scales_back.data(), arrays.scales, scale_count * scale_bytes) == 0);
  if (spec.zeros != ZeroType::kConstant) {
    const size_t zero_bytes = spec.zeros == ZeroType::kF16 ? 2 : 1;
    REQUIRE(std::memcmp(zeros_back.data(), arrays.zeros, scale_count * zero_bytes) == 0);
  }
  // Value by value from the arrays: what a code means.
  std::vector<float> row(static_cast<size_t>(cols));
  for (const int64_t r : {int64_t{0}, rows - 1}) {
    UnpackF32(w, r, r + 1, row.data());
    for (int64_t c = 0; c < cols; ++c) {
      const auto at = static_cast<size_t>(r * spec.Groups(cols) + (spec.group == 0 ? 0 : c / spec.group));
      const float scale = spec.scales == ScaleType::kF16   ? HalfToFloat(scales[at])
                          : spec.scales == ScaleType::kF32 ? wide_scales[at]
                                                           : DynamicMap()[scale_codes[at]] * 0.01F + 0.02F;
      const float zero = spec.zeros == ZeroType::kConstant  ? static_cast<float>(spec.zero_point)
                         : spec.zeros == ZeroType::kInteger ? static_cast<float>(zeros[at])
                                                            : HalfToFloat(half_zeros[at]);
      const uint8_t code = codes[static_cast<size_t>(r * cols + c)];
      const float value = scale * (spec.levels ? levels[code] : static_cast<float>(code) - zero);
      REQUIRE(row[static_cast<size_t>(c)] == Approx(value).epsilon(1e-6).margin(1e-9));
    }
  }
  return w;
}

CodeSpec Spec(int bits, int64_t group, ZeroType zeros = ZeroType::kConstant) {
  return {.bits = bits, .group = group, .zeros = zeros};
}

// One of every kind that kernels treat differently.
std::vector<CodeSpec> AllSpecs() {
  std::vector<CodeSpec> specs;
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    for (const ZeroType zeros : {ZeroType::kConstant, ZeroType::kInteger, ZeroType::kF16}) {
      for (const int64_t group : {0, 32, 128}) specs.push_back(Spec(bits, group, zeros));
    }
  }
  for (const ScaleType scales : {ScaleType::kF16, ScaleType::kF32, ScaleType::kDouble}) {
    specs.push_back({.bits = 4, .group = 64, .scales = scales, .levels = true});
    specs.push_back({.bits = 3, .group = 64, .scales = scales});
  }
  return specs;
}

struct PanelSize {
  int64_t rows, cols, n;
};

const PanelSize kPanelSizes[] = {{1, 1, 1},    {3, 5, 2},     {31, 33, 3},   {32, 32, 1},   {33, 63, 13},
                                 {64, 65, 12}, {65, 127, 25}, {96, 1030, 9}, {192, 576, 7}, {40, 2050, 37}};

}  // namespace

TEST_CASE("floating-point panels multiply as the triple loop does") {
  for (const auto& [rows, cols, n] : kPanelSizes) {
    CAPTURE(rows, cols, n);
    const std::vector<float> w = Random(rows * cols, 1);
    const std::vector<float> x = Random(n * cols, 2);
    const double tolerance = 2e-6 * static_cast<double>(cols);
    CheckClose(Multiply(PackF32(w.data(), rows, cols), Activation::kF32, x, n),
               ReferenceProduct(w, x, rows, cols, n), tolerance);

    std::vector<float> dense(static_cast<size_t>(n * rows));
    DenseMatmul(w.data(), rows, cols, x.data(), cols, n, dense.data(), rows);
    CheckClose(dense, ReferenceProduct(w, x, rows, cols, n), tolerance);

    std::vector<uint16_t> half(w.size());
    std::vector<uint16_t> brain(w.size());
    std::vector<float> from_half(w.size());
    std::vector<float> from_brain(w.size());
    std::vector<float> rounded_x(x.size());
    for (size_t i = 0; i < w.size(); ++i) {
      half[i] = FloatToHalf(w[i]);
      brain[i] = FloatToBF16(w[i]);
      from_half[i] = HalfToFloat(half[i]);
      from_brain[i] = BF16ToFloat(brain[i]);
    }
    for (size_t i = 0; i < x.size(); ++i) rounded_x[i] = BF16ToFloat(FloatToBF16(x[i]));
    const PanelMatrix half_panels = PackF16(half.data(), rows, cols);
    const PanelMatrix brain_panels = PackBF16(brain.data(), rows, cols);
    CheckClose(Multiply(half_panels, Activation::kF32, x, n), ReferenceProduct(from_half, x, rows, cols, n),
               tolerance);
    CheckClose(Multiply(brain_panels, Activation::kF32, x, n), ReferenceProduct(from_brain, x, rows, cols, n),
               tolerance);
    // The bf16 dot-product instruction rounds once per pair and flushes denormals; the same bound holds.
    CheckClose(Multiply(brain_panels, Activation::kBF16, x, n),
               ReferenceProduct(from_brain, rounded_x, rows, cols, n), tolerance);

    std::vector<uint16_t> back(w.size());
    UnpackBits16(half_panels, back.data());
    CHECK(back == half);
    UnpackBits16(brain_panels, back.data());
    CHECK(back == brain);
  }
}

TEST_CASE("panels expanded as a whole are their rows expanded one by one") {
  const auto check = [](const PanelMatrix& w) {
    std::vector<float> whole(static_cast<size_t>(w.rows * w.cols)), rows(whole.size());
    UnpackF32(w, 0, w.rows, whole.data());
    for (int64_t r = 0; r < w.rows; ++r) UnpackF32(w, r, r + 1, rows.data() + r * w.cols);
    CHECK(whole == rows);
  };
  for (const auto& [rows, cols, n] : kPanelSizes) {
    CAPTURE(rows, cols);
    const std::vector<float> w = Random(rows * cols, 7);
    std::vector<uint16_t> half(w.size()), brain(w.size());
    std::transform(w.begin(), w.end(), half.begin(), FloatToHalf);
    std::transform(w.begin(), w.end(), brain.begin(), FloatToBF16);
    check(PackF32(w.data(), rows, cols));
    check(PackF16(half.data(), rows, cols));
    check(PackBF16(brain.data(), rows, cols));
    for (const CodeSpec& spec : AllSpecs()) check(RandomCodes(spec, rows, cols));
  }
}

TEST_CASE("panels of codes multiply as their expansion does") {
  for (const auto& [rows, cols, n] : kPanelSizes) {
    for (const CodeSpec& spec : AllSpecs()) {
      CAPTURE(rows, cols, n, spec.bits, spec.group, static_cast<int>(spec.zeros), spec.levels);
      const PanelMatrix w = RandomCodes(spec, rows, cols);
      std::vector<float> expanded(static_cast<size_t>(rows * cols));
      UnpackF32(w, 0, rows, expanded.data());
      const std::vector<float> x = Random(n * cols, 3);
      double scale = 1e-3;  // values are that large at most
      for (const float value : expanded) scale = std::max(scale, std::abs(double{value}));
      const double tolerance = 2e-6 * scale * static_cast<double>(cols);
      CheckClose(Multiply(w, Activation::kF32, x, n), ReferenceProduct(expanded, x, rows, cols, n),
                 tolerance);
      if (spec.scales != ScaleType::kF16 || spec.levels) continue;

      // int8 activations: the input rounded to its own grid, then exact integer sums.
      const int64_t groups = (cols + 31) / 32;
      for (const bool whole_row : {false, true}) {
        std::vector<float> rounded(x.size());
        for (int64_t i = 0; i < n; ++i) {
          std::vector<int8_t> codes(static_cast<size_t>(groups * 32));
          std::vector<float> scales(static_cast<size_t>(groups));
          std::vector<int32_t> sums(static_cast<size_t>(groups));
          kernels::QuantizeInput(x.data() + i * cols, cols, whole_row, codes.data(), scales.data(),
                                 sums.data());
          if (whole_row) REQUIRE(std::count(scales.begin(), scales.end(), scales[0]) == groups);
          for (int64_t c = 0; c < cols; ++c) {
            rounded[i * cols + c] = static_cast<float>(codes[c]) * scales[c / 32];
            REQUIRE(std::abs(rounded[i * cols + c] - x[i * cols + c]) <= 0.5001F * scales[c / 32]);
          }
        }
        CheckClose(Multiply(w, whole_row ? Activation::kInt8Row : Activation::kInt8, x, n),
                   ReferenceProduct(expanded, rounded, rows, cols, n), tolerance);
      }
    }
  }
}

TEST_CASE("inputs beyond 6 are multiplied in fp32, the others with the scale of the rest") {
  const int64_t rows = 70, cols = 130, n = 5;
  const PanelMatrix w = RandomCodes(Spec(8, 0), rows, cols);
  std::vector<float> expanded(static_cast<size_t>(rows * cols));
  UnpackF32(w, 0, rows, expanded.data());
  std::vector<float> x = Random(n * cols, 3);
  for (float& value : x) value = std::clamp(value, -2.0F, 2.0F);
  std::vector<float> without = x;
  for (const auto& [at, value] :
       std::map<size_t, float>{{0, 7.3F}, {1, -50.1F}, {129, 6.5F}, {131, 1e4F}, {400, -6.1F}}) {
    x[at] = value;
    without[at] = 0;
  }
  std::vector<double> reference(static_cast<size_t>(n * rows));
  const std::vector<float> rest = Multiply(w, Activation::kInt8Row, without, n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t r = 0; r < rows; ++r) {
      double sum = rest[i * rows + r];
      for (int64_t c = 0; c < cols; ++c) {
        if (std::abs(x[i * cols + c]) > kOutlier)
          sum += double{x[i * cols + c]} * double{expanded[r * cols + c]};
      }
      reference[i * rows + r] = sum;
    }
  }
  // One product of 1e4 and some of 0.3 in fp32: 6e-8 of the largest sum, 4e4, and of the steps to it.
  CheckClose(Multiply(w, Activation::kInt8Outlier, x, n), reference, 0.02);
  // Without outliers it is the same as rows.
  CHECK(Multiply(w, Activation::kInt8Outlier, without, n) == rest);
}

TEST_CASE("results depend neither on the rows given together nor on the threads") {
  const int64_t rows = 192, cols = 1100, n = 29;
  const std::vector<float> w = Random(rows * cols, 5);
  const std::vector<float> x = Random(n * cols, 6);
  std::vector<uint16_t> brain(w.size());
  for (size_t i = 0; i < w.size(); ++i) brain[i] = FloatToBF16(w[i]);
  struct Kind {
    PanelMatrix w;
    Activation activation;
  };
  std::vector<Kind> kinds;
  kinds.push_back({PackF32(w.data(), rows, cols), Activation::kF32});
  kinds.push_back({PackBF16(brain.data(), rows, cols), Activation::kBF16});
  kinds.push_back({RandomCodes(Spec(8, 0), rows, cols), Activation::kInt8});
  kinds.push_back({RandomCodes(Spec(4, 64, ZeroType::kInteger), rows, cols), Activation::kInt8});
  kinds.push_back({RandomCodes(Spec(3, 64, ZeroType::kF16), rows, cols), Activation::kInt8Row});
  // Few rows are multiplied with weights converted in registers, many with expanded ones.
  kinds.push_back({PackBF16(brain.data(), rows, cols), Activation::kF32});
  kinds.push_back({PackF16(brain.data(), rows, cols), Activation::kF32});
  kinds.push_back({RandomCodes(Spec(8, 32), rows, cols), Activation::kF32});
  kinds.push_back({RandomCodes(Spec(4, 64, ZeroType::kInteger), rows, cols), Activation::kF32});
  kinds.push_back({RandomCodes(Spec(6, 128, ZeroType::kF16), rows, cols), Activation::kF32});
  kinds.push_back(
      {RandomCodes({.bits = 4, .group = 64, .scales = ScaleType::kDouble, .levels = true}, rows, cols),
       Activation::kF32});
  const int threads = Threads();
  for (const auto& [matrix, activation] : kinds) {
    SetThreads(threads);
    const std::vector<float> together = Multiply(matrix, activation, x, n);
    SetThreads(1);
    for (int64_t i = 0; i < n; ++i) {
      const std::vector<float> row(x.begin() + i * cols, x.begin() + (i + 1) * cols);
      const std::vector<float> alone = Multiply(matrix, activation, row, 1);
      REQUIRE(std::equal(alone.begin(), alone.end(), together.begin() + i * rows));
    }
    for (const int64_t few : {2, 3, 5, 8}) {
      const std::vector<float> some(x.begin(), x.begin() + few * cols);
      const std::vector<float> y = Multiply(matrix, activation, some, few);
      REQUIRE(std::equal(y.begin(), y.end(), together.begin()));
    }
  }
  SetThreads(threads);
}

TEST_CASE("several matrices multiply together as each does alone") {
  const int64_t cols = 577;
  // Ends of matrices inside, at and beyond a thread's share.
  for (const int64_t n : {1, 13}) {
    const std::vector<float> x = Random(n * cols, 11);
    for (const Activation activation : {Activation::kF32, Activation::kBF16, Activation::kInt8}) {
      std::vector<PanelMatrix> matrices;
      for (const int64_t rows : {576, 33, 1, 64, 63, 32, 100, 7, 320, 31}) {
        const std::vector<float> w = Random(rows * cols, static_cast<unsigned>(rows));
        std::vector<uint16_t> brain(w.size());
        std::transform(w.begin(), w.end(), brain.begin(), FloatToBF16);
        matrices.push_back(activation == Activation::kF32    ? PackF32(w.data(), rows, cols)
                           : activation == Activation::kBF16 ? PackBF16(brain.data(), rows, cols)
                                                             : RandomCodes(Spec(8, 0), rows, cols));
      }
      std::vector<std::vector<float>> results;
      std::vector<PanelProduct> products;
      for (const PanelMatrix& w : matrices) {
        results.emplace_back(static_cast<size_t>(n * w.rows), NAN);
        products.push_back({&w, results.back().data(), w.rows});
      }
      PanelMatmul(products, activation, x.data(), cols, n);
      for (size_t i = 0; i < matrices.size(); ++i) {
        CAPTURE(n, i);
        CHECK(results[i] == Multiply(matrices[i], activation, x, n));
      }
    }
  }
}

TEST_CASE("rounding to bf16 goes to the nearest, halves to even") {
  // LibTorch's rounding, value by value, is the reference; lengths around the vector's.
  std::vector<float> values = Random(1000, 12);
  for (const float special :
       {0.0F, -0.0F, 1e-40F, 3.4e38F, INFINITY, -INFINITY, 1.00390625F, 1.01171875F, NAN}) {
    values.push_back(special);
  }
  for (const int64_t count :
       {int64_t{1}, int64_t{15}, int64_t{16}, int64_t{33}, static_cast<int64_t>(values.size())}) {
    const float* from = values.data() + static_cast<int64_t>(values.size()) - count;
    std::vector<uint16_t> bits(static_cast<size_t>(count));
    kernels::RoundToBF16(from, count, bits.data());
    for (int64_t i = 0; i < count; ++i) {
      CAPTURE(count, i, from[i]);
      CHECK(bits[static_cast<size_t>(i)] == FloatToBF16(from[i]));
    }
  }
}

}  // namespace tnb
