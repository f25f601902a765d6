// Rounding a matrix to codes: the formulas behind the scalar quantizers, without anything of a model. All
// take w as fp32 [rows, cols] and group g input columns of a row (0: the whole row; the last group may be
// short), choose codes for the scales as they are stored, give zeros for groups of zeros, and are
// Error{kData} when w is not finite or a scale does not fit its type.
#pragma once

#include "models/engine/weight.h"

namespace tnb {

// The integer grid of every group: value = scale * (code - zero), codes 0 .. 2^bits - 1.
struct IntegerGrid {
  int bits = 8;
  int64_t group = 0;
  at::Tensor scales;  // fp16 [rows, groups]
  at::Tensor zeros;   // fp32 [rows, groups], whole numbers
  bool symmetric = true;
};
// Symmetric: scale absmax / (2^(bits-1) - 1), zero 2^(bits-1). Asymmetric: the range widened to contain 0,
// scale (max - min) / (2^bits - 1), zero round(-min / scale). `shrink` (fp32 [rows, groups], or undefined)
// multiplies the range first.
IntegerGrid GridOf(const at::Tensor& w, int bits, int64_t group, bool symmetric,
                   const at::Tensor& shrink = {});
// The nearest codes on a grid, and what they stand for (fp32 [rows, cols]).
CodedMatrix RoundTo(const IntegerGrid& grid, const at::Tensor& w);
at::Tensor ValuesOn(const IntegerGrid& grid, const at::Tensor& w);
// A grid with codes that were chosen otherwise (uint8 [rows, cols]).
CodedMatrix WithCodes(const IntegerGrid& grid, const at::Tensor& codes);

// RoundTo the grid of w: int8, int4 ... as everybody's baseline has it.
CodedMatrix RoundToNearest(const at::Tensor& w, int bits, int64_t group, bool symmetric);

// Nearest of 16 levels times the group's absmax (fp32): nf4, fp4 (QLoRA, arXiv 2305.14314; bitsandbytes).
// With `double_quantized` the absmax values, less their mean, are codes of 8 bits on DynamicMap with one fp32
// factor for 256 of them.
CodedMatrix RoundToLevels(const at::Tensor& w, const std::string& levels, int64_t group,
                          bool double_quantized);

// Half-quadratic quantization (mobiusml/hqq, its optimize_weights_proximal_legacy): scale (max - min) /
// (2^bits - 1); the real-valued zero point is fitted by at most 20 proximal steps on sum |w - w'|^0.7.
CodedMatrix RoundHalfQuadratic(const at::Tensor& w, int bits, int64_t group);

}  // namespace tnb
