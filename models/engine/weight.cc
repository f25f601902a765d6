#include "models/engine/weight.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/engine/parallel.h"
#include "models/engine/weight_parts.h"

namespace tnb {

std::string ToString(Kernel kernel) {
  switch (kernel) {
    case Kernel::kPacked:
      return "packed";
    case Kernel::kExpanded:
      return "expanded";
    case Kernel::kSimulated:
      return "simulated";
  }
  return "";
}

at::Tensor Weight::Matmul(const at::Tensor& x) const {
  TORCH_CHECK(x.dim() == 2 && x.size(1) == cols(), "Matmul: x is not [n, ", cols(), "]");
  if (!x.is_cpu()) {
    if (!on_device_.defined() || on_device_.device() != x.device()) on_device_ = Dense().to(x.device());
    return at::linear(x, on_device_);
  }
  const at::Tensor input = x.stride(1) == 1 ? x : x.contiguous();
  at::Tensor y = at::empty({x.size(0), rows()}, x.options());
  MatmulCpu(input, y);
  return y;
}

std::vector<at::Tensor> MatmulAll(std::span<const Weight* const> weights, const at::Tensor& x) {
  std::vector<at::Tensor> results;
  const auto agrees = [&](const Weight* weight) {
    return weight->panels() != nullptr && weight->activation() == weights[0]->activation();
  };
  if (!x.is_cpu() || !std::all_of(weights.begin(), weights.end(), agrees)) {
    for (const Weight* weight : weights) results.push_back(weight->Matmul(x));
    return results;
  }
  const at::Tensor input = x.stride(1) == 1 ? x : x.contiguous();
  std::vector<PanelProduct> products;
  for (const Weight* weight : weights) {
    TORCH_CHECK(x.dim() == 2 && x.size(1) == weight->cols(), "MatmulAll: x is not [n, ", weight->cols(), "]");
    results.push_back(at::empty({x.size(0), weight->rows()}, x.options()));
    products.push_back({weight->panels(), results.back().mutable_data_ptr<float>(), weight->rows()});
  }
  PanelMatmul(products, weights[0]->activation(), input.const_data_ptr<float>(), input.stride(0), x.size(0));
  return results;
}

at::Tensor Weight::Rows(const at::Tensor& index) const { return Dense().index_select(0, index.cpu()); }

at::Tensor Pack4(const at::Tensor& codes) {
  const at::Tensor even = at::constant_pad_nd(codes, {0, codes.numel() % 2}).view({-1, 2});
  return at::bitwise_or(even.select(1, 0), at::bitwise_left_shift(even.select(1, 1), 4)).contiguous();
}

at::Tensor Unpack4(const at::Tensor& packed, int64_t count) {
  return at::stack({at::bitwise_and(packed, 15), at::bitwise_right_shift(packed, 4)}, 1)
      .view({-1})
      .narrow(0, 0, count);
}

void CheckTensor(const at::Tensor& tensor, at::ScalarType dtype, const std::vector<int64_t>& shape,
                 const std::string& where) {
  if (tensor.scalar_type() != dtype || tensor.sizes() != at::IntArrayRef(shape)) {
    std::ostringstream expected, found;
    expected << c10::toString(dtype) << " " << at::IntArrayRef(shape);
    found << c10::toString(tensor.scalar_type()) << " " << tensor.sizes();
    throw Error(ErrorKind::kData,
                {"a stored weight has the wrong shape or type", expected.str(), found.str(), where, ""});
  }
}

void CheckFinite(const at::Tensor& tensor, const std::string& where) {
  if (at::isfinite(tensor).all().item<bool>()) return;
  throw Error(ErrorKind::kData,
              {"a stored value is NaN or infinite", "", "", where, "compress the model again"});
}

namespace {

// What all formats in panel layout share.
class PanelWeight : public Weight {
 public:
  int64_t rows() const override { return panels_.rows; }
  int64_t cols() const override { return panels_.cols; }

  at::Tensor Dense() const override {
    at::Tensor out = at::empty({rows(), cols()}, at::kFloat);
    UnpackF32(panels_, 0, rows(), out.mutable_data_ptr<float>());
    return out;
  }

  at::Tensor Rows(const at::Tensor& index) const override {
    const at::Tensor wanted = index.cpu().contiguous();
    at::Tensor out = at::empty({wanted.numel(), cols()}, at::kFloat);
    const int64_t* row = wanted.const_data_ptr<int64_t>();
    float* to = out.mutable_data_ptr<float>();
    for (int64_t i = 0; i < wanted.numel(); ++i) {
      TORCH_CHECK(row[i] >= 0 && row[i] < rows(), "row ", row[i], " of a matrix of ", rows(), " rows");
    }
    ParallelFor(wanted.numel(), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) UnpackF32(panels_, row[i], row[i] + 1, to + i * cols());
    });
    return out;
  }

