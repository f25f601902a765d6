// Weights stored as codes of a few bits.
#include <ATen/ATen.h>

#include <cstring>
#include <map>
#include <sstream>

#include "base/error.h"
#include "models/engine/weight_parts.h"

namespace tnb {
namespace {

const char* const kActivations[] = {"fp32", "bf16", "int8", "int8-row", "int8-outlier"};
const char* const kScales[] = {"fp16", "fp32", "double"};
const char* const kZeros[] = {"none", "integer", "fp16"};

template <typename Enum, size_t kCount>
Enum FromName(const char* const (&names)[kCount], const std::string& name, const std::string& where) {
  for (size_t i = 0; i < kCount; ++i) {
    if (name == names[i]) return static_cast<Enum>(i);
  }
  throw Error(ErrorKind::kData, {"codes of a kind this version does not know", "", name, where, ""});
}

template <typename Enum, size_t kCount>
const char* ToName(const char* const (&names)[kCount], Enum value) {
  return names[static_cast<size_t>(value)];
}

bool IsLegal(int bits, int64_t group) {
  return (bits == 8 || (bits >= 2 && bits <= 6)) && group >= 0 && group % 32 == 0;
}

CodeSpec SpecOf(const CodedMatrix& matrix) {
  CodeSpec spec;
  spec.bits = matrix.bits;
  spec.group = matrix.group;
  spec.scales = matrix.scale_blocks.defined()               ? ScaleType::kDouble
                : matrix.scales.scalar_type() == at::kFloat ? ScaleType::kF32
                                                            : ScaleType::kF16;
  spec.scale_offset = matrix.scale_offset;
  spec.levels = !matrix.levels.empty();
  if (matrix.zeros.defined()) {
    spec.zeros = matrix.zeros.scalar_type() == at::kByte ? ZeroType::kInteger : ZeroType::kF16;
  } else {
    spec.zero_point = 1 << (matrix.bits - 1);
  }
  return spec;
}

int64_t ScaleBlocks(int64_t scales) { return (scales + kScaleBlock - 1) / kScaleBlock; }

class CodedWeight : public PanelWeight {
 public:
  CodedWeight(const CodedMatrix& matrix, Activation activation)
      : PanelWeight(activation), levels_(matrix.levels) {
    const CodeSpec spec = SpecOf(matrix);
    const int64_t rows = matrix.codes.size(0), cols = matrix.codes.size(1);
    const int64_t scales = rows * spec.Groups(cols);
    const bool plain = spec.scales == ScaleType::kF16 && !spec.levels;
    if (!IsLegal(spec.bits, spec.group) || matrix.scales.numel() != scales ||
        (matrix.zeros.defined() && (matrix.zeros.numel() != scales || spec.levels)) ||
        (spec.levels && (spec.bits != 4 || LevelsOf(levels_) == nullptr)) ||
        (spec.scales == ScaleType::kDouble && matrix.scale_blocks.numel() != ScaleBlocks(scales)) ||
        (activation != Activation::kF32 && !(QuantizesInput(activation) && plain))) {
      throw Error(ErrorKind::kInternal, "a matrix of codes of which the parts do not fit together");
    }
    const auto whole = [](const at::Tensor& part) { return part.defined() ? part.contiguous() : part; };
    const at::Tensor codes = whole(matrix.codes), scale = whole(matrix.scales), zeros = whole(matrix.zeros);
    const at::Tensor blocks = whole(matrix.scale_blocks);
    CodeArrays arrays;
    arrays.codes = codes.const_data_ptr<uint8_t>();
    arrays.scales = scale.const_data_ptr();
    if (blocks.defined()) arrays.scale_blocks = blocks.const_data_ptr<float>();
    if (zeros.defined()) arrays.zeros = zeros.const_data_ptr();
    if (spec.levels) arrays.levels = LevelsOf(levels_)->data();
    panels_ = PackCodes(spec, arrays, rows, cols);
  }

  std::string format() const override {
    const CodeSpec& spec = panels_.code;
    std::string text = spec.levels ? levels_ : std::string("int") + std::to_string(spec.bits);
    text += spec.group == 0 ? " row" : " g" + std::to_string(spec.group);
    if (spec.scales == ScaleType::kDouble) text += " dq";
    if (spec.levels) return text;
    if (spec.zeros == ZeroType::kF16) {
      text += " fp16-zero";
    } else if (spec.zeros == ZeroType::kInteger) {
      text += " asym";
    } else if (spec.bits < 8) {
      text += " sym";
    }
    if (activation_ != Activation::kInt8) text += std::string(" act=") + ToName(kActivations, activation_);
    return text;
  }

