// The decoder against the plain reference, and against itself over every way of cutting the same work.
#include "models/engine/decoder.h"

#include <ATen/ATen.h>

#include <map>

#include "models/engine/artefact.h"
#include "models/engine/ops.h"
#include "models/engine/parallel.h"
#include "models/engine/scorer.h"
#include "tests/models/engine/logits.h"
#include "tests/models/engine/random_checkpoint.h"
#include "tests/models/engine/reference.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::AllLogits;

using testing::RandomCheckpoint;
using testing::SmallConfig;

TokenIds RandomTokens(int64_t count, int64_t vocabulary, unsigned seed) {
  std::mt19937 random(seed);
  TokenIds tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<TokenId>(random() % static_cast<unsigned>(vocabulary)));
  return tokens;
}

void CheckAgainstReference(const Checkpoint& checkpoint, const TokenIds& tokens) {
  const Model model = LoadCheckpointModel(checkpoint, "test");
  const Decoder decoder(model);
  const at::Tensor logits = AllLogits(decoder, tokens);
  const std::vector<testing::Row> reference = testing::ReferenceLogits(checkpoint, tokens);
  double difference = 0, norm = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    for (size_t i = 0; i < reference[t].size(); ++i) {
      const double d = double{logits.const_data_ptr<float>()[t * reference[t].size() + i]} - reference[t][i];
      difference += d * d;
      norm += double{reference[t][i]} * reference[t][i];
    }
  }
  // fp32 rounding through some hundred operations a block; 1e-4 is the promise, 1e-5 is what is seen.
  CHECK(std::sqrt(difference / norm) < 1e-4);
}

}  // namespace

TEST_CASE("logits agree with the plain reference") {
  ModelConfig config = SmallConfig();
  const TokenIds tokens = RandomTokens(70, config.vocabulary_size, 3);
  SECTION("tied head, grouped-query attention") {}
  SECTION("head of its own, biases") {
    config.tied_head = false;
    config.attention_bias = true;
  }
  SECTION("sliding window") { config.sliding_window = 9; }
  SECTION("linear rotary scaling, other base") {
    config.rope.theta = 500000;
    config.rope.scaling = RopeConfig::Scaling::kLinear;
    config.rope.factor = 4;
  }
  SECTION("llama3 rotary scaling") {
    config.rope.scaling = RopeConfig::Scaling::kLlama3;
    config.rope.factor = 8;
    config.rope.original_context_length = 64;
  }
  SECTION("one head a key, head of 40") {
    config.head_count = config.kv_head_count = 3;
    config.head_size = 40;
  }
  CheckAgainstReference(RandomCheckpoint(config), tokens);
}

TEST_CASE("stories260K agrees with the plain reference") {
  const auto path = testing::SharedData("models/stories260K/stories260K.bin");
  if (!path) return;
  const auto checkpoint = OpenCheckpoint(*path);
  CheckAgainstReference(*checkpoint, RandomTokens(40, checkpoint->config().vocabulary_size, 5));
}

TEST_CASE("SmolLM2 agrees with the plain reference") {
  const auto path = testing::SmolLM2();
  if (!path) return;
  const auto checkpoint = OpenCheckpoint(*path);
  CheckAgainstReference(*checkpoint, {3717, 446, 6356, 389, 9226, 352, 30, 198});
}

TEST_CASE("prefill in pieces, decoding and batches give the same bits") {
  ModelConfig config = SmallConfig();
  SECTION("full attention") {}
  SECTION("sliding window") { config.sliding_window = 11; }
  const RandomCheckpoint checkpoint(config);
  const Model model = LoadCheckpointModel(checkpoint, "test");
  const Decoder decoder(model);
  const TokenIds tokens = RandomTokens(75, config.vocabulary_size, 4);
  const at::Tensor whole = AllLogits(decoder, tokens);
  CHECK(at::equal(whole, AllLogits(decoder, tokens, {1, 2, 33, 34, 70})));
  std::vector<size_t> every;
  for (size_t i = 1; i < tokens.size(); ++i) every.push_back(i);
  CHECK(at::equal(whole, AllLogits(decoder, tokens, every)));
  const int threads = Threads();
  SetThreads(1);
  CHECK(at::equal(whole, AllLogits(decoder, tokens)));
  SetThreads(threads);
}

