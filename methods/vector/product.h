// Product quantization of a set of vectors under a byte budget, and what builds on it:
//   pq    Jegou, Douze, Schmid, IEEE TPAMI 2011: every subspace has its own codebook by k-means
//   opq   Ge, He, Ke, Sun, IEEE TPAMI 2014: a rotation first, learned in turn with the codebooks
//   lopq  Kalantidis and Avrithis, CVPR 2014: clusters of vectors, each with a rotation and codebooks
//   qet   Quantum Entanglement Trees, arXiv 2407.03637, as in the authors' release of October 2024: pairs of
//         columns stored in order (and a bit that says how they stood), layer by layer; then product
//         quantization, whose codebook is rounded to some bits (CQO); then the same of the residual (RQO)
// Everything is fitted by Lloyd's k-means from random points, 20 iterations, as the releases do (nanopq).
// The number of entries of a codebook is the largest that fits into the budget, with ceil(log2) bits a code.
// Entries and rotations are stored as fp16 (the releases keep fp32), QET's as integers.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/engine/codebook.h"

namespace tnb {

enum class ProductMethod { kPq, kOpq, kLopq, kQet };

struct ProductOptions {
  ProductMethod method = ProductMethod::kPq;
  int64_t subspaces = 1;  // divides the width
  int64_t bytes = 0;      // of everything that is stored
  int64_t clusters = 2;   // lopq
  // qet, one of each a stage: tree layers, share of the budget, bits of a codebook's values.
  std::vector<int64_t> layers = {3, 0};
  std::vector<double> shares = {0.7, 0.3};
  std::vector<int64_t> value_bits = {10, 10};
  int64_t most_words = 65536;  // entries of a codebook: 16 bits a code
  int64_t iterations = 20;
  int64_t seed = 123;
};

// `matrix` fp32 [rows, cols] as rows * cols / width vectors. Error{kUsage} when the budget leaves a codebook
// without entries, or the width does not fit the subspaces or the tree.
Codebooks QuantizeProduct(const at::Tensor& matrix, int64_t width, const ProductOptions& options);

// The same with the number of subspaces that gives the least squared error, among those whose pieces have
// 1, 2, 4, 8 or 16 columns and whose codebooks have at most 1024 entries (k-means takes time with
// their number). `options.subspaces` is ignored.
Codebooks QuantizeProductBest(const at::Tensor& matrix, int64_t width, const ProductOptions& options);

// The largest number of entries in [1, limit) with
// fixed_bits + vectors * subspaces * ceil(log2 entries) + entries * entry_bits <= 8 bytes; 0 when none fits.
int64_t WordsFor(int64_t bytes, int64_t vectors, int64_t subspaces, int64_t entry_bits, int64_t fixed_bits,
                 int64_t limit);

}  // namespace tnb
