// Calibration statistics against what they are defined as: inputs computed another way, gradients by finite
// differences of the plain reference.
#include "models/engine/statistics.h"

#include <ATen/ATen.h>

#include <fstream>

#include "models/engine/decoder.h"
#include "tests/models/engine/random_checkpoint.h"
#include "tests/models/engine/reference.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::PartsOf;
using testing::RandomCheckpoint;
using testing::SmallConfig;

std::map<std::string, at::Tensor> Collect(const Checkpoint& checkpoint, const std::vector<TokenIds>& windows,
                                          const StatisticsRequest& request) {
  std::map<std::string, at::Tensor> values;
  int64_t last = 0;
  CollectStatistics(
      PartsOf(checkpoint), windows, request,
      [&](const std::string& name, const at::Tensor& tensor) { CHECK(values.emplace(name, tensor).second); },
      [&](int64_t done, int64_t total) {
        CHECK(done == ++last);
        CHECK(done <= total);
      });
  return values;
}

std::vector<TokenIds> Windows(int64_t count, int64_t length, int64_t vocabulary) {
  std::vector<TokenIds> windows;
  for (int64_t i = 0; i < count; ++i) {
    windows.emplace_back();
    for (int64_t j = 0; j < length; ++j) {
      windows.back().push_back(static_cast<TokenId>((i * 53 + j * 37 + i * j * 11) % vocabulary));
    }
  }
  return windows;
}

// The largest error of an element in units of sqrt(H_ii H_jj).
double LargestError(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor exact = expected.to(at::kDouble);
  const at::Tensor scale = exact.diagonal().sqrt();
  return ((found.to(at::kDouble) - exact).abs() / at::outer(scale, scale)).max().item<double>();
}

at::Tensor Moment(const at::Tensor& x) {
  const at::Tensor exact = x.to(at::kDouble);
  return at::matmul(exact.t(), exact) / exact.size(0);
}

// Hidden states after block `blocks` - 1, normalized by `norm`, by the engine's own decoder.
at::Tensor Hidden(const Checkpoint& checkpoint, int64_t blocks, const at::Tensor& norm, bool without_mlp,
                  const std::vector<TokenIds>& windows) {
  Model model = LoadCheckpointModel(checkpoint, "random");
  model.blocks.resize(static_cast<size_t>(blocks));
  model.final_norm = norm;
  if (without_mlp) {
    LinearSlot& down = model.blocks.back().down;
    down.linear = MakeDenseLinear(MakeDenseWeight(at::zeros_like(down.linear->Rebuild())));
  }
  const Decoder decoder(model);
  KvCache cache(model.config, 1024);
  std::vector<TokenRun> runs;
  std::vector<int64_t> rows;
  for (const TokenIds& window : windows) {
    TokenRun run;
    run.tokens = window;
    run.own = cache.Allocate(static_cast<int64_t>(window.size()));
    for (size_t i = 0; i < window.size(); ++i) rows.push_back(static_cast<int64_t>(rows.size()));
    runs.push_back(std::move(run));
  }
  return decoder.Forward(runs, cache, rows);
}

// A checkpoint with one value changed.
class Changed : public Checkpoint {
 public:
  Changed(const Checkpoint& base, std::string name, int64_t row, int64_t col, float by)
      : base_(base), name_(std::move(name)), row_(row), col_(col), by_(by) {}
  const ModelConfig& config() const override { return base_.config(); }
  const std::vector<TensorInfo>& tensors() const override { return base_.tensors(); }
  TokenizerSource tokenizer() const override { return {}; }
  std::string ContentHash() const override { return ""; }
  uint64_t FileBytes() const override { return 0; }
  void Read(const std::string& name, int64_t begin, int64_t end, float* out) const override {
    base_.Read(name, begin, end, out);
    if (name == name_ && row_ >= begin && row_ < end)
      out[(row_ - begin) * base_.Info(name).cols + col_] += by_;
  }
  void Release(const std::string&) const override {}

 private:
  const Checkpoint& base_;
  std::string name_;
  int64_t row_, col_;
  float by_;
};

// Sum over a window of -log p(next token).
double Loss(const Checkpoint& checkpoint, const TokenIds& window) {
  const auto logits = testing::ReferenceLogits(checkpoint, window);
  double loss = 0;
  for (size_t t = 0; t + 1 < window.size(); ++t) {
    double sum = 0;
    for (const float logit : logits[t]) sum += std::exp(double{logit});
    loss += std::log(sum) - double{logits[t][static_cast<size_t>(window[t + 1])]};
  }
  return loss;
}

