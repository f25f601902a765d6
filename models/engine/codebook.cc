#include "models/engine/codebook.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "models/engine/codebook_kernels.h"
#include "models/engine/panel_kernels.h"
#include "models/formats/elements.h"

namespace tnb {
namespace {

// Entries are short: copies of a known size are a load and a store or two, not a call.
void CopyEntry(const float* from, int64_t size, float* to) {
  switch (size) {
    case 1:
      *to = *from;
      return;
    case 2:
      std::memcpy(to, from, 2 * sizeof(float));
      return;
    case 4:
      std::memcpy(to, from, 4 * sizeof(float));
      return;
    case 8:
      std::memcpy(to, from, 8 * sizeof(float));
      return;
    default:
      std::memcpy(to, from, static_cast<size_t>(size) * sizeof(float));
  }
}

}  // namespace

int64_t CodebookStage::code_bits() const { return BitsFor(words); }

void Entangle(float* x, int64_t width, int64_t layers, uint8_t* maps, float* scratch) {
  for (int64_t layer = 0; layer < layers; ++layer, maps += width / 2) {
    const int64_t block = width >> layer, half = block / 2;
    for (int64_t b = 0; b < width; b += block) {
      for (int64_t j = 0; j < half; ++j) {
        const float left = x[b + 2 * j], right = x[b + 2 * j + 1];
        maps[b / 2 + j] = left < right ? 1 : 0;
        scratch[b + j] = std::min(left, right);
        scratch[b + half + j] = std::max(left, right);
      }
    }
    std::copy_n(scratch, width, x);
  }
}

void Untangle(float* x, int64_t width, int64_t layers, const uint8_t* maps, float* scratch) {
  for (int64_t layer = layers; layer-- > 0;) {
    const int64_t block = width >> layer, half = block / 2;
    const uint8_t* map = maps + layer * (width / 2);
    for (int64_t b = 0; b < width; b += block) {
      for (int64_t j = 0; j < half; ++j) {
        const bool in_order = map[b / 2 + j] != 0;
        const float small = x[b + j], large = x[b + half + j];
        scratch[b + 2 * j] = in_order ? small : large;
        scratch[b + 2 * j + 1] = in_order ? large : small;
      }
    }
    std::copy_n(scratch, width, x);
  }
}

CodebookReader::CodebookReader(const Codebooks& books) : books_(books) {
  for (const CodebookStage& stage : books.stages) {
    const int64_t count = books.cluster_count() * stage.words * books.width;
    std::vector<float> table(static_cast<size_t>(count));
    if (stage.value_bits == 16) {
      const auto* halves = static_cast<const uint16_t*>(stage.values.const_data_ptr());
      std::transform(halves, halves + count, table.begin(), HalfToFloat);
    } else {
      const uint8_t* packed = stage.values.const_data_ptr<uint8_t>();
      for (int64_t i = 0; i < count; ++i) {
        const uint32_t level = BitsAt(packed, stage.values.numel(), i * stage.value_bits, stage.value_bits);
        table[static_cast<size_t>(i)] = stage.minimum + stage.step * static_cast<float>(level);
      }
    }
    tables_.push_back(std::move(table));
  }
  if (!books.rotations.defined()) return;
  const int64_t width = books.width;
  padded_ = (width + kPanelRows - 1) / kPanelRows * kPanelRows;
  rotations_.assign(static_cast<size_t>(books.cluster_count() * width * padded_), 0.0F);
  const auto* halves = static_cast<const uint16_t*>(books.rotations.const_data_ptr());
  for (int64_t c = 0; c < books.cluster_count(); ++c) {
    for (int64_t j = 0; j < width; ++j) {
      for (int64_t k = 0; k < width; ++k) {
        rotations_[static_cast<size_t>((c * width + k) * padded_ + j)] =
            HalfToFloat(halves[(c * width + j) * width + k]);
      }
    }
  }
}

void CodebookReader::Vector(int64_t row, int64_t index, float* out) const {
  const int64_t width = books_.width, number = row * (books_.cols / width) + index;
  thread_local std::vector<float> memory;
  thread_local std::vector<uint8_t> maps;
  if (memory.size() < static_cast<size_t>(2 * width + padded_)) {
    memory.resize(static_cast<size_t>(2 * width + padded_));
  }
  int64_t cluster = 0;
  if (books_.clusters.defined()) {
    const int64_t bits = BitsFor(books_.cluster_count());
    cluster = BitsAt(books_.clusters.const_data_ptr<uint8_t>(), books_.clusters.numel(), number * bits, bits);
  }
  for (size_t s = 0; s < books_.stages.size(); ++s) {
    const CodebookStage& stage = books_.stages[s];
    const int64_t bits = stage.code_bits(), size = width / stage.subspaces;
    const uint8_t* codes = stage.codes.const_data_ptr<uint8_t>();
    const int64_t bytes = stage.codes.numel();
    const float* table = tables_[s].data() + cluster * stage.words * width;
    float* part = s == 0 ? out : memory.data();
    for (int64_t m = 0; m < stage.subspaces; ++m, table += stage.words * size) {
      const int64_t code = bits == 0 ? 0 : BitsAt(codes, bytes, (number * stage.subspaces + m) * bits, bits);
      CopyEntry(table + code * size, size, part + m * size);
    }
    if (stage.layers > 0 && (width >> stage.layers) % 8 == 0) {
      const uint8_t* packed = stage.maps.const_data_ptr<uint8_t>();
      kernels::UntanglePacked(part, width, stage.layers, packed + number * stage.layers * (width / 16),
                              memory.data() + width);
    } else if (stage.layers > 0) {
      const int64_t count = stage.layers * (width / 2);
      maps.resize(static_cast<size_t>(count));
      const uint8_t* packed = stage.maps.const_data_ptr<uint8_t>();
      for (int64_t i = 0; i < count; ++i) {
        const int64_t bit = number * count + i;
        maps[static_cast<size_t>(i)] = packed[bit / 8] >> (bit % 8) & 1;
      }
      Untangle(part, width, stage.layers, maps.data(), memory.data() + width);
    }
    if (s > 0) {
      for (int64_t j = 0; j < width; ++j) out[j] += part[j];
    }
  }
  if (padded_ > 0) {
    const float* rotation = rotations_.data() + cluster * width * padded_;
    float* turned = memory.data() + 2 * width;
    for (int64_t j = 0; j < padded_; j += kPanelRows) {
      kernels::MultiplyF32(rotation + j, padded_, out, width, 1, width, turned + j, padded_, false);
    }
    std::copy_n(turned, width, out);
  }
  if (books_.scales.defined()) {
    const float scale = HalfToFloat(static_cast<const uint16_t*>(books_.scales.const_data_ptr())[row]);
    for (int64_t j = 0; j < width; ++j) out[j] *= scale;
  }
}

void CodebookReader::ExpandPanel(int64_t panel, int64_t begin, int64_t end, float* out) const {
  const int64_t width = books_.width, first = panel * kPanelRows;
  const int64_t count = std::min(kPanelRows, books_.rows - first);
  if (count < kPanelRows) std::fill_n(out, (end - begin) * kPanelRows, 0.0F);
  thread_local std::vector<float> vector;
  vector.resize(static_cast<size_t>(width));
  // The columns of a vector stay in the first-level cache while all rows write theirs.
  for (int64_t v = begin / width; v * width < end; ++v) {
    const int64_t from = std::max(begin, v * width), to = std::min(end, (v + 1) * width);
    for (int64_t r = 0; r < count; ++r) {
      Vector(first + r, v, vector.data());
      for (int64_t c = from; c < to; ++c) {
        out[(c - begin) * kPanelRows + r] = vector[static_cast<size_t>(c - v * width)];
      }
    }
  }
}

void CodebookReader::MultiplyPanel(int64_t panel, const float* x, int64_t x_stride, int64_t n, float* y,
                                   int64_t y_stride) const {
  // Whole vectors, about 16 kB of fp32.
  const int64_t piece = std::max<int64_t>(1, 128 / books_.width) * books_.width;
  thread_local std::vector<float> buffer;
  buffer.resize(static_cast<size_t>(piece * kPanelRows));
  for (int64_t begin = 0; begin < books_.cols; begin += piece) {
    const int64_t end = std::min(begin + piece, books_.cols);
    ExpandPanel(panel, begin, end, buffer.data());
    kernels::MultiplyF32(buffer.data(), kPanelRows, x + begin, x_stride, n, end - begin, y, y_stride,
                         begin > 0);
  }
}

at::Tensor Expand(const Codebooks& books) {
  at::Tensor out = at::empty({books.rows, books.cols}, at::kFloat);
  ReaderUnpack(CodebookReader(books), 0, books.rows, books.cols, out.mutable_data_ptr<float>());
  return out;
}

}  // namespace tnb
