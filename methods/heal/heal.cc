#include "methods/heal/heal.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "models/training/adapter.h"
#include "models/training/train_blocks.h"

namespace tnb {
namespace {

using Type = ParameterDescription::Type;

// The weight that holds most of a linear: MPOP (arXiv 2106.02205) calls it the central tensor and trains the
// auxiliary ones around it.
int64_t LargestWeight(const Linear& linear) {
  int64_t largest = 0;
  const auto values = [&](int64_t i) { return linear.weight(i)->rows() * linear.weight(i)->cols(); };
  for (int64_t i = 1; i < linear.weight_count(); ++i) {
    if (values(i) > values(largest)) largest = i;
  }
  return largest;
}

// What the loss of the whole model is made of; a block that trains by itself has another one.
const char* const kDivergence = "0.9";
const char* const kTemperature = "1";
const char* const kHidden = "0";

class HealStage : public WholeModelStage {
 public:
  explicit HealStage(const StageValues& values) : values_(values) {
    if (values_.Text("scope") != "block") return;
    for (const auto& [name, value] :
         {std::pair{"kd", kDivergence}, {"temperature", kTemperature}, {"hidden", kHidden}}) {
      if (values_.Text(name) == value) continue;
      throw Error(ErrorKind::kUsage,
                  {std::string("heal: ") + name + " is of the loss of the whole model", "scope=model",
                   "scope=block, whose loss is the difference of a block's outputs", "", ""});
    }
  }

  Json ApplyToModel(Model& model, const WholeModelContext& context) const override {
    const std::string& data = values_.Text("data");
    const TrainingText text = context.text(data);
    const int64_t length = values_.Integer("length"), batch = values_.Integer("batch");
    if (length > model.config.context_length) {
      throw Error(ErrorKind::kUsage, {"training sequences are longer than the model's context",
                                      "at most " + std::to_string(model.config.context_length) + " tokens",
                                      std::to_string(length), "length of heal", ""});
    }
    const bool by_block = values_.Text("scope") == "block";
    const PackedDocuments documents(text.documents, length, static_cast<uint64_t>(values_.Integer("seed")));
    const std::set<std::string> adapted = AddAdapters(model, context);
    const TrainerOptions options = Options(context, adapted, length * batch);
    TrainingPlan plan;
    plan.steps = options.steps;
    const int64_t accumulate = values_.Integer("accumulate");
    plan.batches = [&](int64_t step) { return documents.Batches(step, accumulate, batch); };
    plan.checkpoint = context.checkpoint;
    plan.checkpoint_seconds = context.checkpoint_seconds;
    plan.key = Sha256Hex(Json({{"values", values_.all()},
                               {"text", text.identity},
                               {"model", ContentHash(model)},
                               {"original", context.identity}})
                             .dump());
    Json detail =
        by_block ? HealBlocks(model, context, options, plan) : HealWhole(model, context, options, plan);
    for (const std::string& name : adapted) {
      const LinearSlot& slot = model.Slot(name);
      if (context.changed) context.changed(slot, slot.linear->Rebuild() - AdapterMatrix(*slot.linear));
    }
    detail["text"] = text.identity;
    if (!by_block) {
      detail["objective"] = {{"kd", options.loss.distillation},
                             {"temperature", options.loss.temperature},
                             {"hidden", options.loss.hidden},
                             {"length", length}};
    }
    detail["epochs"] =
        static_cast<double>(options.steps * accumulate * batch) / static_cast<double>(documents.sequences());
    detail["filled"] = documents.filled();
    return detail;
  }

