#include "models/engine/codebook_tables.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/engine/codebook_kernels.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"
#include "models/formats/elements.h"

namespace tnb {
namespace {

// Nanoseconds of one thread, measured by tests/benchmarks/codebook_benchmark.cc (AMD Zen 4, 2.6 GHz); what
// counts are their ratios, which differ little between processors. Codes of 8 bits cost two thirds of others.
constexpr double kFillEntry = 0.03;   // an element of an entry, one token
constexpr double kFillEntries = 0.5;  // kTableTokens tokens
constexpr double kLookUp = 1.2;       // a code, one token
constexpr double kLookUps = 1.4;      // kTableTokens tokens
constexpr double kExpand = 1.5;       // an element, a stage
constexpr double kMultiply = 0.02;    // an element and token, once expanded
constexpr double kRotate = 0.05;      // an element and column of a rotation

constexpr int64_t kMostPieces = 16, kPiecePositions = 8;

const uint16_t* Halves(const at::Tensor& tensor) {
  return static_cast<const uint16_t*>(tensor.const_data_ptr());
}

}  // namespace

bool CodebookTables::Serve(const Codebooks& books) {
  return std::all_of(books.stages.begin(), books.stages.end(),
                     [](const CodebookStage& stage) { return stage.layers == 0 && stage.value_bits == 16; });
}

CodebookTables::CodebookTables(const Codebooks& books) : books_(books) {
  const int64_t clusters = books.cluster_count(), width = books.width, vectors = books.cols / width;
  int64_t most = 1;  // positions
  for (const CodebookStage& from : books.stages) {
    StageTables stage;
    stage.size = width / from.subspaces;
    stage.positions = vectors * from.subspaces;
    stage.bits = from.code_bits();
    stage.words = from.words;
    stage.padded = (from.words + 15) / 16 * 16;
    stage.tile = std::clamp<int64_t>(6144 / (stage.padded * clusters), 4, 16);
    most = std::max(most, stage.positions);
    stage.turned.assign(static_cast<size_t>(clusters * width * stage.padded), 0);
    const uint16_t* values = Halves(from.values);
    for (int64_t book = 0; book < clusters * from.subspaces; ++book) {
      uint16_t* to = stage.turned.data() + book * stage.size * stage.padded;
      for (int64_t k = 0; k < stage.words; ++k) {
        for (int64_t j = 0; j < stage.size; ++j) to[j * stage.padded + k] = *values++;
      }
    }
    // A row is read where it lies when its last code is at least 32 bits from the end.
    const int64_t row_bits = stage.positions * stage.bits, bytes = from.codes.numel();
    if (row_bits > 0) {
      stage.tail_row = std::clamp<int64_t>((8 * bytes - 32) / row_bits, 0, books.rows);
    }
    const int64_t first = stage.tail_row * row_bits / 8;
    stage.tail_bit = stage.tail_row * row_bits % 8;
    if (bytes > 0) {
      const uint8_t* codes = from.codes.const_data_ptr<uint8_t>();
      stage.tail.assign(codes + std::min(first, bytes), codes + bytes);
    }
    stage.tail.resize(stage.tail.size() + 4);
    stages_.push_back(std::move(stage));
  }
  pieces_ = std::clamp<int64_t>(most / kPiecePositions, 1, kMostPieces);
  if (!books.rotations.defined()) return;
  padded_width_ = (width + kPanelRows - 1) / kPanelRows * kPanelRows;
  rotations_.assign(static_cast<size_t>(clusters * width * padded_width_), 0.0F);
  const uint16_t* rotation = Halves(books.rotations);
  for (int64_t i = 0; i < clusters * width; ++i) {
    std::transform(rotation + i * width, rotation + (i + 1) * width, rotations_.begin() + i * padded_width_,
                   HalfToFloat);
  }
}

double CodebookTables::TablesTime(int64_t tokens) const {
  double fill = 0, look_ups = 0;
  for (const StageTables& stage : stages_) {
    fill += static_cast<double>(books_.cluster_count() * books_.cols * stage.padded);
    look_ups += static_cast<double>(books_.rows * stage.positions);
  }
  const double one = fill * kFillEntry + look_ups * kLookUp, many = fill * kFillEntries + look_ups * kLookUps;
  return std::min(static_cast<double>(tokens) * one, many);
}

bool CodebookTables::Pay(int64_t tokens) const {
  const int64_t batches = tokens / kernels::kTableTokens, rest = tokens % kernels::kTableTokens;
  const double tables = static_cast<double>(batches) * TablesTime(kernels::kTableTokens) + TablesTime(rest);
  const auto elements = static_cast<double>(books_.rows * books_.cols);
  const double rotation = static_cast<double>(padded_width_) * kRotate;
  return tables < elements * (kExpand * static_cast<double>(stages_.size()) + rotation +
                              kMultiply * static_cast<double>(tokens));
}

void CodebookTables::Matmul(const float* x, int64_t x_stride, int64_t n, float* y, int64_t y_stride) const {
  constexpr int64_t kMany = kernels::kTableTokens;
  for (int64_t i = 0; i < n; i += kMany) {
    const int64_t count = std::min(kMany, n - i);
    const double one = static_cast<double>(count) * TablesTime(1);
    if (count > 1 && TablesTime(count) < one) {
      Batch(x + i * x_stride, x_stride, count, kMany, y + i * y_stride, y_stride);
      continue;
    }
    for (int64_t k = i; k < i + count; ++k)
      Batch(x + k * x_stride, x_stride, 1, 1, y + k * y_stride, y_stride);
  }
}

void CodebookTables::Prepare(const float* x, int64_t x_stride, int64_t count, int64_t lanes,
                             float* out) const {
  const int64_t width = books_.width, cols = books_.cols;
  if (padded_width_ == 0) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = 0; k < cols; ++k) out[k * lanes + i] = x[i * x_stride + k];
    }
    return;
  }
  // A vector is R e, so that its product with x is that of e with Rᵀ x.
  std::vector<float> turned(static_cast<size_t>(cols / width * padded_width_));
  for (int64_t cluster = 0; cluster < books_.cluster_count(); ++cluster, out += cols * lanes) {
    const float* rotation = rotations_.data() + cluster * width * padded_width_;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = 0; k < padded_width_; k += kPanelRows) {
        kernels::MultiplyF32(rotation + k, padded_width_, x + i * x_stride, width, cols / width, width,
                             turned.data() + k, padded_width_, false);
      }
      for (int64_t k = 0; k < cols; ++k) {
        out[k * lanes + i] = turned[static_cast<size_t>(k / width * padded_width_ + k % width)];
      }
    }
  }
}