  const PanelMatrix* panels() const override { return &panels_; }
  Activation activation() const override { return activation_; }

 protected:
  explicit PanelWeight(Activation activation) : activation_(activation) {}

  void MatmulCpu(const at::Tensor& x, at::Tensor& y) const override {
    PanelMatmul(panels_, activation_, x.const_data_ptr<float>(), x.stride(0), x.size(0),
                y.mutable_data_ptr<float>(), y.stride(0));
  }

  Activation activation_;
  PanelMatrix panels_;
};

// Weights in fp32, fp16 or bf16.
class DenseWeight : public PanelWeight {
 public:
  DenseWeight(const at::Tensor& values, Activation activation)
      : PanelWeight(activation), dtype_(values.scalar_type()) {
    const at::Tensor source = values.contiguous();
    const int64_t rows = source.size(0), cols = source.size(1);
    switch (dtype_) {
      case at::kFloat:
        panels_ = PackF32(source.const_data_ptr<float>(), rows, cols);
        break;
      case at::kHalf:
        panels_ = PackF16(static_cast<const uint16_t*>(source.const_data_ptr()), rows, cols);
        break;
      case at::kBFloat16:
        panels_ = PackBF16(static_cast<const uint16_t*>(source.const_data_ptr()), rows, cols);
        break;
      default:
        throw Error(ErrorKind::kInternal, "a dense weight is fp32, fp16 or bf16");
    }
    if (activation == Activation::kInt8 || (activation == Activation::kBF16 && dtype_ != at::kBFloat16)) {
      throw Error(ErrorKind::kInternal, "this activation format does not go with this weight format");
    }
  }

  std::string format() const override {
    if (dtype_ == at::kFloat) return "fp32";
    if (dtype_ == at::kHalf) return "fp16";
    return activation_ == Activation::kBF16 ? "bf16" : "bf16 act=fp32";
  }
  WeightSize size() const override {
    const int64_t count = rows() * cols();
    return {count, 0, count * static_cast<int64_t>(c10::elementSize(dtype_))};
  }

  Json Save(const TensorSink& sink) const override {
    if (dtype_ == at::kFloat) {
      sink("", Dense());
    } else {
      at::Tensor bits = at::empty({rows(), cols()}, dtype_);
      UnpackBits16(panels_, static_cast<uint16_t*>(bits.mutable_data_ptr()));
      sink("", bits);
    }
    return {{"format", format()}};
  }

 private:
  at::ScalarType dtype_;
};

// Integer codes of 8 or 4 bits with fp16 scales per row or per group of columns.
class IntegerWeight : public PanelWeight {
 public:
  IntegerWeight(const IntegerCodes& codes, Activation activation)
      : PanelWeight(activation), bits_(codes.bits) {
    const at::Tensor all = codes.codes.contiguous();
    const at::Tensor scales = codes.scales.contiguous();
    const at::Tensor zeros = codes.zeros.defined() ? codes.zeros.contiguous() : at::Tensor();
    const int64_t rows = all.size(0), cols = all.size(1);
    const int64_t groups = codes.group == 0 ? 1 : (cols + codes.group - 1) / codes.group;
    const bool whole_rows = codes.group == 0;
    if ((bits_ != 8 && bits_ != 4) || (bits_ == 8 && zeros.defined()) ||
        (!whole_rows && codes.group % 32 != 0) || activation == Activation::kBF16 ||
        scales.numel() != rows * groups || (zeros.defined() && zeros.numel() != rows * groups)) {
      throw Error(ErrorKind::kInternal,
                  "integer weights have 8 bits (symmetric) or 4 bits, and groups of 32 columns or more");
    }
    panels_ = PackInteger(bits_, all.const_data_ptr<uint8_t>(),
                          static_cast<const uint16_t*>(scales.const_data_ptr()),
                          zeros.defined() ? zeros.const_data_ptr<uint8_t>() : nullptr, 1 << (bits_ - 1),
                          codes.group, rows, cols);
  }

  std::string format() const override {
    std::string text = bits_ == 8 ? "int8" : "int4";
    text += panels_.group == 0 ? " row" : " g" + std::to_string(panels_.group);
    if (bits_ == 4) text += panels_.zeros.size() > 0 ? " asym" : " sym";
    if (activation_ == Activation::kF32) text += " act=fp32";
    return text;
  }
  WeightSize size() const override {
    const int64_t scales = rows() * panels_.groups();
    const int64_t zero_bits = panels_.zeros.size() > 0 ? 4 * scales : 0;
    WeightSize size;
    size.parameters = scales;
    size.code_bits = rows() * cols() * bits_ + zero_bits;
    size.bytes = (rows() * cols() * bits_ + 7) / 8 + 2 * scales + (zero_bits + 7) / 8;
    return size;
  }