  WeightSize size() const override {
    const CodeSpec& spec = panels_.code;
    const int64_t scales = rows() * panels_.groups(), blocks = ScaleBlocks(scales);
    const int64_t code_bits = rows() * cols() * spec.bits;
    const int64_t zero_bits = spec.zeros == ZeroType::kInteger ? scales * spec.bits : 0;
    WeightSize size;
    size.code_bits = code_bits + zero_bits;
    size.bytes = (code_bits + 7) / 8 + (zero_bits + 7) / 8;
    if (spec.scales == ScaleType::kDouble) {
      size += {.parameters = blocks + 1, .code_bits = 8 * scales, .bytes = scales + 4 * (blocks + 1)};
    } else {
      const int64_t bytes = spec.scales == ScaleType::kF32 ? 4 : 2;
      size += {.parameters = scales, .code_bits = 0, .bytes = bytes * scales};
    }
    if (spec.zeros == ZeroType::kF16) size += {.parameters = scales, .code_bits = 0, .bytes = 2 * scales};
    return size;
  }

  // The scales, unless they are codes themselves; codes and zeros stay as they are.
  std::vector<at::Tensor> TrainableTensors() const override {
    if (panels_.code.scales == ScaleType::kDouble) return {};
    return {Unpacked().scales.to(at::kFloat)};
  }
  at::Tensor DenseOf(const std::vector<at::Tensor>& tensors) const override {
    if (tensors.empty()) return Dense();
    const CodedMatrix matrix = Unpacked();
    const at::ScalarType dtype = tensors[0].scalar_type();
    const auto spread = [&](const at::Tensor& groups) {
      if (matrix.group == 0) return groups;  // broadcast over the row
      return at::repeat_interleave(groups, matrix.group, 1).narrow(1, 0, cols());
    };
    at::Tensor values;
    if (const std::vector<float>* levels = LevelsOf(levels_)) {
      values = at::tensor(*levels).to(dtype).index_select(0, matrix.codes.view({-1}).to(at::kLong));
      values = values.view(matrix.codes.sizes());
    } else if (matrix.zeros.defined()) {
      values = matrix.codes.to(dtype) - spread(matrix.zeros.to(dtype));
    } else {
      values = matrix.codes.to(dtype) - static_cast<double>(1 << (matrix.bits - 1));
    }
    return values * spread(tensors[0]);
  }
  WeightPtr WithTrained(const std::vector<at::Tensor>& tensors) const override {
    CodedMatrix matrix = Unpacked();
    matrix.scales = tensors.at(0).to(matrix.scales.scalar_type());
    return std::make_shared<CodedWeight>(matrix, activation_);
  }

  Json Save(const TensorSink& sink) const override {
    const CodeSpec& spec = panels_.code;
    const int64_t groups = panels_.groups();
    const CodedMatrix matrix = Unpacked();
    sink(".codes", PackBits(matrix.codes.view({-1}), spec.bits));
    sink(".scales", matrix.scales);
    if (spec.zeros == ZeroType::kInteger) sink(".zeros", PackBits(matrix.zeros, spec.bits));
    if (spec.zeros == ZeroType::kF16) sink(".zeros", matrix.zeros);
    if (spec.scales == ScaleType::kDouble) {
      at::Tensor blocks = at::empty({ScaleBlocks(rows() * groups) + 1}, at::kFloat);
      std::memcpy(blocks.mutable_data_ptr(), panels_.scale_blocks.as<float>(), panels_.scale_blocks.size());
      blocks[-1] = spec.scale_offset;
      sink(".scale_blocks", blocks);  // and the offset
    }
    return {{"format", "codes"},
            {"bits", spec.bits},
            {"group", spec.group},
            {"scales", ToName(kScales, spec.scales)},
            {"zeros", ToName(kZeros, spec.zeros)},
            {"levels", levels_},
            {"activation", ToName(kActivations, activation_)}};
  }

 private:
  // Without scale_blocks.
  CodedMatrix Unpacked() const {
    const CodeSpec& spec = panels_.code;
    const int64_t groups = panels_.groups();
    static constexpr at::ScalarType kScaleTypes[] = {at::kHalf, at::kFloat, at::kByte};
    CodedMatrix matrix;
    matrix.bits = spec.bits;
    matrix.group = spec.group;
    matrix.levels = levels_;
    matrix.codes = at::empty({rows(), cols()}, at::kByte);
    matrix.scales = at::empty({rows(), groups}, kScaleTypes[static_cast<size_t>(spec.scales)]);
    const at::Tensor zeros =
        at::empty({rows(), groups}, spec.zeros == ZeroType::kF16 ? at::kHalf : at::kByte);
    UnpackCodes(panels_, matrix.codes.mutable_data_ptr<uint8_t>(), matrix.scales.mutable_data_ptr(),
                zeros.mutable_data_ptr());
    if (spec.zeros == ZeroType::kInteger || spec.zeros == ZeroType::kF16) matrix.zeros = zeros;
    return matrix;
  }

