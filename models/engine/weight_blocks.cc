// Weights stored as GGUF files store them.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/panel_reader.h"
#include "models/engine/weight_parts.h"
#include "models/formats/elements.h"

namespace tnb {
namespace {

// Columns expanded at a time for few rows of input: a whole number of blocks of any format, and with 32 rows
// as many values as the first-level cache holds.
constexpr int64_t kPiece = 256;

// fp16 numbers in a block; the other bits are codes, scales of parts of a block among them.
int64_t NumbersOf(const ElementFormat& format) { return format.name == std::string_view("Q4_K") ? 2 : 1; }

class BlockWeight : public Weight, private PanelReader {
 public:
  // `bytes`: uint8 [rows, bytes of a row]
  BlockWeight(const ElementFormat& format, const at::Tensor& bytes, int64_t cols)
      : format_(format),
        data_(static_cast<size_t>(bytes.numel())),
        rows_(bytes.size(0)),
        cols_(cols),
        row_bytes_(bytes.size(1)) {
    std::memcpy(data_.as<uint8_t>(), bytes.contiguous().const_data_ptr(), data_.size());
  }

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  std::string format() const override {
    std::string name = format_.name;
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c == 'Q' ? 'q' : c == 'K' ? 'k' : c;
    });
    return name;
  }

  WeightSize size() const override {
    const int64_t numbers = rows_ * cols_ / format_.block_values * NumbersOf(format_);
    const int64_t bytes = rows_ * row_bytes_;
    return {.parameters = numbers, .code_bits = 8 * bytes - 16 * numbers, .bytes = bytes};
  }

  at::Tensor Dense() const override {
    at::Tensor out = at::empty({rows_, cols_}, at::kFloat);
    ReaderUnpack(*this, 0, rows_, cols_, out.mutable_data_ptr<float>());
    return out;
  }

  at::Tensor Rows(const at::Tensor& index) const override {
    const at::Tensor wanted = index.cpu().contiguous();
    at::Tensor out = at::empty({wanted.numel(), cols_}, at::kFloat);
    for (int64_t i = 0; i < wanted.numel(); ++i) {
      const int64_t row = wanted.const_data_ptr<int64_t>()[i];
      TORCH_CHECK(row >= 0 && row < rows_, "row ", row, " of a matrix of ", rows_, " rows");
      ExpandRow(row, 0, cols_, out.mutable_data_ptr<float>() + i * cols_);
    }
    return out;
  }

  Json Save(const TensorSink& sink) const override {
    at::Tensor bytes = at::empty({rows_, row_bytes_}, at::kByte);
    std::memcpy(bytes.mutable_data_ptr(), data_.as<uint8_t>(), data_.size());
    sink(".blocks", bytes);
    return {{"format", "blocks"}, {"type", format_.name}};
  }

 protected:
  void MatmulCpu(const at::Tensor& x, at::Tensor& y) const override {
    ReaderMatmul(*this, rows_, cols_, x.const_data_ptr<float>(), x.stride(0), x.size(0),
                 y.mutable_data_ptr<float>(), y.stride(0));
  }

 private:
  // `begin` and `end` at the edges of blocks.
  void ExpandRow(int64_t row, int64_t begin, int64_t end, float* out) const {
    const uint8_t* stored =
        data_.as<uint8_t>() + row * row_bytes_ + begin / format_.block_values * format_.block_bytes;
    format_.expand(stored, (end - begin) / format_.block_values, out);
  }

  void ExpandPanel(int64_t panel, int64_t begin, int64_t end, float* out) const override {
    const int64_t width = std::min(kPanelRows, rows_ - panel * kPanelRows);
    if (width < kPanelRows) std::fill_n(out, (end - begin) * kPanelRows, 0.0F);
    float piece[kPiece];
    for (int64_t k = begin; k < end; k += kPiece) {
      const int64_t stop = std::min(k + kPiece, end);
      for (int64_t r = 0; r < width; ++r) {
        ExpandRow(panel * kPanelRows + r, k, stop, piece);
        for (int64_t c = 0; c < stop - k; ++c) out[(k - begin + c) * kPanelRows + r] = piece[c];
      }
    }
  }

  void MultiplyPanel(int64_t panel, const float* x, int64_t x_stride, int64_t n, float* y,
                     int64_t y_stride) const override {
    alignas(64) float expanded[kPiece * kPanelRows];
    for (int64_t k = 0; k < cols_; k += kPiece) {
      const int64_t stop = std::min(k + kPiece, cols_);
      ExpandPanel(panel, k, stop, expanded);
      kernels::MultiplyF32(expanded, kPanelRows, x + k, x_stride, n, stop - k, y, y_stride, k > 0);
    }
  }

  const ElementFormat& format_;
  AlignedBuffer data_;
  int64_t rows_, cols_, row_bytes_;
};

int64_t RowBytes(const ElementFormat& format, int64_t cols) {
  return cols / format.block_values * format.block_bytes;
}

}  // namespace

WeightPtr MakeBlockWeight(const at::Tensor& values, const std::string& type) {
  const ElementFormat* format = FindElementFormat(type);
  const QuantizeBlocks quantize = FindQuantizer(type);
  const int64_t rows = values.size(0), cols = values.size(1);
  if (format == nullptr || quantize == nullptr || cols % format->block_values != 0) {
    throw Error(ErrorKind::kUnsupported,
                {"a matrix cannot be stored as " + type, "Q8_0 Q4_0 Q5_0 Q4_K Q6_K, whole blocks a row",
                 std::to_string(cols) + " columns", "", ""});
  }
  const at::Tensor source = values.contiguous();
  if (!at::isfinite(source).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"a weight is NaN or infinite", "", "", "", "check the checkpoint"});
  }
  at::Tensor bytes = at::empty({rows, RowBytes(*format, cols)}, at::kByte);
  quantize(source.const_data_ptr<float>(), rows * cols / format->block_values,
           bytes.mutable_data_ptr<uint8_t>());
  auto weight = std::make_shared<BlockWeight>(*format, bytes, cols);
  CheckFinite(weight->Dense(), type + ", whose scales are fp16");
  return weight;
}

WeightPtr LoadBlockWeight(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                          const std::string& where) {
  const auto type = Require<std::string>(json, "type", where);
  const ElementFormat* format = FindElementFormat(type);
  if (format == nullptr || FindQuantizer(type) == nullptr || cols % format->block_values != 0) {
    throw Error(ErrorKind::kData, {"blocks of a kind this version does not know", "Q8_0 Q4_0 Q5_0 Q4_K Q6_K",
                                   json.dump(), where, "compress the model again"});
  }
  const at::Tensor bytes = source(".blocks");
  CheckTensor(bytes, at::kByte, {rows, RowBytes(*format, cols)}, where);
  auto weight = std::make_shared<BlockWeight>(*format, bytes, cols);
  CheckFinite(weight->Dense(), where);
  return weight;
}

}  // namespace tnb
