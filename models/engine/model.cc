#include "models/engine/model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"

namespace tnb {

std::string ToString(LinearKind kind) {
  static const char* const kNames[] = {"q", "k", "v", "o", "gate", "up", "down", "embed", "head"};
  return kNames[static_cast<int>(kind)];
}

namespace {

template <typename ModelType, typename SlotType>
std::vector<SlotType*> AllSlots(ModelType& model) {
  std::vector<SlotType*> slots{&model.embedding};
  for (auto& block : model.blocks) {
    for (SlotType* slot : {&block.q, &block.k, &block.v, &block.o, &block.gate, &block.up, &block.down}) {
      slots.push_back(slot);
    }
  }
  if (model.head.linear) slots.push_back(&model.head);
  return slots;
}

}  // namespace

std::vector<LinearSlot*> Model::Slots() { return AllSlots<Model, LinearSlot>(*this); }
std::vector<const LinearSlot*> Model::Slots() const { return AllSlots<const Model, const LinearSlot>(*this); }

LinearSlot& Model::Slot(const std::string& name) {
  for (LinearSlot* slot : Slots()) {
    if (slot->name == name) return *slot;
  }
  throw Error(ErrorKind::kUsage, {"the model has no linear '" + name + "'",
                                  "embedding, head or blocks.N.{q,k,v,o,gate,up,down}", "", "", ""});
}

WeightSize Model::size() const {
  WeightSize total;
  for (const LinearSlot* slot : Slots()) total += slot->linear->size();
  const auto add_norm = [&](const at::Tensor& norm) { total += {norm.numel(), 0, norm.numel() * 4}; };
  for (const Block& block : blocks) {
    add_norm(block.attention_norm);
    add_norm(block.mlp_norm);
  }
  add_norm(final_norm);
  if (cache) total += cache->size();
  return total;
}

bool Model::factorized() const {
  const auto slots = Slots();
  return std::any_of(slots.begin(), slots.end(),
                     [](const LinearSlot* slot) { return slot->linear->factorized(); });
}

std::string ContentHash(const Model& model) {
  Sha256 hash;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    const at::Tensor values = tensor.contiguous();
    hash.Update(name);
    hash.Update(values.const_data_ptr(), values.nbytes());
  };
  for (const LinearSlot* slot : model.Slots()) {
    hash.Update(slot->linear
                    ->Save([&](const std::string& suffix, const at::Tensor& values) {
                      add(slot->name + suffix, values);
                    })
                    .dump());
  }
  for (const Block& block : model.blocks) {
    add("norm", block.attention_norm);
    add("norm", block.mlp_norm);
  }
  add("norm", model.final_norm);
  return hash.Hex();
}

Kernel Model::kernel() const {
  Kernel worst = Kernel::kPacked;
  for (const LinearSlot* slot : Slots()) {
    for (int64_t i = 0; i < slot->linear->weight_count(); ++i) {
      worst = std::max(worst, slot->linear->weight(i)->kernel());
    }
  }
  return worst;
}

namespace {

void Place(LinearSlot& slot, const std::string& name, LinearKind kind, int64_t block, int64_t rows,
           int64_t cols, const LinearReader& fill) {
  slot.name = name;
  slot.kind = kind;
  slot.block = block;
  slot.linear = fill(slot, rows, cols);
}

}  // namespace

Block BuildBlock(const ModelConfig& config, int64_t index, const NormReader& norm, const LinearReader& fill) {
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const int64_t query = config.head_count * config.head_size;
  const int64_t key = config.kv_head_count * config.head_size;
  const std::string prefix = "blocks." + std::to_string(index) + ".";
  Block block;
  const auto place = [&](LinearSlot& slot, LinearKind kind, int64_t rows, int64_t cols) {
    Place(slot, prefix + ToString(kind), kind, index, rows, cols, fill);
  };
  block.attention_norm = norm(prefix + "attention_norm", hidden);
  block.mlp_norm = norm(prefix + "mlp_norm", hidden);
  place(block.q, LinearKind::kQ, query, hidden);
  place(block.k, LinearKind::kK, key, hidden);
  place(block.v, LinearKind::kV, key, hidden);
  place(block.o, LinearKind::kO, hidden, query);
  place(block.gate, LinearKind::kGate, inner, hidden);
  place(block.up, LinearKind::kUp, inner, hidden);
  place(block.down, LinearKind::kDown, hidden, inner);
  return block;
}

Model BuildModel(const ModelConfig& config, const NormReader& norm, const LinearReader& fill) {
  Model model;
  model.config = config;
  const int64_t rows = config.vocabulary_size, cols = config.hidden_size;
  Place(model.embedding, "embedding", LinearKind::kEmbedding, -1, rows, cols, fill);
  for (int64_t i = 0; i < config.block_count; ++i) model.blocks.push_back(BuildBlock(config, i, norm, fill));
  model.final_norm = norm("final_norm", cols);
  if (!config.tied_head) Place(model.head, "head", LinearKind::kHead, -1, rows, cols, fill);
  return model;
}

namespace {

at::Tensor ReadTensor(const Checkpoint& checkpoint, const std::string& name, int64_t rows, int64_t cols) {
  at::Tensor values =
      at::empty(cols == 1 ? std::vector<int64_t>{rows} : std::vector<int64_t>{rows, cols}, at::kFloat);
  checkpoint.Read(name, 0, rows, values.mutable_data_ptr<float>());
  checkpoint.Release(name);
  return values;
}

}  // namespace

std::unique_ptr<Linear> ReadLinear(const Checkpoint& checkpoint, const LinearSlot& slot, int64_t rows,
                                   int64_t cols) {
  std::unique_ptr<Linear> linear =
      MakeDenseLinear(MakeDenseWeight(ReadTensor(checkpoint, slot.name, rows, cols)));
  if (checkpoint.Has(slot.name + ".bias"))
    linear->set_bias(ReadTensor(checkpoint, slot.name + ".bias", rows, 1));
  return linear;
}

Model LoadCheckpointModel(const Checkpoint& checkpoint, const std::string& name) {
  Model model = BuildModel(
      checkpoint.config(),
      [&](const std::string& norm, int64_t size) { return ReadTensor(checkpoint, norm, size, 1); },
      [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
        return ReadLinear(checkpoint, slot, rows, cols);
      });
  model.source.name = name;
  model.source.path = checkpoint.tokenizer().path.string();
  model.source.tokenizer = checkpoint.tokenizer();
  return model;
}

}  // namespace tnb
