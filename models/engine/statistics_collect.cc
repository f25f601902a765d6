// One pass forward, block by block over all windows, and for gradients one pass back, which computes every
// block once more from its stored input.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/engine/differentiable.h"
#include "models/engine/ops.h"
#include "models/engine/statistics.h"

namespace tnb {
namespace {

constexpr int64_t kBatchTokens = 2048;
constexpr uint64_t kLabelSeed = 1234;

// Sums in fp64 of fp32 parts.
struct Sum {
  at::Tensor total;
  void Add(const at::Tensor& part) {
    if (!total.defined()) total = at::zeros(part.sizes(), at::kDouble);
    total.add_(part);
  }
};
using Sums = std::map<std::string, Sum>;

// One index a row, drawn with the probabilities of the row: where their running sum passes a uniform number.
at::Tensor Drawn(const at::Tensor& probabilities, at::Generator& generator) {
  const at::Tensor running = probabilities.cumsum(-1);
  const int64_t last = running.size(1) - 1;
  const at::Tensor uniform = at::rand({running.size(0), 1}, generator, running.options());
  return at::searchsorted(running, uniform * running.narrow(1, last, 1), false, true).clamp_max_(last);
}

// What is known of the inputs of linears.
struct InputSums {
  Sums sums;
  std::map<std::string, at::Tensor> largest;
  void Add(const std::string& name, const at::Tensor& x) {
    sums[name + ".covariance"].Add(Gram(x.t()));
    const at::Tensor magnitude = x.abs();
    sums[name + ".mean_absolute"].Add(magnitude.sum(0));
    at::Tensor& most = largest[name + ".max_absolute"];
    most = most.defined() ? at::maximum(most, magnitude.amax(0)) : magnitude.amax(0);
  }
};

// One linear's forward product, watched: y keeps its gradient after the backward pass.
struct Tap {
  const LinearSlot* slot;
  at::Tensor x, y;
};

class Collector {
 public:
  Collector(const ModelParts& parts, const std::vector<TokenIds>& windows, const StatisticsRequest& request,
            const StatisticsProgress& progress)
      : parts_(parts), request_(request), progress_(progress), decoder_(parts.config) {
    if (windows.empty() || windows[0].empty()) throw Error(ErrorKind::kInternal, "no calibration windows");
    length_ = static_cast<int64_t>(windows[0].size());
    count_ = static_cast<int64_t>(windows.size());
    if (length_ > parts.config.context_length) {
      throw Error(ErrorKind::kUsage, {"calibration windows are longer than the model's context",
                                      "at most " + std::to_string(parts.config.context_length) + " tokens",
                                      std::to_string(length_), "length", ""});
    }
    std::vector<int64_t> flat;
    for (const TokenIds& window : windows) {
      if (static_cast<int64_t>(window.size()) != length_) {
        throw Error(ErrorKind::kInternal, "calibration windows differ in length");
      }
      flat.insert(flat.end(), window.begin(), window.end());
    }
    tokens_ = at::tensor(flat, at::kLong);
    batch_ = std::max<int64_t>(1, kBatchTokens / length_) * length_;  // tokens computed together
    mask_ = decoder_.Mask(length_);
  }

