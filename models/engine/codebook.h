// Codebook formats: a matrix whose rows are cut into vectors of `width` columns, each stored as the numbers
// of codebook entries ("codes") that together make it. One description serves product quantization (PQ, OPQ,
// LOPQ), Quantum Entanglement Trees (QET) and additive quantization (AQLM):
//
//   vector = scale_row * R_c · sum over stages of untangle(maps, entries of the stage side by side)
//
// A stage cuts a vector into `subspaces` pieces, with a codebook of `words` entries each. QET's first stage
// stores pairs of columns ordered, with a bit a pair and layer that says how they stood. Scales, rotations R
// and clusters c may be absent. Everything lies in memory as it is stored: codes of b bits end to end.
//
// Bytes, for N = rows * cols / width vectors (every part rounded up to whole bytes):
//   codes      N * subspaces * ceil(log2 words) / 8                       a stage
//   entries    2 * clusters * words * width, or, in v bits,
//              clusters * words * width * v / 8 + 8 for step and minimum   a stage
//   maps       N * width * layers / 16                                     a stage
//   scales     2 * rows
//   rotations  2 * clusters * width^2, and N * ceil(log2 clusters) / 8
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/engine/bits.h"
#include "models/engine/panel_reader.h"
#include "models/engine/weight.h"

namespace tnb {

struct CodebookStage {
  int64_t subspaces = 1;  // divides the width
  int64_t words = 1;      // entries of a codebook, 1 to 65536
  at::Tensor codes;       // packed, vector by vector, in each by subspace
  int64_t value_bits = 16;
  // value_bits 16: fp16 [clusters, subspaces, words, width / subspaces]. Fewer: integers of so many bits,
  // packed in the same order; value = minimum + step * integer.
  at::Tensor values;
  float step = 0, minimum = 0;
  int64_t layers = 0;  // of the tree; width is a multiple of 2^layers
  at::Tensor maps;     // packed bits, vector by vector, in each layer by layer, width / 2 each

  int64_t code_bits() const;  // of one code: 0 for a codebook of one entry
};

struct Codebooks {
  int64_t rows = 0, cols = 0;
  int64_t width = 0;  // divides cols
  std::vector<CodebookStage> stages;
  at::Tensor scales;     // fp16 [rows], or undefined
  at::Tensor rotations;  // fp16 [clusters, width, width], or undefined
  at::Tensor clusters;   // packed, one a vector; undefined with one cluster

  int64_t vectors() const { return rows * (cols / width); }
  int64_t cluster_count() const { return rotations.defined() ? rotations.size(0) : 1; }
};

// QET's tree on one vector of `width` values, in place: in every layer, each block of width / 2^layer values
// has its neighbors compared; the smaller ones go into the block's first half, the larger ones into the
// second. maps[layer * width / 2 + pair] is 1 where the first of a pair was smaller than the second.
// `scratch` holds `width` values.
void Entangle(float* x, int64_t width, int64_t layers, uint8_t* maps, float* scratch);
void Untangle(float* x, int64_t width, int64_t layers, const uint8_t* maps, float* scratch);

// Reads vectors. Tables of entries as fp32 are made when it is constructed, and are small beside the codes.
class CodebookReader : public PanelReader {
 public:
  // `books` stays with the caller.
  explicit CodebookReader(const Codebooks& books);
  // Vector `index` of a row, fp32 [width].
  void Vector(int64_t row, int64_t index, float* out) const;
  void ExpandPanel(int64_t panel, int64_t begin, int64_t end, float* out) const override;
  void MultiplyPanel(int64_t panel, const float* x, int64_t x_stride, int64_t n, float* y,
                     int64_t y_stride) const override;

 private:
  const Codebooks& books_;
  std::vector<std::vector<float>> tables_;  // by stage: [clusters][subspaces][words][width / subspaces]
  std::vector<float> rotations_;            // [clusters][width][padded width], turned for MultiplyF32
  int64_t padded_ = 0;                      // width, rounded up to whole panels
};

// fp32 [rows, cols].
at::Tensor Expand(const Codebooks& books);
WeightSize SizeOf(const Codebooks& books);
WeightPtr MakeCodebookWeight(Codebooks books);
// Whether products of few rows are rounded in another way than those of many (codebook_tables.h).
bool MultipliesByTables(const Weight& weight);
// What the weight saved; everything read is checked. Error{kData} names `where`.
Codebooks LoadCodebooks(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                        const std::string& where);

}  // namespace tnb
