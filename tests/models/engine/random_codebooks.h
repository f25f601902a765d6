// Codebook weights with random codes and entries.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "models/engine/codebook.h"

namespace tnb::testing {

inline CodebookStage RandomStage(const Codebooks& books, int64_t subspaces, int64_t words, int64_t layers,
                                 int64_t value_bits) {
  CodebookStage stage;
  stage.subspaces = subspaces;
  stage.words = words;
  stage.layers = layers;
  stage.value_bits = value_bits;
  const int64_t clusters = books.cluster_count(), values = clusters * words * books.width;
  stage.codes = PackBits(at::randint(0, words, {books.vectors() * subspaces}, at::kInt), stage.code_bits());
  if (value_bits == 16) {
    stage.values = at::randn({clusters, subspaces, words, books.width / subspaces}).to(at::kHalf);
  } else {
    stage.values = PackBits(at::randint(0, int64_t{1} << value_bits, {values}, at::kInt), value_bits);
    stage.step = 0.01F;
    stage.minimum = -2;
  }
  if (layers > 0) {
    stage.maps = PackBits(at::randint(0, 2, {books.vectors() * layers * books.width / 2}, at::kInt), 1);
  }
  return stage;
}

// 2 x 8 bits for 8 columns.
inline Codebooks RandomAdditive(int64_t rows, int64_t cols) {
  Codebooks books{.rows = rows, .cols = cols, .width = 8};
  books.scales = at::rand({rows}).to(at::kHalf);
  books.stages = {RandomStage(books, 1, 256, 0, 16), RandomStage(books, 1, 256, 0, 16)};
  return books;
}

// Rotated, in three clusters.
inline Codebooks RandomClusters(int64_t rows, int64_t cols, int64_t width, int64_t subspaces, int64_t words) {
  Codebooks books{.rows = rows, .cols = cols, .width = width};
  books.rotations = (at::randn({3, width, width}) / 7).to(at::kHalf);
  books.clusters = PackBits(at::randint(0, 3, {books.vectors()}, at::kInt), 2);
  books.stages = {RandomStage(books, subspaces, words, 0, 16)};
  return books;
}

}  // namespace tnb::testing
