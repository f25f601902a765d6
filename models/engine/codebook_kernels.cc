#include "models/engine/codebook_kernels.h"

#include <algorithm>
#include <cstring>

#include "models/engine/bits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#define HWY_TARGET_INCLUDE "models/engine/codebook_kernels.cc"
// foreach_target.h must come first, the others after it.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tnb::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(DF()));

HWY_INLINE hn::Vec<DF> LoadHalves(const uint16_t* from) {
  const hn::Rebind<hwy::float16_t, DF> d16;
  return hn::PromoteTo(DF(), hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(from)));
}

template <int kSize>
HWY_INLINE void FillTableOf(const float* x, int64_t size, const uint16_t* HWY_RESTRICT turned, int64_t padded,
                            float* HWY_RESTRICT table) {
  const DF d;
  const int64_t count = kSize > 0 ? kSize : size;
  for (int64_t k = 0; k < padded; k += kLanes) {
    auto sum = hn::Zero(d);
    for (int64_t j = 0; j < count; ++j) {
      sum = hn::MulAdd(hn::Set(d, x[j]), LoadHalves(turned + j * padded + k), sum);
    }
    hn::StoreU(sum, d, table + k);
  }
}

void FillTable(const float* x, int64_t size, const uint16_t* turned, int64_t padded, float* table) {
  switch (size) {
    case 2:
      return FillTableOf<2>(x, size, turned, padded, table);
    case 4:
      return FillTableOf<4>(x, size, turned, padded, table);
    case 8:
      return FillTableOf<8>(x, size, turned, padded, table);
    default:
      return FillTableOf<0>(x, size, turned, padded, table);
  }
}

using DT = hn::CappedTag<float, static_cast<size_t>(kTableTokens)>;
constexpr int64_t kTokenLanes = static_cast<int64_t>(hn::MaxLanes(DT()));
constexpr int kTokenVectors = static_cast<int>(kTableTokens / kTokenLanes);

template <int kSize>
HWY_INLINE void FillTablesOf(const float* HWY_RESTRICT x, int64_t size, const float* HWY_RESTRICT entries,
                             int64_t words, float* HWY_RESTRICT table) {
  const DT d;
  const int64_t count = kSize > 0 ? kSize : size;
  for (int64_t k = 0; k < words; ++k) {
    hn::Vec<DT> sum[kTokenVectors];
    for (int v = 0; v < kTokenVectors; ++v) sum[v] = hn::Zero(d);
    for (int64_t j = 0; j < count; ++j) {
      const auto entry = hn::Set(d, entries[k * count + j]);
      for (int v = 0; v < kTokenVectors; ++v) {
        sum[v] = hn::MulAdd(entry, hn::LoadU(d, x + j * kTableTokens + v * kTokenLanes), sum[v]);
      }
    }
    for (int v = 0; v < kTokenVectors; ++v) hn::StoreU(sum[v], d, table + k * kTableTokens + v * kTokenLanes);
  }
}

void FillTables(const float* x, int64_t size, const uint16_t* entries, int64_t words, float* table,
                float* scratch) {
  const DF d;
  const int64_t count = words * size;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(LoadHalves(entries + i), d, scratch + i);
  if (i < count) {
    HWY_ALIGN uint16_t last[16] = {};
    HWY_ALIGN float wide[16];
    std::copy_n(entries + i, count - i, last);
    hn::Store(LoadHalves(last), d, wide);
    std::copy_n(wide, count - i, scratch + i);
  }
  switch (size) {
    case 4:
      return FillTablesOf<4>(x, size, scratch, words, table);
    case 8:
      return FillTablesOf<8>(x, size, scratch, words, table);
    default:
      return FillTablesOf<0>(x, size, scratch, words, table);
  }
}

