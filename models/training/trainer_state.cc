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

// The rows whose targets count; undefined: all.
at::Tensor Counted(const at::Tensor& weights) {
  const at::Tensor index = weights.reshape({-1}).nonzero().view({-1});
  return index.numel() == weights.numel() ? at::Tensor() : index;
}

at::Tensor Picked(const at::Tensor& rows, const at::Tensor& index) {
  return index.defined() && rows.defined() ? rows.index_select(0, index) : rows;
}

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
  if (options.loss.distillation > 0) {
    if (!teacher) throw Error(ErrorKind::kInternal, "a distillation needs a teacher");
    if (teacher->config().vocabulary_size != model.config.vocabulary_size) {
      throw Error(ErrorKind::kUsage, {"the teacher has another vocabulary",
                                      std::to_string(model.config.vocabulary_size) + " tokens",
                                      std::to_string(teacher->config().vocabulary_size), "", ""});
    }
  }
  for (const LinearSlot* slot : model.Slots()) Add(*slot);
  if (leaves.empty()) {
    throw Error(ErrorKind::kUsage, {"nothing would be trained", "a weight that trains",
                                    "a selection or formats without any", "", "widen what trains"});
  }
  for (const Block& block : model.blocks) {
    norms.push_back(Gain(block.attention_norm));
    norms.push_back(Gain(block.mlp_norm));
  }
  norms.push_back(Gain(model.final_norm));
}

at::Tensor Trainer::State::Gain(const at::Tensor& values) {
  return options.norms ? Leaf(values, false) : values;
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

at::Tensor Trainer::State::HeadBackward(const at::Tensor& hidden, const TrainingBatch& batch, double scale,
                                        LossSums& sums, StepReport& report) {
  Stopwatch watch;
  at::Tensor lessons;
  if (options.loss.distillation > 0) lessons = teacher->Forward(batch);
  const at::Tensor index = Counted(batch.weights);
  const at::Tensor rows = Picked(hidden, index), targets = Picked(batch.targets.reshape({-1}), index);
  const at::Tensor weights = Picked(batch.weights.reshape({-1}), index);
  lessons = Picked(lessons, index);
  // The matrices are made once and differentiated once, whatever the number of pieces.
  const std::vector<at::Tensor> matrices = HeadMatrices();
  std::vector<at::Tensor> cut;
  for (const at::Tensor& matrix : matrices)
    cut.push_back(matrix.detach().requires_grad_(matrix.requires_grad()));
  at::Tensor gradient = at::empty_like(rows);
  for (int64_t begin = 0; begin < rows.size(0); begin += kHeadTokens) {
    const int64_t count = std::min(kHeadTokens, rows.size(0) - begin);
    at::Tensor x = rows.narrow(0, begin, count).detach().requires_grad_(true);
    const at::Tensor logits = Multiply(Head(), cut, x);
    const at::Tensor taught =
        lessons.defined() ? teacher->Logits(lessons.narrow(0, begin, count)) : at::Tensor();
    const at::Tensor difference =
        LossGradient(logits.detach(), Rows(targets, begin, count), Rows(weights, begin, count), taught,
                     options.loss, scale, sums);
    watch.Lap(report.forward_seconds);
    logits.backward(difference);
    gradient.narrow(0, begin, count).copy_(x.grad());
    watch.Lap(report.backward_seconds);
  }
  for (size_t i = 0; i < matrices.size(); ++i) {
    if (cut[i].grad().defined()) matrices[i].backward(cut[i].grad());
  }
  watch.Lap(report.backward_seconds);
  if (!index.defined()) return gradient;
  return at::zeros_like(hidden).index_copy_(0, index, gradient);
}

void Trainer::State::Accumulate(const TrainingBatch& batch, double scale, LossSums& sums,
                                StepReport& report) {
  const c10::AutoGradMode on(true);
  Stopwatch watch;
  const at::Tensor mask = decoder.Mask(batch.inputs.size(1), batch.documents);
  const at::Tensor embedded = Embed(batch.inputs.reshape({-1}));
  at::Tensor hidden = embedded.detach();
  std::vector<at::Tensor> inputs, outputs;  // of the blocks; an output holds its block's graph
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    inputs.push_back(hidden.detach().requires_grad_(true));
    const c10::AutoGradMode graph(!options.recompute);
    outputs.push_back(ForwardBlock(i, inputs.back(), mask));
    hidden = outputs.back().detach();
  }
  hidden.requires_grad_(true);
  const at::Tensor last = FinalNorm(hidden);
  watch.Lap(report.forward_seconds);
  last.backward(HeadBackward(last.detach(), batch, scale, sums, report));
  double elsewhere = 0;
  watch.Lap(elsewhere);  // counted by HeadBackward
  at::Tensor gradient = hidden.grad();
  for (size_t i = model.blocks.size(); i-- > 0;) {
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
  const c10::NoGradGuard no_gradients;
  LossSums sums;
  double right = 0;
  for (const TrainingBatch& batch : batches) {
    const at::Tensor mask = decoder.Mask(batch.inputs.size(1), batch.documents);
    at::Tensor hidden = Embed(batch.inputs.reshape({-1}));
    for (size_t i = 0; i < model.blocks.size(); ++i) hidden = ForwardBlock(i, hidden, mask);
    const at::Tensor index = Counted(batch.weights), rows = Picked(FinalNorm(hidden), index);
    const at::Tensor targets = Picked(batch.targets.reshape({-1}), index);
    const at::Tensor weights = Picked(batch.weights.reshape({-1}), index);
    at::Tensor lessons;
    if (options.loss.distillation > 0) lessons = Picked(teacher->Forward(batch), index);
    const std::vector<at::Tensor> matrices = HeadMatrices();
    for (int64_t begin = 0; begin < rows.size(0); begin += kHeadTokens) {
      const int64_t count = std::min(kHeadTokens, rows.size(0) - begin);
      const at::Tensor logits = Multiply(Head(), matrices, rows.narrow(0, begin, count));
      const at::Tensor target = Rows(targets, begin, count), weight = Rows(weights, begin, count);
      const at::Tensor taught =
          lessons.defined() ? teacher->Logits(lessons.narrow(0, begin, count)) : at::Tensor();
      LossGradient(logits, target, weight, taught, options.loss, 1, sums);
      right += (logits.argmax(-1).eq(target) * weight).sum(at::kDouble).item<double>();
    }
  }
  return {sums.cross_entropy / sums.weight, sums.divergence / sums.weight, right / sums.weight};
}

}  // namespace tnb