  std::string levels_;
};

// `count` packed codes.
at::Tensor LoadBits(const TensorSource& source, const std::string& suffix, int bits, int64_t count,
                    const std::string& where) {
  const at::Tensor packed = source(suffix);
  CheckTensor(packed, at::kByte, {(count * bits + 7) / 8}, where + suffix);
  return UnpackBits(packed, bits, count);
}

at::Tensor LoadNumbers(const TensorSource& source, const std::string& suffix, at::ScalarType dtype,
                       const std::vector<int64_t>& shape, const std::string& where) {
  const at::Tensor values = source(suffix);
  CheckTensor(values, dtype, shape, where + suffix);
  CheckFinite(values, where + suffix);
  return values;
}

}  // namespace

WeightPtr MakeCodedWeight(const CodedMatrix& matrix, Activation activation) {
  return std::make_shared<CodedWeight>(matrix, activation);
}

WeightPtr LoadCodedWeight(const Json& json, const TensorSource& source, int64_t rows, int64_t cols,
                          const std::string& where) {
  CodedMatrix matrix;
  matrix.bits = Require<int>(json, "bits", where);
  matrix.group = Require<int64_t>(json, "group", where);
  matrix.levels = Require<std::string>(json, "levels", where);
  const auto scales = FromName<ScaleType>(kScales, Require<std::string>(json, "scales", where), where);
  const auto zeros = FromName<ZeroType>(kZeros, Require<std::string>(json, "zeros", where), where);
  const auto activation =
      FromName<Activation>(kActivations, Require<std::string>(json, "activation", where), where);
  const bool levels = !matrix.levels.empty();
  if (!IsLegal(matrix.bits, matrix.group) ||
      (levels && (matrix.bits != 4 || LevelsOf(matrix.levels) == nullptr || zeros != ZeroType::kConstant)) ||
      (activation != Activation::kF32 &&
       (levels || scales != ScaleType::kF16 || !QuantizesInput(activation)))) {
    throw Error(ErrorKind::kData, {"codes of a kind this version does not know", "2 to 6 or 8 bits",
                                   json.dump(), where, "compress the model again"});
  }
  const int64_t groups = matrix.group == 0 ? 1 : (cols + matrix.group - 1) / matrix.group;
  matrix.codes = LoadBits(source, ".codes", matrix.bits, rows * cols, where).view({rows, cols});
  if (scales == ScaleType::kDouble) {
    matrix.scales = source(".scales");
    CheckTensor(matrix.scales, at::kByte, {rows, groups}, where + ".scales");
    const int64_t blocks = ScaleBlocks(rows * groups);
    const at::Tensor values = LoadNumbers(source, ".scale_blocks", at::kFloat, {blocks + 1}, where);
    matrix.scale_blocks = values.narrow(0, 0, blocks);
    matrix.scale_offset = values[-1].item<float>();
  } else {
    const at::ScalarType dtype = scales == ScaleType::kF32 ? at::kFloat : at::kHalf;
    matrix.scales = LoadNumbers(source, ".scales", dtype, {rows, groups}, where);
  }
  if (zeros == ZeroType::kInteger) {
    matrix.zeros = LoadBits(source, ".zeros", matrix.bits, rows * groups, where).view({rows, groups});
  } else if (zeros == ZeroType::kF16) {
    matrix.zeros = LoadNumbers(source, ".zeros", at::kHalf, {rows, groups}, where);
  }
  return MakeCodedWeight(matrix, activation);
}

const std::vector<float>* LevelsOf(const std::string& name) {
  static const std::map<std::string, std::vector<float>> tables = {
      {"nf4",
       {-1.0F, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F, -0.28444138169288635F,
        -0.18477343022823334F, -0.09105003625154495F, 0.0F, 0.07958029955625534F, 0.16093020141124725F,
        0.24611230194568634F, 0.33791524171829224F, 0.44070982933044434F, 0.5626170039176941F,
        0.7229568362236023F, 1.0F}},
      // 12, 8, 6, 4, 3, 2 and 1/16 twelfths and their negatives; zero has two codes.
      {"fp4",
       {-1.0F, -8.0F / 12, -0.5F, -4.0F / 12, -0.25F, -2.0F / 12, -0.0625F / 12, 0.0F, 0.0F, 0.0625F / 12,
        2.0F / 12, 0.25F, 4.0F / 12, 0.5F, 8.0F / 12, 1.0F}},
  };
  const auto found = tables.find(name);
  return found == tables.end() ? nullptr : &found->second;
}

}  // namespace tnb