TEST_CASE("operators for other devices agree with the kernels") {
  const at::Tensor q = at::randn({7, 6, 8}), k = at::randn({7, 2, 8}), v = at::randn({7, 2, 8});
  KvCache cache(SmallConfig(), 64);
  const std::vector<int64_t> slots{3, 4, 5, 20, 21, 22, 23};
  cache.Store(0, k, v, slots);
  const std::vector<AttentionRun> runs{{{{3, 3}, {20, 4}}, {0, 1, 2, 3, 4, 5, 6}, 0}};
  for (const int64_t window : {int64_t{0}, int64_t{3}}) {
    const at::Tensor ours = Attention(q, runs, cache.Open(0, runs).keys, cache.Open(0, runs).values, window);
    // The formula, directly.
    const at::Tensor heads_k = k.repeat_interleave(3, 1).transpose(0, 1),
                     heads_v = v.repeat_interleave(3, 1).transpose(0, 1);
    at::Tensor scores = at::bmm(q.transpose(0, 1), heads_k.transpose(1, 2)) / std::sqrt(8.0);
    at::Tensor hidden = at::ones({7, 7}, at::kBool).triu(1);
    if (window > 0) hidden = hidden.logical_or(at::ones({7, 7}, at::kBool).tril(-window));
    const at::Tensor expected = at::bmm(at::softmax(scores.masked_fill(hidden, -INFINITY), -1), heads_v)
                                    .transpose(0, 1)
                                    .reshape({7, 48});
    CHECK(at::allclose(ours, expected, 1e-5, 1e-6));
  }
}

TEST_CASE("scores do not depend on what is scored together") {
  const ModelConfig config = SmallConfig();
  const RandomCheckpoint checkpoint(config);
  const Model model = LoadCheckpointModel(checkpoint, "test");
  const Decoder decoder(model);
  std::vector<ScoreRequest> requests;
  for (unsigned doc = 0; doc < 12; ++doc) {
    const TokenIds context = RandomTokens(5 + doc * 3, config.vocabulary_size, doc / 2);
    for (unsigned choice = 0; choice < 4; ++choice) {
      TokenIds tokens = context;
      for (const TokenId token : RandomTokens(1 + choice, config.vocabulary_size, 100 + choice / 2))
        tokens.push_back(token);
      requests.push_back({tokens, static_cast<int64_t>(choice == 3 ? 1 : context.size())});
    }
  }
  const auto score = [&](int64_t batch, int64_t cache) {
    DecoderModelOptions options;
    options.batch_tokens = batch;
    options.cache_tokens = cache;
    options.context_length = 100;
    const auto language_model = MakeDecoderModel(decoder, nullptr, options);
    std::map<size_t, ScoreResult> results;
    language_model->Score(requests, [&](size_t index, const ScoreResult& result) {
      CHECK(results.emplace(index, result).second);
    });
    REQUIRE(results.size() == requests.size());
    return results;
  };
  const auto together = score(1024, 4096);
  for (const auto& [batch, cache] : {std::pair<int64_t, int64_t>{64, 200}, {7, 120}, {7, 0}}) {
    for (const auto& [index, result] : score(batch, cache)) {
      CHECK(result.log_likelihood == together.at(index).log_likelihood);
      CHECK(result.greedy == together.at(index).greedy);
    }
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const ScoreRequest& request = requests[i];
    const at::Tensor p = at::log_softmax(AllLogits(decoder, request.tokens).to(at::kDouble), 1);
    double expected = 0;
    bool greedy = true;
    for (auto t = static_cast<size_t>(request.first_scored); t < request.tokens.size(); ++t) {
      const at::Tensor row = p[static_cast<int64_t>(t) - 1];
      expected += row[request.tokens[t]].item<double>();
      greedy = greedy && row.argmax().item<int64_t>() == request.tokens[t];
    }
    CHECK(together.at(i).log_likelihood == Approx(expected).epsilon(1e-6));
    CHECK(together.at(i).greedy == greedy);
  }
}

TEST_CASE("an artefact gives the same model back") {
  ModelConfig config = SmallConfig();
  config.attention_bias = true;
  config.tied_head = false;
  const RandomCheckpoint checkpoint(config);
  Model model = LoadCheckpointModel(checkpoint, "test");
  model.source.hash = "abc";
  model.blocks[1].up.linear->ReplaceWeight(
      0, MakeDenseWeight(model.blocks[1].up.linear->Rebuild().to(at::kBFloat16), Activation::kBF16));
  const testing::TemporaryFolder folder;
  SaveArtefact(folder / "a.tnb", model, "bf16@up");
  const Model back = LoadArtefact(folder / "a.tnb");
  CHECK(ReadArtefactInfo(folder / "a.tnb").method == "bf16@up");
  CHECK(back.config == model.config);
  CHECK(back.size().bytes == model.size().bytes);
  const TokenIds tokens = RandomTokens(20, config.vocabulary_size, 9);
  CHECK(at::equal(AllLogits(Decoder(back), tokens), AllLogits(Decoder(model), tokens)));
}

}  // namespace tnb