template <int kTokens, bool kBytes, bool kClustered>
HWY_INLINE void AddRows(const TableRun& run, int64_t begin, int64_t end, int64_t codes_row,
                        float* HWY_RESTRICT sums) {
  const hn::CappedTag<float, static_cast<size_t>(kTokens)> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int64_t kStep = static_cast<int64_t>(hn::MaxLanes(d));
  constexpr int kVectors = static_cast<int>(kTokens / kStep);
  constexpr int kParts = 4;
  [[maybe_unused]] const uint32_t mask = (uint32_t{1} << run.bits) - 1;
  for (int64_t row = begin; row < end; ++row, sums += kTokens) {
    const int64_t start = (row - codes_row) * run.row_bits + run.first_bit;
    const auto entry = [&](int64_t i) HWY_ATTR {
      uint32_t code = 0;
      if constexpr (kBytes) {
        code = run.codes[start / 8 + i];
      } else {
        const int64_t bit = start + i * run.bits;
        std::memcpy(&code, run.codes + bit / 8, 4);
        code = (code >> (bit % 8)) & mask;
      }
      int64_t table = i;
      if constexpr (kClustered) {
        const int64_t vector = row * run.vectors + run.vector_of[i];
        table = i * run.clusters +
                BitsAt(run.cluster_codes, run.cluster_bytes, vector * run.cluster_bits, run.cluster_bits);
      }
      return run.tables + table * run.table_stride + static_cast<int64_t>(code) * kTokens;
    };
    V part[kParts][kVectors];
    for (int p = 0; p < kParts; ++p) {
      for (int v = 0; v < kVectors; ++v) part[p][v] = hn::Zero(d);
    }
    const auto add = [&](V* to, int64_t i) HWY_ATTR {
      const float* from = entry(i);
      for (int v = 0; v < kVectors; ++v) to[v] = hn::Add(to[v], hn::LoadU(d, from + v * kStep));
    };
    int64_t i = 0;
    for (; i + kParts <= run.count; i += kParts) {
      for (int p = 0; p < kParts; ++p) add(part[p], i + p);
    }
    if (i < run.count) add(part[0], i++);
    if (i < run.count) add(part[1], i++);
    if (i < run.count) add(part[2], i++);
    for (int v = 0; v < kVectors; ++v) {
      const V sum = hn::Add(hn::Add(part[0][v], part[1][v]), hn::Add(part[2][v], part[3][v]));
      hn::StoreU(hn::Add(hn::LoadU(d, sums + v * kStep), sum), d, sums + v * kStep);
    }
  }
}

template <int kTokens>
HWY_INLINE void AddRowsOf(const TableRun& run, int64_t begin, int64_t end, int64_t codes_row, float* sums) {
  const bool bytes = run.bits == 8, clustered = run.clusters > 1;
  if (bytes && !clustered) return AddRows<kTokens, true, false>(run, begin, end, codes_row, sums);
  if (bytes) return AddRows<kTokens, true, true>(run, begin, end, codes_row, sums);
  if (!clustered) return AddRows<kTokens, false, false>(run, begin, end, codes_row, sums);
  AddRows<kTokens, false, true>(run, begin, end, codes_row, sums);
}

void AddEntries(const TableRun& run, int64_t begin, int64_t end, int64_t codes_row, int64_t tokens,
                float* sums) {
  if (tokens == 1) return AddRowsOf<1>(run, begin, end, codes_row, sums);
  AddRowsOf<static_cast<int>(kTableTokens)>(run, begin, end, codes_row, sums);
}

void UntanglePacked(float* x, int64_t width, int64_t layers, const uint8_t* maps, float* scratch) {
  const DT d;  // a byte of a map holds as many pairs, or a multiple
  float* from = x;
  float* to = scratch;
  for (int64_t layer = layers; layer-- > 0;) {
    const int64_t block = width >> layer, half = block / 2;
    const uint8_t* map = maps + layer * (width / 16);
    for (int64_t b = 0; b < width; b += block) {
      for (int64_t j = 0; j < half; j += kTokenLanes) {
        const int64_t pair = b / 2 + j;
        uint8_t bits[8] = {};  // as many as the operation may read
        bits[0] = static_cast<uint8_t>(map[pair / 8] >> (pair % 8));
        const auto in_order = hn::LoadMaskBits(d, bits);
        const auto small = hn::LoadU(d, from + b + j), large = hn::LoadU(d, from + b + half + j);
        hn::StoreInterleaved2(hn::IfThenElse(in_order, small, large), hn::IfThenElse(in_order, large, small),
                              d, to + b + 2 * j);
      }
    }
    std::swap(from, to);
  }
  if (from != x) std::copy_n(from, width, x);
}

}  // namespace tnb::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tnb::kernels {

HWY_EXPORT(FillTable);
HWY_EXPORT(FillTables);
HWY_EXPORT(AddEntries);
HWY_EXPORT(UntanglePacked);

void FillTable(const float* x, int64_t size, const uint16_t* turned, int64_t padded, float* table) {
  HWY_DYNAMIC_DISPATCH(FillTable)(x, size, turned, padded, table);
}
void FillTables(const float* x, int64_t size, const uint16_t* entries, int64_t words, float* table,
                float* scratch) {
  HWY_DYNAMIC_DISPATCH(FillTables)(x, size, entries, words, table, scratch);
}
void AddEntries(const TableRun& run, int64_t begin, int64_t end, int64_t codes_row, int64_t tokens,
                float* sums) {
  HWY_DYNAMIC_DISPATCH(AddEntries)(run, begin, end, codes_row, tokens, sums);
}
void UntanglePacked(float* x, int64_t width, int64_t layers, const uint8_t* maps, float* scratch) {
  HWY_DYNAMIC_DISPATCH(UntanglePacked)(x, width, layers, maps, scratch);
}

}  // namespace tnb::kernels
#endif