 private:
  static Json HealWhole(Model& model, const WholeModelContext& context, const TrainerOptions& options,
                        TrainingPlan& plan) {
    std::shared_ptr<const Teacher> teacher;
    if (options.loss.teaches()) {
      teacher = std::make_shared<const Teacher>(context.original, options.bf16 ? at::kBFloat16 : at::kFloat);
    }
    Trainer trainer(model, options, teacher);
    plan.on_step = [&](CurvePoint& point) { Tell(context, point, point.step, plan.steps); };
    const std::vector<CurvePoint> curve = Train(trainer, plan);
    trainer.Store(model);
    return {{"curve", CurveToJson(curve)},
            {"tokens", curve.back().tokens},
            {"seconds", curve.back().seconds},
            {"trained_parameters", trainer.parameters()},
            {"gradient_bytes", trainer.gradient_bytes()},
            {"optimizer_bytes", trainer.optimizer_bytes()}};
  }

  // Tokens and steps are those of every block; bytes those of the largest one.
  static Json HealBlocks(Model& model, const WholeModelContext& context, const TrainerOptions& options,
                         TrainingPlan& plan) {
    BlocksPlan blocks;
    int64_t before = 0, total = 0;  // steps of the blocks before, and of all
    plan.on_step = [&](CurvePoint& point) { Tell(context, point, before + point.step, total); };
    blocks.plan = plan;
    blocks.on_block = [&](int64_t index, int64_t count) {
      before = index * plan.steps;
      total = count * plan.steps;
    };
    const std::vector<TrainedBlock> trained = TrainBlocks(model, context.original, options, blocks);
    constexpr size_t kPoints = 1000;  // of all curves together, as of one of the whole model
    Json list = Json::array();
    double seconds = 0;
    int64_t all = 0, largest = 0;
    for (const TrainedBlock& block : trained) {
      list.push_back({{"block", block.block},
                      {"error_before", block.error_before},
                      {"error_after", block.error_after},
                      {"trained_parameters", block.parameters},
                      {"curve", CurveToJson(block.curve, std::max<size_t>(20, kPoints / trained.size()))}});
      seconds += block.curve.back().seconds;
      all += block.parameters;
      largest = std::max(largest, block.parameters);
    }
    return {{"blocks", list},
            {"steps", plan.steps},
            {"tokens", trained.back().curve.back().tokens},
            {"seconds", seconds},
            {"trained_parameters", all},
            {"gradient_bytes", 4 * largest},
            {"optimizer_bytes", 8 * largest}};
  }

  static void Tell(const WholeModelContext& context, CurvePoint& point, int64_t done, int64_t total) {
    if (context.peak_bytes) point.peak_bytes = context.peak_bytes();
    if (context.progress) context.progress("heal", done, total, "steps");
  }

  int64_t rank() const { return values_.Has("lora") ? values_.Integer("lora") : 0; }

  // The names of the linears that got an adapter. What stores nothing (a dropped layer) stays so.
  std::set<std::string> AddAdapters(Model& model, const WholeModelContext& context) const {
    std::set<std::string> names;
    if (rank() == 0) return names;
    auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(values_.Integer("seed")));
    for (LinearSlot* slot : model.Slots()) {
      if (!context.selected(*slot) || slot->linear->size().bytes == 0) continue;
      AddAdapter(*slot, rank(), generator);
      names.insert(slot->name);
    }
    return names;
  }

  TrainerOptions Options(const WholeModelContext& context, const std::set<std::string>& adapted,
                         int64_t batch_tokens) const {
    TrainerOptions options;
    options.learning_rate = values_.Real("lr");
    options.steps = StepsFor(values_.Integer("tokens"), batch_tokens * values_.Integer("accumulate"));
    options.warmup = std::llround(values_.Real("warmup") * static_cast<double>(options.steps));
    options.weight_decay = values_.Real("decay");
    options.clip = values_.Real("clip");
    options.loss = {values_.Real("kd"), values_.Real("temperature"), values_.Real("hidden")};
    options.bf16 = values_.Text("precision") == "bf16";
    options.recompute = values_.Text("activations") == "recompute";
    if (rank() > 0) {
      options.norms = false;
      options.trains = [adapted](const LinearSlot& slot, int64_t index) {
        return adapted.count(slot.name) > 0 && index >= slot.linear->weight_count() - kAdapterWeights;
      };
      const double scale = values_.Real("alpha") / static_cast<double>(rank());
      options.factor = [scale](const LinearSlot& slot, int64_t index) {
        return index == slot.linear->weight_count() - 1 ? scale : 1;
      };
      return options;
    }
    const std::string which = values_.Text("train");
    options.trains = [selected = context.selected, which](const LinearSlot& slot, int64_t index) {
      if (!selected(slot)) return false;
      if (which == "all") return true;
      return slot.linear->factorized() && (which != "auxiliary" || index != LargestWeight(*slot.linear));
    };
    return options;
  }