  void Run(const StatisticsSink& sink) {
    const bool watch = request_.moments == Moments::kInputs;
    const bool gradients = request_.moments == Moments::kOutputGradients ||
                           request_.moments == Moments::kWeightGradients ||
                           request_.moments == Moments::kJoint;
    const int64_t blocks = parts_.config.block_count, total = gradients ? 2 * blocks : blocks;
    LinearSlot embedding = Embedding();
    at::Tensor hidden = embedding.linear->Rows(tokens_);
    if (!gradients || !parts_.config.tied_head) embedding.linear.reset();
    std::vector<at::Tensor> inputs;  // of every block
    for (int64_t i = 0; i < blocks; ++i) {
      const Block block = BuildBlock(parts_.config, i, parts_.norm, parts_.linear);
      if (gradients) inputs.push_back(hidden);
      InputSums sums;
      const at::Tensor next = Forward(block, hidden, watch ? &sums : nullptr);
      Emit(sums, sink);
      for (auto& [name, parts] : samples_) sink(name, at::cat(parts));
      samples_.clear();
      if (request_.moments == Moments::kInfluence) {
        influences_.push_back(1 - at::cosine_similarity(hidden, next, 1).mean(at::kDouble).item<double>());
      }
      hidden = next;
      progress_(i + 1, total);
    }
    if (request_.moments == Moments::kInfluence) sink("influence", at::tensor(influences_, at::kFloat));
    if (!gradients) return;
    at::Tensor gradient = HeadGradient(hidden, embedding);
    embedding.linear.reset();
    for (int64_t i = blocks; i-- > 0;) {
      const Block block = BuildBlock(parts_.config, i, parts_.norm, parts_.linear);
      gradient = Backward(block, inputs.back(), gradient, sink);
      inputs.pop_back();
      progress_(2 * blocks - i, total);
    }
  }

  void Run(const Walk& walk) {
    const int64_t all = parts_.config.block_count,
                  blocks = walk.blocks < 0 ? all : std::min(all, walk.blocks);
    LinearSlot embedding = Embedding();
    if (walk.prepare) walk.prepare(embedding);
    at::Tensor hidden = embedding.linear->Rows(tokens_);
    embedding.linear.reset();
    for (int64_t i = 0; i < blocks; ++i) {
      Block block = BuildBlock(parts_.config, i, parts_.norm, parts_.linear);
      const std::initializer_list<LinearSlot*> slots = {&block.q,    &block.k,  &block.v,   &block.o,
                                                        &block.gate, &block.up, &block.down};
      if (walk.prepare) {
        for (LinearSlot* slot : slots) walk.prepare(*slot);
      }
      std::map<std::string, at::Tensor> values;
      at::Tensor targets;
      {
        InputSums sums;
        targets = Forward(block, hidden, &sums);
        if (!walk.finish) targets.reset();
        Emit(sums, [&](const std::string& name, const at::Tensor& value) { values[name] = value; });
      }
      const MemoryStatistics statistics(std::move(values));
      const auto count = static_cast<int64_t>(slots.size());
      int64_t done = i * count;
      for (LinearSlot* slot : slots) {
        walk.change(*slot, statistics);
        progress_(++done, blocks * count);
      }
      if (walk.finish) {
        const auto forward = [&](int64_t begin, int64_t tokens,
                                 const DifferentiableDecoder::Multiply& multiply) {
          return decoder_.Forward(block, block.attention_norm, block.mlp_norm,
                                  hidden.narrow(0, begin, tokens), mask_, multiply);
        };
        walk.finish({slots, hidden, targets, batch_, forward}, statistics);
      }
      if (i + 1 < blocks) hidden = Forward(block, hidden, nullptr);
    }
  }

 private:
  LinearSlot Embedding() const {
    LinearSlot embedding;
    embedding.name = "embedding";
    embedding.kind = LinearKind::kEmbedding;
    embedding.linear = parts_.linear(embedding, parts_.config.vocabulary_size, parts_.config.hidden_size);
    return embedding;
  }

  bool Wanted(LinearKind kind) const { return kind != LinearKind::kDown || request_.down; }

  // Weights of one block, expanded once.
  at::Tensor Multiply(const LinearSlot& slot, const at::Tensor& x) {
    at::Tensor& w = weights_[&slot];
    if (!w.defined()) w = slot.linear->Rebuild();
    const at::Tensor y = c10::GradMode::is_enabled() ? at::linear(x, w) : TimesTransposed(x, w);
    return slot.linear->bias().defined() ? y + slot.linear->bias() : y;
  }