// d loss / d W[row, col] by central differences: the step balances fp32 rounding (1e-6 / step) and curvature.
double Slope(const Checkpoint& checkpoint, const std::string& name, int64_t row, int64_t col,
             const TokenIds& window) {
  constexpr float kStep = 0.005F;
  return (Loss(Changed(checkpoint, name, row, col, kStep), window) -
          Loss(Changed(checkpoint, name, row, col, -kStep), window)) /
         (2.0 * kStep);
}

ModelConfig TinyConfig() {
  ModelConfig config = SmallConfig();
  config.vocabulary_size = 23;
  config.hidden_size = 12;
  config.intermediate_size = 14;
  config.block_count = 2;
  config.head_count = 3;
  config.kv_head_count = 1;
  config.head_size = 4;
  return config;
}

}  // namespace

TEST_CASE("input statistics are the second moments of what the linears see") {
  ModelConfig config = SmallConfig();
  config.attention_bias = true;
  const RandomCheckpoint checkpoint(config);
  // More tokens than are computed together, so that partial sums meet.
  const auto windows = Windows(40, 64, config.vocabulary_size);
  StatisticsRequest request;
  request.down = true;
  const auto values = Collect(checkpoint, windows, request);
  CHECK(values.size() == 3 * 4 * 3);
  const Model model = LoadCheckpointModel(checkpoint, "random");
  const auto check = [&](const std::string& name, const at::Tensor& x) {
    CAPTURE(name);
    // Two fp32 forward passes in different orders: 1e-5 covers their difference.
    CHECK(LargestError(values.at(name + ".covariance"), Moment(x)) < 1e-5);
    CHECK(at::allclose(values.at(name + ".mean_absolute"), x.abs().mean(0), 1e-5, 1e-6));
    CHECK(at::allclose(values.at(name + ".max_absolute"), x.abs().amax(0), 1e-5, 1e-6));
  };
  const std::vector<TokenIds> few(windows.begin(), windows.begin() + 12);
  const auto some = Collect(checkpoint, few, request);
  const Block& second = model.blocks[1];
  const at::Tensor attention = Hidden(checkpoint, 1, second.attention_norm, false, few);
  CHECK(LargestError(some.at("blocks.1.qkv.covariance"), Moment(attention)) < 1e-5);
  const at::Tensor mlp = Hidden(checkpoint, 2, second.mlp_norm, true, few);
  CHECK(LargestError(some.at("blocks.1.gate_up.covariance"), Moment(mlp)) < 1e-5);
  const at::Tensor gated = at::silu(second.gate.linear->Forward(mlp)) * second.up.linear->Forward(mlp);
  CHECK(LargestError(some.at("blocks.1.down.covariance"), Moment(gated)) < 1e-5);
  // The first block over all windows: normalized embeddings.
  std::vector<int64_t> tokens;
  for (const TokenIds& window : windows) tokens.insert(tokens.end(), window.begin(), window.end());
  const at::Tensor rows = model.embedding.linear->weight(0)->Rows(at::tensor(tokens, at::kLong));
  check("blocks.0.qkv", rows * at::rsqrt(rows.square().mean(-1, true) + config.norm_epsilon) *
                            model.blocks[0].attention_norm);
  request.down = false;
  CHECK(Collect(checkpoint, few, request).count("blocks.1.down.covariance") == 0);
}

TEST_CASE("a walk feeds every block with what the changed ones before it put out") {
  const ModelConfig config = SmallConfig();
  const RandomCheckpoint checkpoint(config);
  const auto windows = Windows(12, 64, config.vocabulary_size);
  StatisticsRequest request;
  request.down = true;
  // Another model: gate and down of every block are halved, the queries as they are read.
  const auto change = [](LinearSlot& slot, double factor) {
    slot.linear = MakeDenseLinear(MakeDenseWeight(slot.linear->Rebuild() * factor));
  };
  const auto halved = [](const LinearSlot& slot) {
    return slot.kind == LinearKind::kGate || slot.kind == LinearKind::kDown;
  };
  const auto parts_until = [&](int64_t block) {
    ModelParts parts = PartsOf(checkpoint);
    parts.linear = [&, block, read = parts.linear](const LinearSlot& place, int64_t rows, int64_t cols) {
      LinearSlot slot;
      slot.linear = read(place, rows, cols);
      if (place.kind == LinearKind::kQ) change(slot, 0.5);
      if (halved(place) && place.block < block) change(slot, 0.5);
      return std::move(slot.linear);
    };
    return parts;
  };
  int64_t seen = 0, done = 0;
  Walk walk;
  walk.prepare = [&](LinearSlot& slot) {
    if (slot.kind == LinearKind::kQ) change(slot, 0.5);
  };
  walk.change = [&](LinearSlot& slot, const Statistics& inputs) {
    if (slot.kind == LinearKind::kO || slot.kind == LinearKind::kDown) {
      // What CollectStatistics finds in the model as it is now.
      CollectStatistics(
          parts_until(slot.block), windows, request,
          [&](const std::string& name, const at::Tensor& expected) {
            if (name != InputName(slot) + ".covariance") return;
            CHECK(LargestError(inputs.InputCovariance(slot), expected) < 1e-6);
            ++seen;
          },
          [](int64_t, int64_t) {});
    }
    if (halved(slot)) change(slot, 0.5);
  };
  WalkBlocks(PartsOf(checkpoint), windows, request, walk, [&](int64_t now, int64_t total) {
    CHECK(now == ++done);
    CHECK(total == 7 * config.block_count);
  });
  CHECK(seen == 2 * config.block_count);
  // No further than asked for.
  walk.blocks = 1;
  int64_t last = 0;
  WalkBlocks(PartsOf(checkpoint), windows, request, walk, [&](int64_t now, int64_t total) {
    last = now;
    CHECK(total == 7);
  });
  CHECK(last == 7);
  CHECK(seen == 2 * config.block_count + 2);
  request.moments = Moments::kOutputGradients;
  CHECK_THROWS_AS(WalkBlocks(PartsOf(checkpoint), windows, request, walk, [](int64_t, int64_t) {}), Error);
}

