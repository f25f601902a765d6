#include "methods/quantize/integer.h"

#include <ATen/ATen.h>

namespace tnb {

IntegerCodes RoundToNearest(const at::Tensor& w, int bits, int64_t group, bool symmetric) {
  if (!at::isfinite(w).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"a weight is NaN or infinite", "", "", "", "check the checkpoint"});
  }
  const int64_t rows = w.size(0), cols = w.size(1);
  const int64_t width = group == 0 ? cols : group;
  const int64_t groups = (cols + width - 1) / width;
  // The last group may be short: it is filled up with zeros, which never widen its range.
  const at::Tensor blocks = at::constant_pad_nd(w, {0, groups * width - cols}).view({rows, groups, width});
  const int64_t levels = int64_t{1} << bits;
  at::Tensor scale, zero;
  if (symmetric) {
    scale = blocks.abs().amax(2) / static_cast<double>(levels / 2 - 1);
    zero = at::full_like(scale, static_cast<double>(levels / 2));
  } else {
    const at::Tensor low = blocks.amin(2).clamp_max(0), high = blocks.amax(2).clamp_min(0);
    scale = (high - low) / static_cast<double>(levels - 1);
    zero = low;
  }
  const at::Tensor stored = scale.to(at::kHalf);
  if (!at::isfinite(stored).all().item<bool>()) {
    throw Error(ErrorKind::kData,
                {"a scale does not fit into fp16", "up to 65504", "overflow", "", "check the checkpoint"});
  }
  const at::Tensor rounded = stored.to(at::kFloat);
  // A scale that vanishes in fp16 (below 6e-8) cannot reach any value: its group becomes zero.
  const at::Tensor inverse = at::where(rounded > 0, rounded.reciprocal(), at::zeros_like(rounded));
  if (!symmetric) zero = at::round(-zero * inverse).clamp(0, static_cast<double>(levels - 1));
  const at::Tensor codes = (at::round(blocks * inverse.unsqueeze(2)) + zero.unsqueeze(2))
                               .clamp(0, static_cast<double>(levels - 1));
  IntegerCodes result;
  result.bits = bits;
  result.group = group;
  result.codes = codes.reshape({rows, groups * width}).narrow(1, 0, cols).to(at::kByte).contiguous();
  result.scales = stored;
  if (!symmetric) result.zeros = zero.to(at::kByte);
  return result;
}

namespace {

class Integer : public Stage {
 public:
  Integer(int bits, const StageValues& values)
      : bits_(bits),
        group_(values.Text("group") == "row" ? 0 : values.Integer("group")),
        symmetric_(bits == 8 || values.Text("zero") == "sym"),
        activation_(values.Text("act") == "int8" ? Activation::kInt8 : Activation::kF32) {}

  LinearReport Apply(LinearSlot& slot) const override {
    for (int64_t i = 0; i < slot.linear->weight_count(); ++i) {
      const at::Tensor w = slot.linear->weight(i)->Dense();
      slot.linear->ReplaceWeight(
          i, MakeIntegerWeight(RoundToNearest(w, bits_, group_, symmetric_), activation_));
    }
    return {};
  }

 private:
  int bits_;
  int64_t group_;
  bool symmetric_;
  Activation activation_;
};

using Type = ParameterDescription::Type;

ParameterDescription ActivationParameter() {
  return {"act",
          Type::kChoice,
          "int8",
          "inputs: int8 (rounded per 32 columns, integer dot products) or fp32 (slower, weight-only)",
          0,
          0,
          {"int8", "fp32"}};
}

StageDescription Describe(const std::string& name) {
  StageDescription description;
  description.name = name;
  description.group = "quantize";
  description.selector = "attn/mlp";
  description.takes_embedding = true;
  description.reference =
      "round to nearest, as in methods such as LLM.int8() (arXiv 2208.07339) and GPTQ's baseline";
  return description;
}

std::unique_ptr<Stage> MakeInt8(const StageValues& values) { return std::make_unique<Integer>(8, values); }
std::unique_ptr<Stage> MakeInt4(const StageValues& values) { return std::make_unique<Integer>(4, values); }

}  // namespace

StageEntry Int8Entry() {
  StageDescription description = Describe("int8");
  description.summary =
      "8-bit codes, symmetric, one fp16 scale a row or group; embedding and head only when selected";
  description.parameters = {
      {"group", Type::kChoice, "row", "input columns that share a scale", 0, 0, {"row", "32", "64", "128"}},
      ActivationParameter()};
  return {description, &MakeInt8};
}

StageEntry Int4Entry() {
  StageDescription description = Describe("int4");
  description.summary =
      "4-bit codes, one fp16 scale a group, symmetric or with 4-bit zero points; embedding and head only "
      "when selected";
  description.parameters = {
      {"group", Type::kChoice, "32", "input columns that share a scale", 0, 0, {"32", "64", "128"}},
      {"zero", Type::kChoice, "asym", "sym: range around 0; asym: with a zero point", 0, 0, {"sym", "asym"}},
      ActivationParameter()};
  return {description, &MakeInt4};
}

}  // namespace tnb
