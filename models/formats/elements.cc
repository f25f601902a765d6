#include "models/formats/elements.h"

#include <bit>
#include <cstring>

// Compiled with -ffp-contract=off: a fused multiply-add would round once where ggml rounds twice.

namespace tnb {
namespace {

constexpr int64_t kBlock = 32;        // values of a Q*_0 or Q*_1 block
constexpr int64_t kSuperBlock = 256;  // values of a Q*_K block

uint16_t Load16(const uint8_t* stored) {
  uint16_t bits;
  std::memcpy(&bits, stored, sizeof bits);
  return bits;
}

float LoadHalf(const uint8_t* stored) { return HalfToFloat(Load16(stored)); }

void ExpandF32(const uint8_t* stored, int64_t count, float* out) {
  std::memcpy(out, stored, static_cast<size_t>(count) * sizeof(float));
}

void ExpandF16(const uint8_t* stored, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = LoadHalf(stored + 2 * i);
}

void ExpandBf16(const uint8_t* stored, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = std::bit_cast<float>(static_cast<uint32_t>(Load16(stored + 2 * i)) << 16);
  }
}

// half d; int8 q[32]
void ExpandQ8_0(const uint8_t* stored, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, stored += 34, out += kBlock) {
    const float d = LoadHalf(stored);
    const int8_t* q = reinterpret_cast<const int8_t*>(stored + 2);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(q[i]) * d;
  }
}

// half d; 16 bytes: low nibbles are values 0..15, high nibbles values 16..31
void ExpandQ4_0(const uint8_t* stored, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, stored += 18, out += kBlock) {
    const float d = LoadHalf(stored);
    const uint8_t* q = stored + 2;
    for (int i = 0; i < 16; ++i) out[i] = static_cast<float>((q[i] & 15) - 8) * d;
    for (int i = 0; i < 16; ++i) out[16 + i] = static_cast<float>((q[i] >> 4) - 8) * d;
  }
}

// half d, m; nibbles as in Q4_0
void ExpandQ4_1(const uint8_t* stored, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, stored += 20, out += kBlock) {
    const float d = LoadHalf(stored);
    const float m = LoadHalf(stored + 2);
    const uint8_t* q = stored + 4;
    for (int i = 0; i < 16; ++i) out[i] = static_cast<float>(q[i] & 15) * d + m;
    for (int i = 0; i < 16; ++i) out[16 + i] = static_cast<float>(q[i] >> 4) * d + m;
  }
}

// The fifth bits of a Q5 block: bit i belongs to value i.
void JoinFifthBits(const uint8_t* high, const uint8_t* q, int* values) {
  uint32_t bits;
  std::memcpy(&bits, high, sizeof bits);
  for (int i = 0; i < 16; ++i) values[i] = (q[i] & 15) | static_cast<int>((bits >> i & 1) << 4);
  for (int i = 0; i < 16; ++i) values[16 + i] = (q[i] >> 4) | static_cast<int>((bits >> (i + 16) & 1) << 4);
}

// half d; 4 bytes of fifth bits; nibbles
void ExpandQ5_0(const uint8_t* stored, int64_t blocks, float* out) {
  int values[kBlock];
  for (int64_t b = 0; b < blocks; ++b, stored += 22, out += kBlock) {
    const float d = LoadHalf(stored);
    JoinFifthBits(stored + 2, stored + 6, values);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(values[i] - 16) * d;
  }
}

// half d, m; 4 bytes of fifth bits; nibbles
void ExpandQ5_1(const uint8_t* stored, int64_t blocks, float* out) {
  int values[kBlock];
  for (int64_t b = 0; b < blocks; ++b, stored += 24, out += kBlock) {
    const float d = LoadHalf(stored);
    const float m = LoadHalf(stored + 2);
    JoinFifthBits(stored + 4, stored + 8, values);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(values[i]) * d + m;
  }
}

// Eight 6-bit scales and eight 6-bit minima in 12 bytes, as Q4_K and Q5_K pack them.
void UnpackScales(const uint8_t* packed, uint8_t* scales, uint8_t* minima) {
  for (int j = 0; j < 4; ++j) {
    scales[j] = packed[j] & 63;
    minima[j] = packed[j + 4] & 63;
    scales[j + 4] = static_cast<uint8_t>((packed[j + 8] & 15) | (packed[j] >> 6 << 4));
    minima[j + 4] = static_cast<uint8_t>((packed[j + 8] >> 4) | (packed[j + 4] >> 6 << 4));
  }
}

// half d, dmin; 12 bytes of scales; 128 bytes: each 32 hold the nibbles of 64 values
void ExpandQ4_K(const uint8_t* stored, int64_t blocks, float* out) {
  uint8_t scales[8], minima[8];
  for (int64_t b = 0; b < blocks; ++b, stored += 144) {
    const float d = LoadHalf(stored);
    const float dmin = LoadHalf(stored + 2);
    UnpackScales(stored + 4, scales, minima);
    const uint8_t* q = stored + 16;
    for (int j = 0; j < 8; j += 2, q += 32, out += 64) {
      const float d1 = d * scales[j], m1 = dmin * minima[j];
      const float d2 = d * scales[j + 1], m2 = dmin * minima[j + 1];
      for (int i = 0; i < 32; ++i) out[i] = d1 * static_cast<float>(q[i] & 15) - m1;
      for (int i = 0; i < 32; ++i) out[32 + i] = d2 * static_cast<float>(q[i] >> 4) - m2;
    }
  }
}

