// From fp32 to ggml's block formats, as ggml's quantize_row_*_ref functions do it (ggml-quants.c): what
// llama.cpp writes when it has no importance matrix.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/formats/elements.h"

// Compiled with -ffp-contract=off, as elements.cc is.

namespace tnb {
namespace {

constexpr int kBlock = 32;
constexpr int kSuperBlock = 256;

void StoreHalf(uint8_t* out, float value) {
  const uint16_t bits = FloatToHalf(value);
  std::memcpy(out, &bits, sizeof bits);
}

float LoadHalf(const uint8_t* stored) {
  uint16_t bits;
  std::memcpy(&bits, stored, sizeof bits);
  return HalfToFloat(bits);
}

// Halves to even.
int Nearest(float value) { return static_cast<int>(std::nearbyint(value)); }

// The value of the largest magnitude, with its sign; the first of several.
float Extreme(const float* values, int count) {
  float extreme = 0;
  for (int i = 0; i < count; ++i) {
    if (std::abs(values[i]) > std::abs(extreme)) extreme = values[i];
  }
  return extreme;
}

void QuantizeQ8_0(const float* values, int64_t blocks, uint8_t* out) {
  for (int64_t b = 0; b < blocks; ++b, values += kBlock, out += 34) {
    const float d = std::abs(Extreme(values, kBlock)) / 127;
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    StoreHalf(out, d);
    for (int i = 0; i < kBlock; ++i) {
      out[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(values[i] * inverse)));
    }
  }
}

// The value of the largest magnitude becomes the lowest code, 0.
void QuantizeQ4_0(const float* values, int64_t blocks, uint8_t* out) {
  for (int64_t b = 0; b < blocks; ++b, values += kBlock, out += 18) {
    const float d = Extreme(values, kBlock) / -8;
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    StoreHalf(out, d);
    const auto code = [&](int i) { return std::min(15, static_cast<int>(values[i] * inverse + 8.5f)); };
    for (int i = 0; i < 16; ++i) out[2 + i] = static_cast<uint8_t>(code(i) | code(i + 16) << 4);
  }
}

void QuantizeQ5_0(const float* values, int64_t blocks, uint8_t* out) {
  for (int64_t b = 0; b < blocks; ++b, values += kBlock, out += 22) {
    const float d = Extreme(values, kBlock) / -16;
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    StoreHalf(out, d);
    const auto code = [&](int i) { return std::min(31, static_cast<int>(values[i] * inverse + 16.5f)); };
    uint32_t fifth = 0;
    for (int i = 0; i < 16; ++i) {
      const int low = code(i), high = code(i + 16);
      out[6 + i] = static_cast<uint8_t>((low & 15) | (high & 15) << 4);
      fifth |= static_cast<uint32_t>(low >> 4) << i | static_cast<uint32_t>(high >> 4) << (i + 16);
    }
    std::memcpy(out + 2, &fifth, sizeof fifth);
  }
}

// Codes 0 .. 15 of 32 values, value = scale * code - minimum, by weighted least squares from 21 starts.
struct ScaleAndMinimum {
  float scale, minimum;
};

ScaleAndMinimum FitWithMinimum(const float* x, const float* weights) {
  constexpr int kLast = 15, kSteps = 20;
  float low = x[0], high = x[0], sum_w = weights[0], sum_x = sum_w * x[0];
  for (int i = 1; i < kBlock; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  low = std::min(low, 0.0f);
  if (high == low) return {0, -low};
  float inverse = kLast / (high - low), scale = 1 / inverse, minimum = low, best = 0;
  const auto code = [&](int i) {
    return static_cast<float>(std::clamp(Nearest(inverse * (x[i] - minimum)), 0, kLast));
  };
  for (int i = 0; i < kBlock; ++i) {
    const float difference = scale * code(i) + minimum - x[i];
    best += weights[i] * (difference * difference);
  }
  for (int step = 0; step <= kSteps; ++step) {
    inverse = (-1.0f + 0.1f * static_cast<float>(step) + kLast) / (high - minimum);
    float codes[kBlock], sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (int i = 0; i < kBlock; ++i) {
      codes[i] = code(i);
      sum_l += weights[i] * codes[i];
      sum_l2 += weights[i] * codes[i] * codes[i];
      sum_xl += weights[i] * codes[i] * x[i];
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0)) continue;
    float this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    float this_minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (this_minimum > 0) {
      this_minimum = 0;
      this_scale = sum_xl / sum_l2;
    }
    float error = 0;
    for (int i = 0; i < kBlock; ++i) {
      const float difference = this_scale * codes[i] + this_minimum - x[i];
      error += weights[i] * (difference * difference);
    }
    if (error < best) {
      best = error;
      scale = this_scale;
      minimum = this_minimum;  // and the start of the next attempts
    }
  }
  return {scale, -minimum};
}

// Eight 6-bit scales and minima in 12 bytes.
void PackScales(const int* scales, const int* minima, uint8_t* out) {
  for (int j = 0; j < 4; ++j) {
    out[j] = static_cast<uint8_t>(scales[j] | scales[j + 4] >> 4 << 6);
    out[j + 4] = static_cast<uint8_t>(minima[j] | minima[j + 4] >> 4 << 6);
    out[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
  }
}

void QuantizeQ4_K(const float* values, int64_t blocks, uint8_t* out) {
  for (int64_t b = 0; b < blocks; ++b, values += kSuperBlock, out += 144) {
    ScaleAndMinimum fitted[8];
    float largest_scale = 0, largest_minimum = 0;
    for (int j = 0; j < 8; ++j) {
      const float* x = values + j * kBlock;
      float squares = 0, weights[kBlock];
      for (int i = 0; i < kBlock; ++i) squares += x[i] * x[i];
      const float mean = std::sqrt(squares / kBlock);
      for (int i = 0; i < kBlock; ++i) weights[i] = mean + std::abs(x[i]);
      fitted[j] = FitWithMinimum(x, weights);
      largest_scale = std::max(largest_scale, fitted[j].scale);
      largest_minimum = std::max(largest_minimum, fitted[j].minimum);
    }
    const float inverse_scale = largest_scale > 0 ? 63.0f / largest_scale : 0.0f;
    const float inverse_minimum = largest_minimum > 0 ? 63.0f / largest_minimum : 0.0f;
    int scales[8], minima[8];
    for (int j = 0; j < 8; ++j) {
      scales[j] = std::clamp(Nearest(inverse_scale * fitted[j].scale), 0, 63);
      minima[j] = std::clamp(Nearest(inverse_minimum * fitted[j].minimum), 0, 63);
    }
    StoreHalf(out, largest_scale / 63.0f);
    StoreHalf(out + 2, largest_minimum / 63.0f);
    PackScales(scales, minima, out + 4);
    uint8_t codes[kSuperBlock] = {};
    for (int j = 0; j < 8; ++j) {
      const float d = LoadHalf(out) * static_cast<float>(scales[j]);
      if (d == 0) continue;
      const float minimum = LoadHalf(out + 2) * static_cast<float>(minima[j]);
      for (int i = j * kBlock; i < (j + 1) * kBlock; ++i) {
        codes[i] = static_cast<uint8_t>(std::clamp(Nearest((values[i] + minimum) / d), 0, 15));
      }
    }
    for (int j = 0; j < 4; ++j) {
      const uint8_t* pair = codes + j * 64;
      for (int i = 0; i < 32; ++i) {
        out[16 + j * 32 + i] = static_cast<uint8_t>(pair[i] | pair[i + 32] << 4);
      }
    }
  }
}

// The scale of 16 values with codes -32 .. 31, by least squares weighted by the squares, from 19 starts.
float FitSymmetric(const float* x) {
  constexpr int kCount = 16, kMost = 32;
  const float extreme = Extreme(x, kCount);
  if (std::abs(extreme) < 1e-15f) return 0;
  float best = 0, scale = 0;
  const auto attempt = [&](float inverse, bool first) {
    float sum_xl = 0, sum_l2 = 0;
    for (int i = 0; i < kCount; ++i) {
      const auto code = static_cast<float>(std::clamp(Nearest(inverse * x[i]), -kMost, kMost - 1));
      const float weight = x[i] * x[i];
      sum_xl += weight * x[i] * code;
      sum_l2 += weight * code * code;
    }
    if (!first && !(sum_l2 > 0 && sum_xl * sum_xl > best * sum_l2)) return;
    scale = sum_l2 != 0 ? sum_xl / sum_l2 : 0;
    best = scale * sum_xl;
  };
  attempt(-kMost / extreme, true);
  for (int step = -9; step <= 9; ++step) {
    if (step != 0) attempt(-(kMost + 0.1f * static_cast<float>(step)) / extreme, false);
  }
  return scale;
}

void QuantizeQ6_K(const float* values, int64_t blocks, uint8_t* out) {
  for (int64_t b = 0; b < blocks; ++b, values += kSuperBlock, out += 210) {
    std::memset(out, 0, 210);
    float scales[16];
    for (int j = 0; j < 16; ++j) scales[j] = FitSymmetric(values + j * 16);
    const float extreme = Extreme(scales, 16);
    if (std::abs(extreme) < 1e-15f) continue;
    const float inverse = -128.0f / extreme;
    StoreHalf(out + 208, 1 / inverse);
    uint8_t codes[kSuperBlock] = {};
    for (int j = 0; j < 16; ++j) {
      const int scale = std::min(127, Nearest(inverse * scales[j]));
      out[192 + j] = static_cast<uint8_t>(static_cast<int8_t>(scale));
      const float d = LoadHalf(out + 208) * static_cast<float>(scale);
      for (int i = j * 16; i < (j + 1) * 16; ++i) {
        codes[i] = static_cast<uint8_t>(d == 0 ? 0 : std::clamp(Nearest(values[i] / d), -32, 31) + 32);
      }
    }
    for (int half = 0; half < 2; ++half) {
      const uint8_t* c = codes + half * 128;
      for (int i = 0; i < 32; ++i) {
        out[half * 64 + i] = static_cast<uint8_t>((c[i] & 15) | (c[i + 64] & 15) << 4);
        out[half * 64 + 32 + i] = static_cast<uint8_t>((c[i + 32] & 15) | (c[i + 96] & 15) << 4);
        out[128 + half * 32 + i] =
            static_cast<uint8_t>(c[i] >> 4 | c[i + 32] >> 4 << 2 | c[i + 64] >> 4 << 4 | c[i + 96] >> 4 << 6);
      }
    }
  }
}

}  // namespace

QuantizeBlocks FindQuantizer(std::string_view name) {
  if (name == "Q8_0") return QuantizeQ8_0;
  if (name == "Q4_0") return QuantizeQ4_0;
  if (name == "Q5_0") return QuantizeQ5_0;
  if (name == "Q4_K") return QuantizeQ4_K;
  if (name == "Q6_K") return QuantizeQ6_K;
  return nullptr;
}

}  // namespace tnb