  StageValues values_;
};

}  // namespace

StageEntry HealEntry() {
  StageDescription description;
  description.name = "heal";
  description.group = "heal";
  description.summary = "brief training of the compressed model, distilled from the uncompressed one";
  description.parameters = {
      {"data", Type::kText, "calibration/wiki.utf8",
       "text to train on: a plain text, or .jsonl/.json with instructions and answers (docs/training.md)"},
      {"tokens", Type::kInteger, "57344", "tokens to train on, rounded to whole steps", 1, 1e12},
      {"scope",
       Type::kChoice,
       "model",
       "block: one after the other, each until it puts out what the uncompressed one does",
       0,
       0,
       {"model", "block"}},
      {"kd", Type::kReal, kDivergence,
       "share of the divergence from the uncompressed model; the rest is cross entropy", 0, 1},
      {"temperature", Type::kReal, kTemperature, "of the divergence", 0.1, 20},
      {"hidden", Type::kReal, kHidden,
       "weight of the hidden states' difference from the uncompressed model's after every block", 0, 1e6},
      {"lr", Type::kReal, "3e-04", "largest learning rate", 1e-9, 1},
      {"warmup", Type::kReal, "0.04", "fraction of the steps in which the learning rate rises", 0, 1},
      {"decay", Type::kReal, "0.01", "weight decay of matrices", 0, 1},
      {"clip", Type::kReal, "1", "largest norm of all gradients together; 0: no limit", 0, 1e9},
      {"length", Type::kInteger, "256", "tokens a sequence", 2, 1048576},
      {"batch", Type::kInteger, "2", "sequences computed together", 1, 65536},
      {"accumulate", Type::kInteger, "1", "such batches a step", 1, 65536},
      {"precision",
       Type::kChoice,
       "bf16",
       "of linears, attention and logits; masters are fp32",
       0,
       0,
       {"bf16", "fp32"}},
      {"activations",
       Type::kChoice,
       "keep",
       "recompute: less memory, a third more time",
       0,
       0,
       {"keep", "recompute"}},
      {.name = "lora",
       .type = Type::kInteger,
       .fallback = "0",
       .help =
           "rank of a bf16 adapter beside every selected linear; it alone trains (LoRA, arXiv 2106.09685; "
           "beside codes QLoRA, arXiv 2305.14314). 0: none",
       .least = 0,
       .most = 65536,
       .omitted = "0"},
      {.name = "alpha",
       .type = Type::kReal,
       .fallback = "64",
       .help = "the adapter counts alpha / lora times",
       .least = 1e-3,
       .most = 1e6,
       .when = "lora!=0"},
      {.name = "train",
       .type = Type::kChoice,
       .fallback = "all",
       .help = "of the selected linears; auxiliary: all cores but the largest one (MPOP, arXiv 2106.02205)",
       .choices = {"all", "factorized", "auxiliary"},
       .when = "lora=0"},
      {"seed", Type::kInteger, "0", "of the order of the text", 0, 2147483647},
  };
  description.selector = "attn/mlp";
  description.takes_embedding = true;
  description.reference =
      "CompactifAI (arXiv 2401.14109), healing; distillation: arXiv 1503.02531; LoRA: arXiv 2106.09685";
  return {description, [](const StageValues& values) -> std::unique_ptr<Stage> {
            return std::make_unique<HealStage>(values);
          }};
}

}  // namespace tnb