  // What a block makes of `hidden`; the inputs of its linears are added to `sums` unless it is null.
  at::Tensor Forward(const Block& block, const at::Tensor& hidden, InputSums* sums) {
    const c10::NoGradGuard no_gradients;
    weights_.clear();
    const auto multiply = [&](const LinearSlot& slot, const at::Tensor& x) {
      // One linear stands for all that share its input.
      const bool first =
          slot.kind != LinearKind::kK && slot.kind != LinearKind::kV && slot.kind != LinearKind::kUp;
      if (sums != nullptr && first && Wanted(slot.kind)) sums->Add(InputName(slot), x);
      const at::Tensor y = Multiply(slot, x);
      if (request_.moments == Moments::kKeysValues) Sample(slot, y);
      return y;
    };
    at::Tensor next = at::empty_like(hidden);
    for (int64_t begin = 0; begin < hidden.size(0); begin += batch_) {
      const int64_t rows = std::min(batch_, hidden.size(0) - begin);
      next.narrow(0, begin, rows)
          .copy_(decoder_.Forward(block, block.attention_norm, block.mlp_norm, hidden.narrow(0, begin, rows),
                                  mask_, multiply));
    }
    return next;
  }

  // Keeps some tokens' keys, as attention sees them, or values, of one batch.
  void Sample(const LinearSlot& slot, const at::Tensor& y) {
    if (slot.kind != LinearKind::kK && slot.kind != LinearKind::kV) return;
    const ModelConfig& config = parts_.config;
    at::Tensor heads = y.view({-1, config.kv_head_count, config.head_size});
    if (slot.kind == LinearKind::kK) {
      const at::Tensor sequences =
          heads.view({-1, length_, config.kv_head_count, config.head_size}).transpose(1, 2);
      heads = decoder_.Rotated(sequences, length_).transpose(1, 2).reshape(heads.sizes());
    }
    // Batches are of equal size but for the last, so that distances stay equal within a batch.
    const int64_t distance = std::max<int64_t>(1, length_ * count_ / kSampledTokens);
    samples_["blocks." + std::to_string(slot.block) + (slot.kind == LinearKind::kK ? ".keys" : ".values")]
        .push_back(heads.slice(0, 0, std::nullopt, distance).clone());
  }

  // d loss / d hidden of the last block's output.
  at::Tensor HeadGradient(const at::Tensor& hidden, const LinearSlot& embedding) {
    const at::Tensor norm = parts_.norm("final_norm", parts_.config.hidden_size);
    at::Tensor w;
    if (parts_.config.tied_head) {
      w = embedding.linear->Rebuild();
    } else {
      LinearSlot head;
      head.name = "head";
      head.kind = LinearKind::kHead;
      w = parts_.linear(head, parts_.config.vocabulary_size, parts_.config.hidden_size)->Rebuild();
    }
    auto generator = at::make_generator<at::CPUGeneratorImpl>(kLabelSeed);
    at::Tensor gradient = at::empty_like(hidden);
    for (int64_t begin = 0; begin < hidden.size(0); begin += length_) {
      at::Tensor x, y, back;
      {
        const c10::AutoGradMode on(true);
        x = hidden.narrow(0, begin, length_).clone().requires_grad_(true);
        y = DifferentiableDecoder::Norm(x, norm, parts_.config.norm_epsilon);
      }
      {
        const c10::NoGradGuard off;
        // d(-log p(label)) / d logits = p - onehot(label)
        at::Tensor difference = at::softmax(TimesTransposed(y, w), -1);
        at::Tensor labels;
        if (request_.model_labels) {
          labels = Drawn(difference, generator);
        } else {
          labels = tokens_.narrow(0, begin, length_).roll(-1).unsqueeze(1);
        }
        difference.scatter_add_(1, labels, at::full({length_, 1}, -1.0F));
        if (!request_.model_labels) difference[length_ - 1].zero_();  // its label lies in the next window
        back = at::matmul(difference, w);
      }
      y.backward(back);
      gradient.narrow(0, begin, length_).copy_(x.grad());
    }
    return gradient;
  }