// half d, dmin; 12 bytes of scales; 32 bytes of fifth bits (bit j of byte i: value 32 j + i); nibbles as in
// Q4_K
void ExpandQ5_K(const uint8_t* stored, int64_t blocks, float* out) {
  uint8_t scales[8], minima[8];
  for (int64_t b = 0; b < blocks; ++b, stored += 176) {
    const float d = LoadHalf(stored);
    const float dmin = LoadHalf(stored + 2);
    UnpackScales(stored + 4, scales, minima);
    const uint8_t* high = stored + 16;
    const uint8_t* q = stored + 48;
    for (int j = 0; j < 8; j += 2, q += 32, out += 64) {
      const float d1 = d * scales[j], m1 = dmin * minima[j];
      const float d2 = d * scales[j + 1], m2 = dmin * minima[j + 1];
      for (int i = 0; i < 32; ++i)
        out[i] = d1 * static_cast<float>((q[i] & 15) + (high[i] >> j & 1) * 16) - m1;
      for (int i = 0; i < 32; ++i) {
        out[32 + i] = d2 * static_cast<float>((q[i] >> 4) + (high[i] >> (j + 1) & 1) * 16) - m2;
      }
    }
  }
}

// 128 bytes of low nibbles; 64 bytes of upper bit pairs; 16 int8 scales (one for 16 values); half d
void ExpandQ6_K(const uint8_t* stored, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; ++b, stored += 210) {
    const float d = LoadHalf(stored + 208);
    const uint8_t* low = stored;
    const uint8_t* high = stored + 128;
    const int8_t* scales = reinterpret_cast<const int8_t*>(stored + 192);
    for (int half = 0; half < 2; ++half, low += 64, high += 32, out += 128) {
      for (int part = 0; part < 4; ++part) {
        const uint8_t* nibbles = low + (part & 1) * 32;
        const int shift = part < 2 ? 0 : 4;
        for (int group = 0; group < 2; ++group) {
          const float scale = d * static_cast<float>(scales[half * 8 + part * 2 + group]);
          for (int i = group * 16; i < group * 16 + 16; ++i) {
            const int value = (nibbles[i] >> shift & 15) | (high[i] >> (2 * part) & 3) << 4;
            out[part * 32 + i] = scale * static_cast<float>(value - 32);
          }
        }
      }
    }
  }
}

constexpr ElementFormat kFormats[] = {
    {"F32", 1, 4, ExpandF32},
    {"F16", 1, 2, ExpandF16},
    {"BF16", 1, 2, ExpandBf16},
    {"Q4_0", kBlock, 18, ExpandQ4_0},
    {"Q4_1", kBlock, 20, ExpandQ4_1},
    {"Q5_0", kBlock, 22, ExpandQ5_0},
    {"Q5_1", kBlock, 24, ExpandQ5_1},
    {"Q8_0", kBlock, 34, ExpandQ8_0},
    {"Q4_K", kSuperBlock, 144, ExpandQ4_K},
    {"Q5_K", kSuperBlock, 176, ExpandQ5_K},
    {"Q6_K", kSuperBlock, 210, ExpandQ6_K},
};

}  // namespace

float HalfToFloat(uint16_t bits) {
  // The half's exponent and fraction, read as those of a float, are 2^112 too small; the product is exact.
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  const uint32_t scaled = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  const uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(scaled | special | static_cast<uint32_t>(bits & 0x8000) << 16);
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffffu;
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const auto with_sign = [&](uint32_t half) { return static_cast<uint16_t>(sign | half); };
  if (magnitude > 0x7f800000u) return with_sign(0x7e00);   // NaN
  if (magnitude >= 0x477ff000u) return with_sign(0x7c00);  // 65520 and more
  if (magnitude < 0x38800000u) {
    // Below 2^-14: added to 0.5, the last bit of the sum is that of the half.
    const float sum = std::bit_cast<float>(magnitude) + 0.5f;
    return with_sign(std::bit_cast<uint32_t>(sum) - 0x3f000000u);
  }
  return with_sign((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13);
}

const ElementFormat* FindElementFormat(std::string_view name) {
  for (const ElementFormat& format : kFormats) {
    if (name == format.name) return &format;
  }
  return nullptr;
}

int64_t FindNonFinite(const float* values, int64_t count) {
  constexpr uint32_t kExponent = 0x7f800000u;
  constexpr int64_t kChunk = 4096;
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t end = begin + kChunk < count ? begin + kChunk : count;
    uint32_t bad = 0;  // branch-free, so that it vectorizes
    for (int64_t i = begin; i < end; ++i) {
      bad |= (std::bit_cast<uint32_t>(values[i]) & kExponent) == kExponent ? 1u : 0u;
    }
    if (bad == 0) continue;
    for (int64_t i = begin; i < end; ++i) {
      if ((std::bit_cast<uint32_t>(values[i]) & kExponent) == kExponent) return i;
    }
  }
  return -1;
}

}  // namespace tnb
