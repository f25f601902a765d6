// Forward and backward passes of the trainer.
#include "models/training/trainer_state.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/error.h"

namespace tnb {
namespace {

constexpr int64_t kHeadTokens = 512;  // whose logits are held at a time

// Rows [begin, begin + count) of what may be undefined.
at::Tensor Rows(const at::Tensor& tensor, int64_t begin, int64_t count) {
  return tensor.defined() ? tensor.narrow(0, begin, count) : at::Tensor();
}

// The rows of a batch whose targets count, with what belongs to them.
struct CountedRows {
  CountedRows(const TrainingBatch& batch, const at::Tensor& states, const at::Tensor& lessons)
      : index(batch.weights.reshape({-1}).nonzero().view({-1})) {
    if (index.numel() == batch.weights.numel()) index.reset();
    const auto picked = [this](const at::Tensor& rows) {
      return index.defined() && rows.defined() ? rows.index_select(0, index) : rows;
    };
    hidden = picked(states);
    targets = picked(batch.targets.reshape({-1}));
    weights = picked(batch.weights.reshape({-1}));
    taught = picked(lessons);
  }
  int64_t size() const { return hidden.size(0); }

  at::Tensor index;  // undefined: all
  at::Tensor hidden, targets, weights, taught;
};

}  // namespace

std::vector<at::Tensor> TrainedWeight::Values() const {
  if (factor == 1) return leaves;
  std::vector<at::Tensor> values;
  for (const at::Tensor& leaf : leaves) values.push_back(leaf * factor);
  return values;
}

Trainer::State::State(const Model& given, TrainerOptions wanted, std::shared_ptr<const Teacher> master)
    : model(given),
      options(std::move(wanted)),
      teacher(std::move(master)),
      compute(options.bf16 ? at::kBFloat16 : at::kFloat),
      decoder(given.config, compute),
      taken(at::zeros({}, at::kFloat)) {
  const auto concerned = [&](int64_t block) { return options.block < 0 || options.block == block; };
  if (options.block < 0 && options.loss.teaches()) CheckTeacher();
  for (const LinearSlot* slot : model.Slots()) {
    if (concerned(slot->block)) Add(*slot);
  }
  norms.resize(2 * model.blocks.size() + 1);
  if (leaves.empty()) {
    if (options.block >= 0) return;
    throw Error(ErrorKind::kUsage, {"nothing would be trained", "a weight that trains",
                                    "a selection or formats without any", "", "widen what trains"});
  }
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    if (!concerned(static_cast<int64_t>(i))) continue;
    norms[2 * i] = Gain(model.blocks[i].attention_norm);
    norms[2 * i + 1] = Gain(model.blocks[i].mlp_norm);
  }
  if (options.block < 0) norms.back() = Gain(model.final_norm);
}

at::Tensor Trainer::State::Gain(const at::Tensor& values) {
  return options.norms ? Leaf(values, false) : values;
}

void Trainer::State::CheckTeacher() const {
  if (!teacher) throw Error(ErrorKind::kInternal, "a distillation needs a teacher");
  const ModelConfig &own = model.config, &other = teacher->config();
  const auto check = [](const char* what, int64_t expected, int64_t found, const char* unit,
                        const char* hint) {
    if (expected == found) return;
    throw Error(ErrorKind::kUsage,
                {what, std::to_string(expected) + " " + unit, std::to_string(found), "", hint});
  };
  if (options.loss.distillation > 0)
    check("the teacher has another vocabulary", own.vocabulary_size, other.vocabulary_size, "tokens", "");
  if (options.loss.hidden <= 0) return;
  const char* const hint = "hidden=0: a distillation by logits needs the same vocabulary only";
  check("the teacher's hidden states have another width", own.hidden_size, other.hidden_size, "values", hint);
  check("the teacher has another number of blocks", own.block_count, other.block_count, "blocks", hint);
}

at::Tensor Trainer::State::Leaf(const at::Tensor& values, bool decay) {
  const at::Tensor leaf = values.to(at::kFloat).clone().detach().requires_grad_(true);
  leaves.push_back(leaf);
  decays.push_back(decay);
  first_moments.push_back(at::zeros_like(values, at::kFloat));
  second_moments.push_back(at::zeros_like(values, at::kFloat));
  return leaf;
}

void Trainer::State::Add(const LinearSlot& slot) {
  TrainedLinear& trained = linears[&slot];
  trained.slot = &slot;
  bool some = false;
  for (int64_t i = 0; i < slot.linear->weight_count(); ++i) {
    TrainedWeight part;
    part.weight = slot.linear->weight(i);
    const bool plain = !part.weight->coded();
    if (!options.trains || options.trains(slot, i)) {
      if (options.factor) part.factor = options.factor(slot, i);
      for (const at::Tensor& values : part.weight->TrainableTensors())
        part.leaves.push_back(Leaf(part.factor == 1 ? values : values / part.factor, plain));
    }
    some = some || !part.leaves.empty();
    // A format with codes is expanded whenever it is needed: its size may be why it has codes.
    if (part.leaves.empty() && plain) part.fixed = part.weight->Dense().to(compute);
    trained.weights.push_back(std::move(part));
  }
  const at::Tensor& bias = slot.linear->bias();
  if (bias.defined()) trained.bias = some && options.norms ? Leaf(bias, false) : bias;
}