TEST_CASE("weight gradients agree with finite differences of the plain reference") {
  for (const bool tied : {true, false}) {
    ModelConfig config = TinyConfig();
    config.tied_head = tied;
    config.attention_bias = tied;
    const RandomCheckpoint checkpoint(config, 5);
    const auto windows = Windows(2, 6, config.vocabulary_size);
    const auto values = Collect(checkpoint, windows,
                                {.moments = Moments::kWeightGradients, .model_labels = false, .down = true});
    CHECK(values.size() == 7 * 2);
    for (const char* kind : {"q", "k", "v", "o", "gate", "up", "down"}) {
      for (const int64_t block : {0, 1}) {
        const std::string name = "blocks." + std::to_string(block) + "." + kind;
        const TensorInfo& info = checkpoint.Info(name);
        const int64_t col = 3;
        double expected = 0;
        for (int64_t row = 0; row < info.rows; ++row) {
          for (const TokenIds& window : windows)
            expected += std::pow(Slope(checkpoint, name, row, col, window), 2) / 2;
        }
        const double found = values.at(name + ".weight_gradients")[col].item<double>();
        CAPTURE(name, tied, expected);
        CHECK(found == Approx(expected).epsilon(0.01).margin(1e-6));
      }
    }
  }
}

TEST_CASE("gradient covariances agree with finite differences of the plain reference") {
  const RandomCheckpoint checkpoint(TinyConfig(), 6);
  // Of two tokens only the first is followed by a label, and only its output matters: dL/dW = g x^T.
  const TokenIds window = {4, 17};
  StatisticsRequest request{.moments = Moments::kOutputGradients, .model_labels = false};
  const auto gradients = Collect(checkpoint, {window}, request);
  const auto inputs = Collect(checkpoint, {{4}}, {});
  for (const auto& [name, input] : {std::pair{"blocks.0.v", "blocks.0.qkv"},
                                    {"blocks.1.o", "blocks.1.o"},
                                    {"blocks.1.gate", "blocks.1.gate_up"}}) {
    const at::Tensor g = gradients.at(std::string(name) + ".gradient_covariance");
    const at::Tensor h = inputs.at(std::string(input) + ".covariance");
    const int64_t col = h.diagonal().argmax().item<int64_t>();
    const double x = std::sqrt(h[col][col].item<double>());
    const double scale = g.diagonal().max().item<double>();
    for (const auto& [i, j] : {std::pair<int64_t, int64_t>{0, 0}, {1, 2}, {3, 0}, {2, 2}}) {
      const double expected =
          Slope(checkpoint, name, i, col, window) * Slope(checkpoint, name, j, col, window) / (x * x) / 2;
      CAPTURE(name, i, j, scale);
      CHECK(g[i][j].item<double>() == Approx(expected).epsilon(0.01).margin(0.005 * scale));
    }
  }
}

