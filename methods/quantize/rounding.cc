#include "methods/quantize/rounding.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "models/engine/panel_codes.h"

namespace tnb {
namespace {

void CheckWeights(const at::Tensor& w) {
  if (at::isfinite(w).all().item<bool>()) return;
  throw Error(ErrorKind::kData, {"a weight is NaN or infinite", "", "", "", "check the checkpoint"});
}

// Finite fp16, or an error that names what does not fit.
at::Tensor ToHalf(const at::Tensor& values, const std::string& what) {
  at::Tensor half = values.to(at::kHalf);
  if (at::isfinite(half).all().item<bool>()) return half;
  throw Error(ErrorKind::kData,
              {what + " does not fit into fp16", "up to 65504", "overflow", "", "check the checkpoint"});
}

int64_t Width(const at::Tensor& w, int64_t group) { return group == 0 ? w.size(1) : group; }

// [rows, groups, width]. A short last group is filled up with zeros, which never widen a range that contains
// 0.
at::Tensor Blocks(const at::Tensor& w, int64_t group) {
  const int64_t width = Width(w, group), groups = (w.size(1) + width - 1) / width;
  return at::constant_pad_nd(w, {0, groups * width - w.size(1)}).view({w.size(0), groups, width});
}

// The inverse of Blocks.
at::Tensor Rows(const at::Tensor& blocks, int64_t cols) {
  return blocks.reshape({blocks.size(0), -1}).narrow(1, 0, cols).contiguous();
}

// x / range, both of any size, and 0 where the range is.
at::Tensor Fraction(const at::Tensor& x, const at::Tensor& range) {
  return x / at::where(range > 0, range, at::ones_like(range));
}

// 1 / x, and 0 for 0: a scale that vanishes in fp16 cannot reach any value, and its group becomes zero.
at::Tensor InverseOrZero(const at::Tensor& x) { return at::where(x > 0, x.reciprocal(), at::zeros_like(x)); }

at::Tensor CodesOn(const IntegerGrid& grid, const at::Tensor& w) {
  const at::Tensor inverse = InverseOrZero(grid.scales.to(at::kFloat)).unsqueeze(2);
  return (at::round(Blocks(w, grid.group) * inverse) + grid.zeros.unsqueeze(2))
      .clamp(0, static_cast<double>((1 << grid.bits) - 1));
}

}  // namespace

IntegerGrid GridOf(const at::Tensor& w, int bits, int64_t group, bool symmetric, const at::Tensor& shrink) {
  CheckWeights(w);
  const at::Tensor blocks = Blocks(w, group);
  const double last = (1 << bits) - 1;
  const auto shrunk = [&](const at::Tensor& range) { return shrink.defined() ? range * shrink : range; };
  IntegerGrid grid{bits, group, {}, {}, symmetric};
  if (symmetric) {
    grid.scales = ToHalf(shrunk(blocks.abs().amax(2)) / ((1 << (bits - 1)) - 1), "a scale");
    grid.zeros = at::full_like(grid.scales, 1 << (bits - 1), at::kFloat);
    return grid;
  }
  const at::Tensor low = shrunk(blocks.amin(2).clamp_max(0)), high = shrunk(blocks.amax(2).clamp_min(0));
  grid.scales = ToHalf((high - low) / last, "a scale");
  grid.zeros = at::round(-low * InverseOrZero(grid.scales.to(at::kFloat))).clamp(0, last);
  return grid;
}

CodedMatrix WithCodes(const IntegerGrid& grid, const at::Tensor& codes) {
  CodedMatrix result;
  result.bits = grid.bits;
  result.group = grid.group;
  result.codes = codes;
  result.scales = grid.scales;
  if (!grid.symmetric) result.zeros = grid.zeros.to(at::kByte);
  return result;
}

CodedMatrix RoundTo(const IntegerGrid& grid, const at::Tensor& w) {
  return WithCodes(grid, Rows(CodesOn(grid, w), w.size(1)).to(at::kByte));
}

at::Tensor ValuesOn(const IntegerGrid& grid, const at::Tensor& w) {
  const at::Tensor scales = grid.scales.to(at::kFloat).unsqueeze(2);
  return Rows((CodesOn(grid, w) - grid.zeros.unsqueeze(2)) * scales, w.size(1));
}

CodedMatrix RoundToNearest(const at::Tensor& w, int bits, int64_t group, bool symmetric) {
  return RoundTo(GridOf(w, bits, group, symmetric), w);
}

CodedMatrix RoundToLevels(const at::Tensor& w, const std::string& levels, int64_t group,
                          bool double_quantized) {
  CheckWeights(w);
  const at::Tensor blocks = Blocks(w, group);
  // Between two levels the nearer one wins.
  const auto middles = [](const float* values, int64_t count) {
    const at::Tensor all = at::tensor(at::ArrayRef<float>(values, static_cast<size_t>(count)));
    return (all.narrow(0, 1, count - 1) + all.narrow(0, 0, count - 1)) / 2;
  };
  CodedMatrix result;
  result.bits = 4;
  result.group = group;
  result.levels = levels;
  const at::Tensor scales = blocks.abs().amax(2);
  // Codes are chosen for the exact absmax, as bitsandbytes does, also when it is stored with fewer bits.
  const at::Tensor normalized = Fraction(blocks, scales.unsqueeze(2));
  const at::Tensor codes = at::bucketize(normalized, middles(LevelsOf(levels)->data(), 16), true);
  result.codes = Rows(codes.to(at::kByte), w.size(1));
  if (!double_quantized) {
    result.scales = scales;
    return result;
  }
  const at::Tensor mean = scales.mean();
  result.scale_offset = mean.item<float>();
  const at::Tensor flat = Blocks((scales - mean).view({1, -1}), kScaleBlock)[0];  // [blocks, 256]
  const at::Tensor factors = flat.abs().amax(1);
  const at::Tensor parts = Fraction(flat, factors.unsqueeze(1));
  result.scale_blocks = factors;
  result.scales = at::bucketize(parts, middles(DynamicMap(), 256), true)
                      .view({-1})
                      .narrow(0, 0, scales.numel())
                      .view(scales.sizes())
                      .to(at::kByte);
  return result;
}

namespace {

// One half-quadratic fit of groups [n, width]; scale and zero [n, 1].
struct HalfQuadratic {
  at::Tensor codes, scale, zero;
};

HalfQuadratic FitHalfQuadratic(const at::Tensor& w, int bits) {
  constexpr double kNorm = 0.7, kBeta = 10;
  constexpr int kSteps = 20;
  const double last = (1 << bits) - 1;
  const at::Tensor low = w.amin(1, true), range = w.amax(1, true) - low;
  // The inverse of what is stored. A group of equal values has one code, and its zero point is the value.
  const at::Tensor inverse =
      at::where(range <= 1e-4, at::ones_like(range), last * range.reciprocal()).clamp_max(2e4);
  at::Tensor zero = -low * inverse;
  if (bits == 4) zero = at::round(zero);
  const auto codes = [&] { return at::round(w * inverse + zero).clamp(0, last); };
  double best = INFINITY;
  for (int step = 0; step < kSteps; ++step) {
    const at::Tensor q = codes();
    const at::Tensor residual = w - (q - zero) / inverse;
    const at::Tensor magnitude = residual.abs();
    const at::Tensor kept = at::sign(residual) * (magnitude - magnitude.pow(kNorm - 1) / kBeta).clamp_min(0);
    zero = (q - (w - kept) * inverse).mean(1, true);
    const double error = magnitude.mean().item<double>();
    if (!(error < best)) break;
    best = error;
  }
  return {codes(), inverse.reciprocal(), zero};
}

}  // namespace

CodedMatrix RoundHalfQuadratic(const at::Tensor& w, int bits, int64_t group) {
  CheckWeights(w);
  const int64_t rows = w.size(0), cols = w.size(1), width = Width(w, group), whole = cols / width * width;
  std::vector<at::Tensor> codes, scales, zeros;
  const auto fit = [&](int64_t begin, int64_t end, int64_t groups) {
    if (begin == end) return;
    const at::Tensor part = w.narrow(1, begin, end - begin).reshape({rows * groups, (end - begin) / groups});
    const HalfQuadratic fitted = FitHalfQuadratic(part, bits);
    codes.push_back(fitted.codes.view({rows, end - begin}));
    scales.push_back(fitted.scale.view({rows, groups}));
    zeros.push_back(fitted.zero.view({rows, groups}));
  };
  fit(0, whole, cols / width);
  fit(whole, cols, 1);  // a short last group
  CodedMatrix result;
  result.bits = bits;
  result.group = group;
  result.codes = at::cat(codes, 1).to(at::kByte);
  result.scales = ToHalf(at::cat(scales, 1), "a scale");
  result.zeros = ToHalf(at::cat(zeros, 1), "a zero point");
  return result;
}

}  // namespace tnb
