#include "harness/weight_supply.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "base/error.h"

namespace tnb {

WeightSupply::WeightSupply(const ModelConfig& config, ModelSource source, uint64_t seed, const Recipe& recipe)
    : config_(config), source_(std::move(source)), seed_(seed) {
  if (source_.random_weights) {
    if (!RewritingText(recipe).empty()) {
      throw Error(ErrorKind::kUsage, recipe.stages[0].text + " needs the weights of a checkpoint",
                  "leave out --weights random");
    }
    return;
  }
  checkpoint_ = OpenCheckpoint(source_.path);
  source_.tokenizer = checkpoint_->tokenizer();
  if (checkpoint_->config() != config_) {
    throw Error(ErrorKind::kData,
                {"the checkpoint changed while it was being measured", "", "", source_.path, ""});
  }
  checkpoint_ = Rewrite(recipe, checkpoint_);
  config_ = checkpoint_->config();
}

at::Tensor WeightSupply::Norm(const std::string& name, int64_t size) const {
  if (!checkpoint_) return at::ones({size}, at::kFloat);
  at::Tensor values = at::empty({size}, at::kFloat);
  checkpoint_->Read(name, 0, size, values.mutable_data_ptr<float>());
  return values;
}

std::unique_ptr<Linear> WeightSupply::Read(const LinearSlot& place, int64_t rows, int64_t cols) const {
  if (checkpoint_) return ReadLinear(*checkpoint_, place, rows, cols);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed_ * 1000003 + PlaceOf(place));
  at::Tensor values = at::empty({rows, cols}, at::kFloat);
  values.normal_(0, 1 / std::sqrt(static_cast<double>(cols)), generator);
  return MakeDenseLinear(MakeDenseWeight(values));
}

LinearSlot WeightSupply::ReadSlot(const LinearSlot& place, int64_t rows, int64_t cols) const {
  LinearSlot slot;
  slot.name = place.name;
  slot.kind = place.kind;
  slot.block = place.block;
  slot.linear = Read(place, rows, cols);
  return slot;
}

ModelParts WeightSupply::Parts() const {
  return {config_, [this](const std::string& name, int64_t size) { return Norm(name, size); },
          [this](const LinearSlot& slot, int64_t rows, int64_t cols) { return Read(slot, rows, cols); }};
}

VisitLinears WeightSupply::Visitor(int64_t* count) const { return VisitorOf(Parts(), count); }

// The number of a slot in the order of Model::Slots.
uint64_t WeightSupply::PlaceOf(const LinearSlot& slot) const {
  if (slot.kind == LinearKind::kEmbedding) return 0;
  if (slot.kind == LinearKind::kHead) return 1 + 7 * static_cast<uint64_t>(config_.block_count);
  return 1 + 7 * static_cast<uint64_t>(slot.block) + static_cast<uint64_t>(slot.kind);
}

VisitLinears VisitorOf(const ModelParts& parts, int64_t* count) {
  return [parts, count](const auto& wanted, const auto& visit) {
    const auto for_each = [&](const auto& take) {
      BuildModel(
          parts.config, [](const std::string&, int64_t) { return at::Tensor(); },
          [&](const LinearSlot& place, int64_t rows, int64_t cols) {
            if (wanted(place)) take(place, rows, cols);
            return std::unique_ptr<Linear>();
          });
    };
    if (count != nullptr) {
      *count = 0;
      for_each([&](const LinearSlot&, int64_t, int64_t) { ++*count; });
    }
    for_each([&](const LinearSlot& place, int64_t rows, int64_t cols) {
      LinearSlot slot;
      slot.name = place.name;
      slot.kind = place.kind;
      slot.block = place.block;
      slot.linear = parts.linear(place, rows, cols);
      visit(slot);
    });
  };
}

Model CompressInMemory(const WeightSupply& supply, Recipe& recipe) {
  if (LinearStages(recipe, 0).end < recipe.stages.size()) {
    throw Error(ErrorKind::kUnsupported,
                {"a method that trains needs a text and is not compressed here", "stages on linears",
                 recipe.text, "", "compress it with tnbench run"});
  }
  PrepareRecipe(recipe, nullptr, supply.Visitor(nullptr));
  Model model = BuildModel(
      supply.config(),
      [&](const std::string& name, int64_t size) {
        at::Tensor gain = supply.Norm(name, size);
        ApplyRecipeToNorm(recipe, name, gain);
        return gain;
      },
      [&](const LinearSlot& place, int64_t rows, int64_t cols) {
        LinearSlot slot = supply.ReadSlot(place, rows, cols);
        ApplyRecipe(recipe, slot);
        return std::move(slot.linear);
      });
  model.source = supply.source();
  return model;
}

}  // namespace tnb