  // Codes and zero points of 4 bits lie two in a byte, the first in the low half.
  Json Save(const TensorSink& sink) const override {
    const int64_t groups = panels_.groups();
    at::Tensor codes = at::empty({rows() * cols()}, at::kByte);
    at::Tensor scales = at::empty({rows(), groups}, at::kHalf);
    at::Tensor zeros = at::zeros({rows() * groups}, at::kByte);
    UnpackCodes(panels_, codes.mutable_data_ptr<uint8_t>(), static_cast<uint16_t*>(scales.mutable_data_ptr()),
                zeros.mutable_data_ptr<uint8_t>());
    sink(".codes", bits_ == 8 ? codes.view({rows(), cols()}) : Pack4(codes));
    sink(".scales", scales);
    if (panels_.zeros.size() > 0) sink(".zeros", Pack4(zeros));
    return {{"format", "integer"},
            {"bits", bits_},
            {"group", panels_.group},
            {"activation", activation_ == Activation::kInt8 ? "int8" : "fp32"},
            {"asymmetric", panels_.zeros.size() > 0}};
  }

 private:
  int bits_;
};

WeightPtr LoadInteger(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                      const std::string& where) {
  IntegerCodes codes;
  codes.bits = Require<int>(json, "bits", where);
  codes.group = Require<int64_t>(json, "group", where);
  if ((codes.bits != 8 && codes.bits != 4) || codes.group < 0 || codes.group % 32 != 0) {
    throw Error(ErrorKind::kData, {"integer weight of a kind this version does not know", "8 or 4 bits",
                                   json.dump(), where, ""});
  }
  const int64_t groups = codes.group == 0 ? 1 : (cols + codes.group - 1) / codes.group;
  const at::Tensor stored = source(".codes");
  if (codes.bits == 8) {
    CheckTensor(stored, at::kByte, {rows, cols}, where);
    codes.codes = stored;
  } else {
    CheckTensor(stored, at::kByte, {(rows * cols + 1) / 2}, where);
    codes.codes = Unpack4(stored, rows * cols).view({rows, cols});
  }
  codes.scales = source(".scales");
  CheckTensor(codes.scales, at::kHalf, {rows, groups}, where);
  CheckFinite(codes.scales, where);
  if (Require<bool>(json, "asymmetric", where)) {
    const at::Tensor zeros = source(".zeros");
    CheckTensor(zeros, at::kByte, {(rows * groups + 1) / 2}, where);
    codes.zeros = Unpack4(zeros, rows * groups).view({rows, groups});
  }
  const auto activation = Require<std::string>(json, "activation", where);
  return MakeIntegerWeight(codes, activation == "int8" ? Activation::kInt8 : Activation::kF32);
}

}  // namespace

WeightPtr MakeDenseWeight(const at::Tensor& values, Activation activation) {
  return std::make_shared<DenseWeight>(values, activation);
}

WeightPtr MakeIntegerWeight(const IntegerCodes& codes, Activation activation) {
  return std::make_shared<IntegerWeight>(codes, activation);
}

WeightPtr LoadWeight(const Json& json, const TensorSource& source, const std::string& where) {
  const auto format = Require<std::string>(json, "format", where);
  const auto rows = Require<int64_t>(json, "rows", where);
  const auto cols = Require<int64_t>(json, "cols", where);
  if (format == "integer") return LoadInteger(json, source, rows, cols, where);
  if (format == "zero") return MakeZeroWeight(rows, cols);
  if (format == "codebook") return LoadCodebook(json, source, rows, cols, where);
  if (format == "sparse") return LoadSparse(json, source, rows, cols, where);
  at::ScalarType dtype = at::kFloat;
  if (format == "fp16") {
    dtype = at::kHalf;
  } else if (format == "bf16" || format == "bf16 act=fp32") {
    dtype = at::kBFloat16;
  } else if (format != "fp32") {
    throw Error(ErrorKind::kData,
                {"unknown weight format", "fp32, fp16, bf16, integer, codebook, sparse or zero", format,
                 where, "the artefact comes from another version; compress the model again"});
  }
  const at::Tensor values = source("");
  CheckTensor(values, dtype, {rows, cols}, where);
  CheckFinite(values, where);
  return MakeDenseWeight(values, format == "bf16" ? Activation::kBF16 : Activation::kF32);
}

}  // namespace tnb