  // From d loss / d output to d loss / d input.
  at::Tensor Backward(const Block& block, const at::Tensor& input, const at::Tensor& gradient,
                      const StatisticsSink& sink) {
    weights_.clear();
    Sums sums;
    at::Tensor before = at::empty_like(input);
    for (int64_t begin = 0; begin < input.size(0); begin += batch_) {
      const int64_t rows = std::min(batch_, input.size(0) - begin);
      std::vector<Tap> taps;
      at::Tensor x;
      {
        const c10::AutoGradMode on(true);
        x = input.narrow(0, begin, rows).clone().requires_grad_(true);
        const auto multiply = [&](const LinearSlot& slot, const at::Tensor& in) {
          const at::Tensor y = Multiply(slot, in);
          if (Wanted(slot.kind)) {
            y.retain_grad();
            taps.push_back({&slot, in.detach(), y});
          }
          return y;
        };
        decoder_.Forward(block, block.attention_norm, block.mlp_norm, x, mask_, multiply)
            .backward(gradient.narrow(0, begin, rows));
      }
      const c10::NoGradGuard off;
      before.narrow(0, begin, rows).copy_(x.grad());
      for (const Tap& tap : taps) Take(tap, sums);
    }
    const auto tokens = static_cast<double>(input.size(0));
    if (request_.moments == Moments::kJoint) {
      EmitJoint(sums, tokens, sink);
    } else {
      Emit(sums, request_.moments == Moments::kOutputGradients ? tokens : static_cast<double>(count_), sink);
    }
    return before;
  }

  void Take(const Tap& tap, Sums& sums) const {
    const at::Tensor g = tap.y.grad();
    if (request_.moments == Moments::kOutputGradients) {
      sums[tap.slot->name + ".gradient_covariance"].Add(Gram(g.t()));
      return;
    }
    if (request_.moments == Moments::kJoint) {
      const at::Tensor x_norm = tap.x.norm(2, {1}, true), g_norm = g.norm(2, {1}, true);
      sums[tap.slot->name + ".joint_input"].Add(Gram((tap.x * g_norm).t()));
      sums[tap.slot->name + ".joint_gradient"].Add(Gram((g * x_norm).t()));
      return;
    }
    for (int64_t begin = 0; begin < g.size(0); begin += length_) {  // window by window
      const at::Tensor weight = at::matmul(g.narrow(0, begin, length_).t(), tap.x.narrow(0, begin, length_));
      sums[tap.slot->name + ".weight_gradients"].Add(weight.square().sum(0));
    }
  }

  // Both traces are the sum over tokens of |g|^2 |x|^2; divided by its root they multiply to it.
  static void EmitJoint(const Sums& sums, double tokens, const StatisticsSink& sink) {
    for (const auto& [name, sum] : sums) {
      const double scale = std::sqrt(std::max(sum.total.trace().item<double>(), 1e-300) * tokens);
      sink(name, (sum.total / scale).to(at::kFloat));
    }
  }
  static void Emit(const Sums& sums, double count, const StatisticsSink& sink) {
    for (const auto& [name, sum] : sums) sink(name, (sum.total / count).to(at::kFloat));
  }
  void Emit(const InputSums& sums, const StatisticsSink& sink) const {
    Emit(sums.sums, static_cast<double>(tokens_.size(0)), sink);
    for (const auto& [name, values] : sums.largest) sink(name, values);
  }

  const ModelParts& parts_;
  const StatisticsRequest& request_;
  const StatisticsProgress& progress_;
  DifferentiableDecoder decoder_;
  int64_t length_ = 0, count_ = 0, batch_ = 0;
  at::Tensor tokens_;  // int64 [windows * length]
  at::Tensor mask_;
  std::map<const LinearSlot*, at::Tensor> weights_;
  std::map<std::string, std::vector<at::Tensor>> samples_;  // of one block
  std::vector<double> influences_;                          // by block
};

}  // namespace

void CollectStatistics(const ModelParts& parts, const std::vector<TokenIds>& windows,
                       const StatisticsRequest& request, const StatisticsSink& sink,
                       const StatisticsProgress& progress) {
  Collector(parts, windows, request, progress).Run(sink);
}

void WalkBlocks(const ModelParts& parts, const std::vector<TokenIds>& windows,
                const StatisticsRequest& request, const Walk& walk, const StatisticsProgress& progress) {
  if (request.moments != Moments::kInputs) throw Error(ErrorKind::kInternal, "a walk has inputs only");
  Collector(parts, windows, request, progress).Run(walk);
}

}  // namespace tnb