TEST_CASE("joint factors of one token are its Fisher information, and their traces are that of many") {
  const RandomCheckpoint checkpoint(TinyConfig(), 6);
  // Only the first of two tokens is followed by a label: F = x xᵀ ⊗ g gᵀ of this one, halved.
  StatisticsRequest request{.moments = Moments::kOutputGradients, .model_labels = false};
  const auto gradients = Collect(checkpoint, {{4, 17}}, request);
  request.moments = Moments::kJoint;
  const auto joint = Collect(checkpoint, {{4, 17}}, request);
  const auto inputs = Collect(checkpoint, {{4}}, {});
  for (const auto& [name, input] : {std::pair<std::string, std::string>{"blocks.0.v", "blocks.0.qkv"},
                                    {"blocks.1.gate", "blocks.1.gate_up"}}) {
    const at::Tensor h = joint.at(name + ".joint_input"), g = joint.at(name + ".joint_gradient");
    const at::Tensor found = at::outer(g.select(0, 0), h.select(0, 1));
    const at::Tensor expected = at::outer(gradients.at(name + ".gradient_covariance").select(0, 0),
                                          inputs.at(input + ".covariance").select(0, 1));
    CAPTURE(name);
    CHECK(at::allclose(found, expected, 1e-3, 1e-4 * expected.abs().max().item<double>()));
  }
  // E[|g|^2 |x|^2]: the sum over all weights of the squared gradient of single tokens, here one by one.
  const auto many = Collect(checkpoint, Windows(3, 8, 23), request);
  const double h = many.at("blocks.0.k.joint_input").trace().item<double>();
  CHECK(h == Approx(many.at("blocks.0.k.joint_gradient").trace().item<double>()).epsilon(1e-4));
  CHECK(many.size() == 6 * 2 * 2);
}

TEST_CASE("labels drawn from the model are reproducible and make other gradients than the text's") {
  const RandomCheckpoint checkpoint(TinyConfig(), 7);
  const auto windows = Windows(3, 8, 23);
  StatisticsRequest request{.moments = Moments::kOutputGradients};
  const auto once = Collect(checkpoint, windows, request), again = Collect(checkpoint, windows, request);
  request.model_labels = false;
  const auto text = Collect(checkpoint, windows, request);
  const std::string name = "blocks.0.q.gradient_covariance";
  CHECK(at::allclose(once.at(name), again.at(name), 1e-5, 0));
  CHECK_FALSE(at::allclose(once.at(name), text.at(name), 0.1, 0));
}

TEST_CASE("statistics files give back what was written and refuse what they are not") {
  const testing::TemporaryFolder folder;
  const std::string path = (folder / "statistics.safetensors").string();
  const Json key = {{"moments", "inputs"}};
  const at::Tensor h = at::eye(4) * 3;
  LinearSlot slot;
  slot.name = "blocks.2.k";
  slot.kind = LinearKind::kK;
  slot.block = 2;
  slot.linear = MakeDenseLinear(MakeDenseWeight(at::ones({2, 4})));
  {
    StatisticsWriter writer(path, key, 1);
    writer.Add("blocks.2.qkv.covariance", h);
    writer.Add("blocks.2.qkv.mean_absolute", at::full({4}, NAN));
    CHECK_THROWS_AS(OpenStatistics(path, key), Error);  // not there before Finish
    writer.Finish();
  }
  const auto statistics = OpenStatistics(path, key);
  CHECK(at::equal(statistics->InputCovariance(slot), h));
  CHECK(statistics->About() == key);
  CHECK_THROWS_WITH(statistics->MeanAbsoluteInput(slot), Catch::Matchers::Contains("not finite"));
  CHECK_THROWS_WITH(statistics->OutputCovariance(slot), Catch::Matchers::Contains("missing"));
  CHECK_THROWS_WITH(OpenStatistics(path, {{"moments", "other"}}),
                    Catch::Matchers::Contains("of something else"));
  slot.linear = MakeDenseLinear(MakeDenseWeight(at::ones({2, 5})));
  CHECK_THROWS_WITH(statistics->InputCovariance(slot), Catch::Matchers::Contains("another shape"));
  slot.kind = LinearKind::kHead;
  CHECK_THROWS_WITH(statistics->InputCovariance(slot), Catch::Matchers::Contains("linears of the blocks"));
}

TEST_CASE("a block that does nothing has no influence") {
  const RandomCheckpoint checkpoint(SmallConfig());
  ModelParts parts = PartsOf(checkpoint);
  const LinearReader read = parts.linear;
  // Block 1 passes on what it gets.
  parts.linear = [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
    const bool silent = slot.block == 1 && (slot.kind == LinearKind::kO || slot.kind == LinearKind::kDown);
    return silent ? MakeDenseLinear(MakeZeroWeight(rows, cols)) : read(slot, rows, cols);
  };
  StatisticsRequest request;
  request.moments = Moments::kInfluence;
  std::map<std::string, at::Tensor> values;
  CollectStatistics(
      parts, Windows(3, 20, SmallConfig().vocabulary_size), request,
      [&](const std::string& name, const at::Tensor& tensor) { values.emplace(name, tensor); },
      [](int64_t, int64_t) {});
  const at::Tensor influence = MemoryStatistics(values).Influence();
  REQUIRE(influence.sizes() == at::IntArrayRef({3}));
  CHECK(std::abs(influence[1].item<double>()) < 1e-6);
  CHECK(influence[0].item<double>() > 1e-3);
  CHECK(influence[2].item<double>() > 1e-3);
}

}  // namespace tnb
