#include "methods/quantize/scalar.h"

#include <ATen/ATen.h>

#include "methods/quantize/rounding.h"

namespace tnb {
namespace {

using Type = ParameterDescription::Type;
using Round = std::function<CodedMatrix(const at::Tensor& w)>;

// Replaces every weight of a linear, cores of a network included.
class RoundingStage : public Stage {
 public:
  RoundingStage(Round round, Activation activation) : round_(std::move(round)), activation_(activation) {}

  LinearReport Apply(LinearSlot& slot) const override {
    for (int64_t i = 0; i < slot.linear->weight_count(); ++i) {
      slot.linear->ReplaceWeight(i, MakeCodedWeight(round_(slot.linear->weight(i)->Dense()), activation_));
    }
    return {};
  }

 private:
  Round round_;
  Activation activation_;
};

template <int kBits>
std::unique_ptr<Stage> MakeInteger(const StageValues& values) {
  const int64_t group = GroupFrom(values);
  const bool symmetric = !values.Has("zero") || values.Text("zero") == "sym";
  return std::make_unique<RoundingStage>(
      [=](const at::Tensor& w) { return RoundToNearest(w, kBits, group, symmetric); },
      ActivationFrom(values));
}

std::unique_ptr<Stage> MakeLevels(const std::string& levels, const StageValues& values) {
  const int64_t group = GroupFrom(values);
  const bool twice = values.Text("scales") == "double";
  return std::make_unique<RoundingStage>(
      [=](const at::Tensor& w) { return RoundToLevels(w, levels, group, twice); }, Activation::kF32);
}
std::unique_ptr<Stage> MakeNf4(const StageValues& values) { return MakeLevels("nf4", values); }
std::unique_ptr<Stage> MakeFp4(const StageValues& values) { return MakeLevels("fp4", values); }

std::unique_ptr<Stage> MakeHqq(const StageValues& values) {
  const int64_t group = GroupFrom(values);
  const auto bits = static_cast<int>(values.Integer("bits"));
  return std::make_unique<RoundingStage>(
      [=](const at::Tensor& w) { return RoundHalfQuadratic(w, bits, group); }, ActivationFrom(values));
}

std::unique_ptr<Stage> MakeLlmInt8(const StageValues&) {
  return std::make_unique<RoundingStage>([](const at::Tensor& w) { return RoundToNearest(w, 8, 0, true); },
                                         Activation::kInt8Outlier);
}

const char kOnlySelected[] = "; embedding and head only when selected";

}  // namespace

ParameterDescription ActivationParameter(const std::string& fallback) {
  return {"act",
          Type::kChoice,
          fallback,
          "inputs: int8 (rounded per 32 columns, integer dot products), int8-row (one scale a token) or fp32 "
          "(slower, weight-only)",
          0,
          0,
          {"int8", "int8-row", "fp32"}};
}

Activation ActivationFrom(const StageValues& values) {
  if (values.Text("act") == "int8-row") return Activation::kInt8Row;
  return values.Text("act") == "int8" ? Activation::kInt8 : Activation::kF32;
}

ParameterDescription ZeroParameter() {
  return {"zero",
          ParameterDescription::Type::kChoice,
          "asym",
          "sym: range around 0; asym: with a zero point",
          0,
          0,
          {"sym", "asym"}};
}

ParameterDescription GroupParameter(const std::string& fallback, bool rows) {
  ParameterDescription group{"group", Type::kChoice,      fallback, "input columns that share a scale", 0,
                             0,       {"32", "64", "128"}};
  if (rows) group.choices.insert(group.choices.begin(), "row");
  return group;
}

int64_t GroupFrom(const StageValues& values) {
  return values.Text("group") == "row" ? 0 : values.Integer("group");
}

StageDescription DescribeQuantizer(const std::string& name, const std::string& summary,
                                   const std::string& reference) {
  StageDescription description;
  description.name = name;
  description.group = "quantize";
  description.summary = summary;
  description.selector = "attn/mlp";
  description.takes_embedding = true;
  description.reference = reference;
  return description;
}

StageEntry IntegerEntry(int bits) {
  const bool eight = bits == 8;
  StageDescription description = DescribeQuantizer(
      std::string("int") + std::to_string(bits),
      std::to_string(bits) + "-bit codes, one fp16 scale a " + (eight ? "row or " : "") +
          "group, symmetric or with integer zero points" + kOnlySelected,
      "round to nearest, as in methods such as LLM.int8() (arXiv 2208.07339) and GPTQ's baseline");
  // Left out of the canonical form of int8 when symmetric, as everybody's int8 is.
  ParameterDescription zero = ZeroParameter();
  if (eight) zero.fallback = zero.omitted = "sym";
  description.parameters = {GroupParameter(eight ? "row" : "32", eight), zero, ActivationParameter("int8")};
  switch (bits) {
    case 2:
      return {description, &MakeInteger<2>};
    case 3:
      return {description, &MakeInteger<3>};
    case 4:
      return {description, &MakeInteger<4>};
    case 5:
      return {description, &MakeInteger<5>};
    case 6:
      return {description, &MakeInteger<6>};
    default:
      return {description, &MakeInteger<8>};
  }
}

StageEntry LevelsEntry(const std::string& levels) {
  const bool normal = levels == "nf4";
  StageDescription description =
      DescribeQuantizer(levels,
                        std::string("4-bit codes of ") +
                            (normal ? "quantiles of a normal distribution" : "floating-point numbers") +
                            ", one absmax a group; inputs fp32" + kOnlySelected,
                        "QLoRA (arXiv 2305.14314), values as bitsandbytes has them");
  description.parameters = {GroupParameter("64", false),
                            {"scales",
                             Type::kChoice,
                             "fp32",
                             "the absmax of a group: fp32, or double: 8-bit codes with an fp32 factor for "
                             "256 (double quantization)",
                             0,
                             0,
                             {"fp32", "double"}}};
  return {description, normal ? &MakeNf4 : &MakeFp4};
}

StageEntry HqqEntry() {
  StageDescription description = DescribeQuantizer(
      "hqq",
      std::string("codes with an fp16 scale and a real-valued fp16 zero point a group, fitted without data") +
          kOnlySelected,
      "half-quadratic quantization, mobiusml/hqq 0.2.8 (axis 1)");
  description.parameters = {
      {"bits", Type::kChoice, "4", "bits of a code", 0, 0, {"2", "3", "4", "5", "6", "8"}},
      GroupParameter("64", false),
      ActivationParameter("int8")};
  return {description, &MakeHqq};
}

StageEntry LlmInt8Entry() {
  return {DescribeQuantizer(
              "llm-int8",
              std::string("int8 by row, inputs int8 with one scale a token but those beyond 6, which are "
                          "multiplied in fp32") +
                  kOnlySelected,
              "LLM.int8() (arXiv 2208.07339); outliers are found token by token"),
          &MakeLlmInt8};
}

}  // namespace tnb
