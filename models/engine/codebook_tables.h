// Multiplying with a codebook weight without expanding it. The products of an input's pieces with all entries
// of their codebooks are computed once, a table of `words` numbers for each position of a row; every code is
// then one look-up and one addition, so that few tokens cost (codes of the matrix) additions instead of
// (elements of the matrix) expansions:
//
//   y_row = scale_row * sum over stages and positions p of table_p[code(row, p)],  table_p[k] = x_p · entry_k
//
// A rotation is applied to the input instead of to the vectors; with clusters every position has a table for
// each. AQLM's release does the same on CPUs (arXiv 2401.06118, section 4).
//
// Positions are cut into a fixed number of pieces with sums of their own: the bits of a result depend neither
// on how many tokens are given together nor on the threads. They differ from those of the expanded form in
// the rounding of fp32 sums.
#pragma once

#include <vector>

#include "models/engine/codebook.h"

namespace tnb {

class CodebookTables {
 public:
  // Whether this form can be used: no tree, and entries in fp16.
  static bool Serve(const Codebooks& books);
  // `books` stays with the caller.
  explicit CodebookTables(const Codebooks& books);

  // Whether tables are expected to need less time for so many tokens than expanding the matrix.
  bool Pay(int64_t tokens) const;
  // y[n, rows] = x[n, cols] · wᵀ; rows contiguous, strides in elements.
  void Matmul(const float* x, int64_t x_stride, int64_t n, float* y, int64_t y_stride) const;

 private:
  struct StageTables {
    int64_t size = 0, positions = 0;  // columns of an entry; codes of a row
    int64_t bits = 0, words = 0, padded = 0;
    int64_t tile = 0;              // positions whose tables lie in the first-level cache together
    std::vector<uint16_t> turned;  // fp16 [clusters][subspaces][size][padded]
    // Rows from this one on are read from `tail`: four bytes from one of their codes on may reach behind the
    // end of the codes.
    int64_t tail_row = 0, tail_bit = 0;
    std::vector<uint8_t> tail;
  };

  double TablesTime(int64_t tokens) const;
  // Up to `lanes` (1 or kTableTokens) tokens.
  void Batch(const float* x, int64_t x_stride, int64_t count, int64_t lanes, float* y,
             int64_t y_stride) const;
  // x [count, cols] as [clusters][cols][lanes], rotated.
  void Prepare(const float* x, int64_t x_stride, int64_t count, int64_t lanes, float* out) const;
  // Sums of all rows over one piece of the positions.
  void Piece(int64_t piece, int64_t lanes, const float* x, float* sums) const;
  void Tile(const StageTables& stage, const CodebookStage& from, int64_t begin, int64_t end, int64_t lanes,
            const float* x, float* sums) const;

  const Codebooks& books_;
  std::vector<StageTables> stages_;
  std::vector<float> rotations_;  // [clusters][width][padded width]
  int64_t padded_width_ = 0, pieces_ = 1;
};

}  // namespace tnb