std::vector<at::Tensor> Trainer::State::Matrices(const LinearSlot& slot) const {
  std::vector<at::Tensor> matrices;
  for (const TrainedWeight& part : linears.at(&slot).weights) {
    if (part.leaves.empty()) {
      matrices.push_back(part.fixed);
    } else {
      matrices.push_back(part.weight->DenseOf(part.Values()).to(compute));
    }
  }
  return matrices;
}

std::vector<at::Tensor> Trainer::State::HeadMatrices() const {
  std::vector<at::Tensor> matrices = Matrices(Head());
  for (size_t i = 0; i < matrices.size(); ++i) {
    if (!matrices[i].defined())
      matrices[i] = Head().linear->weight(static_cast<int64_t>(i))->Dense().to(compute);
  }
  return matrices;
}

at::Tensor Trainer::State::Multiply(const LinearSlot& slot, const std::vector<at::Tensor>& matrices,
                                    const at::Tensor& x) const {
  const at::Tensor y = slot.linear->ForwardWith(matrices, x);
  const at::Tensor& bias = linears.at(&slot).bias;
  return bias.defined() ? y + bias.to(compute) : y;
}

at::Tensor Trainer::State::Embed(const at::Tensor& index) const {
  const Linear& table = *model.embedding.linear;
  const std::vector<TrainedWeight>& parts = linears.at(&model.embedding).weights;
  if (std::all_of(parts.begin(), parts.end(), [](const auto& part) { return part.leaves.empty(); }))
    return table.Rows(index);
  std::vector<at::Tensor> matrices;
  for (const TrainedWeight& part : parts)
    matrices.push_back(part.leaves.empty() ? at::Tensor() : part.weight->DenseOf(part.Values()));
  return table.RowsWith(matrices, index);
}

at::Tensor Trainer::State::ForwardBlock(size_t index, const at::Tensor& hidden,
                                        const at::Tensor& mask) const {
  return decoder.Forward(
      model.blocks[index], norms[2 * index], norms[2 * index + 1], hidden, mask,
      [this](const LinearSlot& slot, const at::Tensor& x) { return Multiply(slot, Matrices(slot), x); });
}

at::Tensor Trainer::State::FinalNorm(const at::Tensor& hidden) const {
  return DifferentiableDecoder::Norm(hidden, norms.back(), model.config.norm_epsilon).to(compute);
}

Trainer::State::Lesson Trainer::State::Taught(const TrainingBatch& batch) const {
  Lesson lesson;
  if (options.loss.teaches())
    lesson.last = teacher->Forward(batch, options.loss.hidden > 0 ? &lesson.blocks : nullptr);
  if (options.loss.distillation <= 0) lesson.last.reset();
  return lesson;
}

at::Tensor Trainer::State::TaughtLogits(const at::Tensor& last, int64_t begin, int64_t count) const {
  return last.defined() ? teacher->Logits(last.narrow(0, begin, count)) : at::Tensor();
}

at::Tensor Trainer::State::HeadBackward(const at::Tensor& hidden, const at::Tensor& taught,
                                        const TrainingBatch& batch, double scale, LossSums& sums,
                                        StepReport& report) {
  Stopwatch watch;
  const CountedRows rows(batch, hidden, taught);
  // The matrices are made once and differentiated once, whatever the number of pieces.
  const std::vector<at::Tensor> matrices = HeadMatrices();
  std::vector<at::Tensor> cut;
  for (const at::Tensor& matrix : matrices)
    cut.push_back(matrix.detach().requires_grad_(matrix.requires_grad()));
  at::Tensor gradient = at::empty_like(rows.hidden);
  for (int64_t begin = 0; begin < rows.size(); begin += kHeadTokens) {
    const int64_t count = std::min(kHeadTokens, rows.size() - begin);
    at::Tensor x = Rows(rows.hidden, begin, count).detach().requires_grad_(true);
    const at::Tensor logits = Multiply(Head(), cut, x);
    const at::Tensor difference =
        LossGradient(logits.detach(), Rows(rows.targets, begin, count), Rows(rows.weights, begin, count),
                     TaughtLogits(rows.taught, begin, count), options.loss, scale, sums);
    watch.Lap(report.forward_seconds);
    logits.backward(difference);
    gradient.narrow(0, begin, count).copy_(x.grad());
    watch.Lap(report.backward_seconds);
  }
  for (size_t i = 0; i < matrices.size(); ++i) {
    if (cut[i].grad().defined()) matrices[i].backward(cut[i].grad());
  }
  watch.Lap(report.backward_seconds);
  if (!rows.index.defined()) return gradient;
  return at::zeros_like(hidden).index_copy_(0, rows.index, gradient);
}

