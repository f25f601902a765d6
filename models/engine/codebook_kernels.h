// The inner loops of codebook weights: tables of partial products, adding up what codes point at in them, and
// QET's tree. Highway, chosen at run time; codebook_tables.cc and codebook.cc call them.
#pragma once

#include <cstdint>

namespace tnb::kernels {

// Tokens whose tables lie side by side, so that one addition serves all of them.
inline constexpr int64_t kTableTokens = 8;

// table[k] = x[size] · entry k, for k < padded, a multiple of 16. `turned`: fp16 bits [size][padded].
void FillTable(const float* x, int64_t size, const uint16_t* turned, int64_t padded, float* table);
// table[k][kTableTokens] the same for the columns of x [size][kTableTokens]. `entries`: fp16 bits
// [words][size]. The bits of a product are those of FillTable. `scratch` holds words * size values.
void FillTables(const float* x, int64_t size, const uint16_t* entries, int64_t words, float* table,
                float* scratch);

// Which entries of which tables a matrix adds up: `count` positions of every row, from bit `first_bit` on
// beyond row * row_bits. Table number i * clusters + cluster belongs to position i; the clusters of a row's
// `vectors` are in `cluster_codes`.
struct TableRun {
  const float* tables = nullptr;
  int64_t table_stride = 0;  // floats of a table
  int64_t count = 0;
  const uint8_t* codes = nullptr;  // 4 bytes from each code's first byte on can be read
  int64_t row_bits = 0, first_bit = 0;
  int64_t bits = 8;  // of a code, 0 to 16
  int64_t clusters = 1;
  const uint8_t* cluster_codes = nullptr;  // clusters > 1
  int64_t cluster_bytes = 0, cluster_bits = 0, vectors = 0;
  const int64_t* vector_of = nullptr;  // [count]: the vector of a position
};
// sums[row - begin][tokens] += the entries of rows [begin, end); `codes` begins with row `codes_row`, and
// `tokens` is 1 or kTableTokens. Four accumulators take positions in turn: the bits of a sum depend on
// `count` alone.
void AddEntries(const TableRun& run, int64_t begin, int64_t end, int64_t codes_row, int64_t tokens,
                float* sums);

// Untangle (codebook.h) with packed maps that begin with a byte; width / 2^layers is a multiple of 8.
void UntanglePacked(float* x, int64_t width, int64_t layers, const uint8_t* maps, float* scratch);

}  // namespace tnb::kernels