void CodebookTables::Tile(const StageTables& stage, const CodebookStage& from, int64_t begin, int64_t end,
                          int64_t lanes, const float* x, float* sums) const {
  const int64_t clusters = books_.cluster_count(), subspaces = from.subspaces, size = stage.size;
  thread_local std::vector<float> tables, scratch;
  thread_local std::vector<int64_t> vector_of;
  const int64_t stride = stage.padded * lanes;
  tables.resize(static_cast<size_t>((end - begin) * clusters * stride));
  scratch.resize(static_cast<size_t>(stage.words * size));
  for (int64_t p = begin; p < end; ++p) {
    for (int64_t c = 0; c < clusters; ++c) {
      float* table = tables.data() + ((p - begin) * clusters + c) * stride;
      const float* input = x + (c * books_.cols + p * size) * lanes;
      const int64_t book = c * subspaces + p % subspaces;
      if (lanes == 1) {
        kernels::FillTable(input, size, stage.turned.data() + book * size * stage.padded, stage.padded,
                           table);
      } else {
        kernels::FillTables(input, size, Halves(from.values) + book * stage.words * size, stage.words, table,
                            scratch.data());
      }
    }
  }
  kernels::TableRun run;
  run.tables = tables.data();
  run.table_stride = stride;
  run.count = end - begin;
  run.row_bits = stage.positions * stage.bits;
  run.bits = stage.bits;
  run.clusters = clusters;
  if (clusters > 1) {
    run.cluster_codes = books_.clusters.const_data_ptr<uint8_t>();
    run.cluster_bytes = books_.clusters.numel();
    run.cluster_bits = BitsFor(clusters);
    run.vectors = books_.cols / books_.width;
    vector_of.resize(static_cast<size_t>(run.count));
    for (int64_t p = begin; p < end; ++p) vector_of[static_cast<size_t>(p - begin)] = p / subspaces;
    run.vector_of = vector_of.data();
  }
  const int64_t rows = books_.rows;
  if (stage.tail_row > 0) {
    run.codes = from.codes.const_data_ptr<uint8_t>();
    run.first_bit = begin * stage.bits;
    kernels::AddEntries(run, 0, stage.tail_row, 0, lanes, sums);
  }
  run.codes = stage.tail.data();
  run.first_bit = begin * stage.bits + stage.tail_bit;
  kernels::AddEntries(run, stage.tail_row, rows, stage.tail_row, lanes, sums + stage.tail_row * lanes);
}

void CodebookTables::Piece(int64_t piece, int64_t lanes, const float* x, float* sums) const {
  std::fill_n(sums, books_.rows * lanes, 0.0F);
  for (size_t s = 0; s < stages_.size(); ++s) {
    const StageTables& stage = stages_[s];
    const int64_t end = stage.positions * (piece + 1) / pieces_;
    for (int64_t p = stage.positions * piece / pieces_; p < end; p += stage.tile) {
      Tile(stage, books_.stages[s], p, std::min(p + stage.tile, end), lanes, x, sums);
    }
  }
}

void CodebookTables::Batch(const float* x, int64_t x_stride, int64_t count, int64_t lanes, float* y,
                           int64_t y_stride) const {
  const int64_t rows = books_.rows;
  thread_local std::vector<float> inputs, parts;
  inputs.assign(static_cast<size_t>(books_.cluster_count() * books_.cols * lanes), 0.0F);
  parts.resize(static_cast<size_t>(pieces_ * rows * lanes));
  float* const input = inputs.data();
  float* const part = parts.data();
  Prepare(x, x_stride, count, lanes, input);
  // A piece is worth a thread when it has work for some microseconds.
  const auto grain = static_cast<int64_t>(5000 * static_cast<double>(pieces_) / TablesTime(lanes)) + 1;
  ParallelFor(pieces_, grain, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) Piece(piece, lanes, input, part + piece * rows * lanes);
  });
  const uint16_t* scales = books_.scales.defined() ? Halves(books_.scales) : nullptr;
  ParallelFor(rows, (1 << 15) / (pieces_ * lanes), [&](int64_t begin, int64_t end) {
    for (int64_t piece = 1; piece < pieces_; ++piece) {
      const float* from = part + piece * rows * lanes;
      for (int64_t i = begin * lanes; i < end * lanes; ++i) part[i] += from[i];
    }
    for (int64_t r = begin; r < end; ++r) {
      const float scale = scales == nullptr ? 1.0F : HalfToFloat(scales[r]);
      for (int64_t i = 0; i < count; ++i) y[i * y_stride + r] = scale * part[r * lanes + i];
    }
  });
}

}  // namespace tnb