void Trainer::State::AccumulateBlock(const TrainingBatch& batch, double scale, LossSums& sums,
                                     StepReport& report) {
  const c10::AutoGradMode on(true);
  Stopwatch watch;
  const at::Tensor output = ForwardBlock(static_cast<size_t>(options.block), batch.block_inputs,
                                         decoder.Mask(batch.inputs.size(1), batch.documents));
  const at::Tensor weights = batch.weights.reshape({-1});
  const at::Tensor gradient =
      HiddenGradient(output.detach(), batch.block_targets, weights, scale * options.loss.hidden, sums.hidden);
  sums.weight += weights.sum(at::kDouble).item<double>();
  watch.Lap(report.forward_seconds);
  output.backward(gradient);
  watch.Lap(report.backward_seconds);
}

void Trainer::State::Accumulate(const TrainingBatch& batch, double scale, LossSums& sums,
                                StepReport& report) {
  if (options.block >= 0) return AccumulateBlock(batch, scale, sums, report);
  const c10::AutoGradMode on(true);
  Stopwatch watch;
  Lesson lesson = Taught(batch);
  const double pull = options.loss.hidden / static_cast<double>(model.blocks.size());
  const at::Tensor weights = batch.weights.reshape({-1});
  double differences = 0;  // of hidden states, over all blocks
  const at::Tensor mask = decoder.Mask(batch.inputs.size(1), batch.documents);
  const at::Tensor embedded = Embed(batch.inputs.reshape({-1}));
  at::Tensor hidden = embedded.detach();
  std::vector<at::Tensor> inputs, outputs;  // of the blocks; an output holds its block's graph
  std::vector<at::Tensor> pulls;            // the loss of the hidden states by each output
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    inputs.push_back(hidden.detach().requires_grad_(true));
    const c10::AutoGradMode graph(!options.recompute);
    outputs.push_back(ForwardBlock(i, inputs.back(), mask));
    hidden = outputs.back().detach();
    if (!lesson.blocks.empty()) {
      pulls.push_back(HiddenGradient(hidden, lesson.blocks[i], weights, scale * pull, differences));
      lesson.blocks[i].reset();
    }
  }
  sums.hidden += differences / static_cast<double>(model.blocks.size());
  hidden.requires_grad_(true);
  const at::Tensor last = FinalNorm(hidden);
  watch.Lap(report.forward_seconds);
  last.backward(HeadBackward(last.detach(), lesson.last, batch, scale, sums, report));
  double elsewhere = 0;
  watch.Lap(elsewhere);  // counted by HeadBackward
  at::Tensor gradient = hidden.grad();
  for (size_t i = model.blocks.size(); i-- > 0;) {
    if (!pulls.empty()) gradient.add_(pulls[i]);
    if (options.recompute) outputs[i] = ForwardBlock(i, inputs[i], mask);
    outputs[i].backward(gradient);
    gradient = inputs[i].grad();
    outputs[i].reset();
    inputs[i].reset();
  }
  if (embedded.requires_grad()) embedded.backward(gradient);
  watch.Lap(report.backward_seconds);
}

Evaluation Trainer::State::Evaluate(const std::vector<TrainingBatch>& batches) const {
  if (options.block >= 0) throw Error(ErrorKind::kInternal, "one block of a model cannot be evaluated");
  const c10::NoGradGuard no_gradients;
  LossSums sums;
  double right = 0, differences = 0;
  for (const TrainingBatch& batch : batches) {
    const at::Tensor mask = decoder.Mask(batch.inputs.size(1), batch.documents);
    at::Tensor hidden = Embed(batch.inputs.reshape({-1}));
    const Lesson lesson = Taught(batch);
    for (size_t i = 0; i < model.blocks.size(); ++i) {
      hidden = ForwardBlock(i, hidden, mask);
      if (!lesson.blocks.empty())
        HiddenGradient(hidden, lesson.blocks[i], batch.weights.reshape({-1}), 1, differences);
    }
    const CountedRows rows(batch, FinalNorm(hidden), lesson.last);
    const std::vector<at::Tensor> matrices = HeadMatrices();
    for (int64_t begin = 0; begin < rows.size(); begin += kHeadTokens) {
      const int64_t count = std::min(kHeadTokens, rows.size() - begin);
      const at::Tensor logits = Multiply(Head(), matrices, Rows(rows.hidden, begin, count));
      const at::Tensor target = Rows(rows.targets, begin, count), weight = Rows(rows.weights, begin, count);
      LossGradient(logits, target, weight, TaughtLogits(rows.taught, begin, count), options.loss, 1, sums);
      right += (logits.argmax(-1).eq(target) * weight).sum(at::kDouble).item<double>();
    }
  }
  const double blocks = static_cast<double>(model.blocks.size());
  return {sums.cross_entropy / sums.weight, sums.divergence / sums.weight, right / sums.weight,
          differences / blocks / sums.weight};
}

}  // namespace tnb
