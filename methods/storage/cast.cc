#include "methods/storage/cast.h"

#include <ATen/ATen.h>

namespace tnb {
namespace {

class Cast : public Stage {
 public:
  Cast(at::ScalarType dtype, Activation activation) : dtype_(dtype), activation_(activation) {}

  LinearReport Apply(LinearSlot& slot) const override {
    for (int64_t i = 0; i < slot.linear->weight_count(); ++i) {
      const WeightPtr& weight = slot.linear->weight(i);
      if (weight->coded()) continue;
      const at::Tensor values = weight->Dense().to(dtype_);
      if (!at::isfinite(values).all().item<bool>()) {
        throw Error(ErrorKind::kData, {"a weight does not fit into " + std::string(c10::toString(dtype_)),
                                       "absolute values up to 65504", "overflow", slot.name, "use bf16"});
      }
      slot.linear->ReplaceWeight(i, MakeDenseWeight(values, activation_));
    }
    return {};
  }

 private:
  at::ScalarType dtype_;
  Activation activation_;
};

std::unique_ptr<Stage> MakeFp32(const StageValues&) {
  return std::make_unique<Cast>(at::kFloat, Activation::kF32);
}
std::unique_ptr<Stage> MakeFp16(const StageValues&) {
  return std::make_unique<Cast>(at::kHalf, Activation::kF32);
}
std::unique_ptr<Stage> MakeBf16(const StageValues& values) {
  return std::make_unique<Cast>(at::kBFloat16,
                                values.Text("act") == "bf16" ? Activation::kBF16 : Activation::kF32);
}

}  // namespace

StageEntry CastEntry(const std::string& name) {
  StageDescription description;
  description.name = name;
  description.group = "storage";
  description.selector = "all";
  description.takes_embedding = true;
  description.reference = "IEEE 754; bfloat16";
  using Type = ParameterDescription::Type;
  if (name == "fp32") {
    description.summary = "floating-point weights in 32 bits: the uncompressed base";
    return {description, &MakeFp32};
  }
  if (name == "fp16") {
    description.summary = "floating-point weights in IEEE half precision, inputs and sums in fp32";
    return {description, &MakeFp16};
  }
  description.summary = "floating-point weights in bfloat16";
  description.parameters = {{"act",
                             Type::kChoice,
                             "bf16",
                             "what inputs are rounded to before they are multiplied; sums are fp32",
                             0,
                             0,
                             {"bf16", "fp32"}}};
  return {description, &MakeBf16};
}

}  // namespace tnb
