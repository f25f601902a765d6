// Generation against Hugging Face transformers 5.23: greedy and beam search, with end-of-generation tokens
// and shortest lengths. beam_golden.py made the answers from a model whose weights are a formula.
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "models/engine/decoder.h"
#include "models/engine/scorer.h"
#include "tests/support/catch.h"

using namespace tnb;

namespace {

double Value(uint32_t tensor, uint32_t index) {
  uint32_t h = index + tensor * 1000003U;
  h ^= h >> 16;
  h *= 0x85EBCA6BU;
  h ^= h >> 13;
  h *= 0xC2B2AE35U;
  h ^= h >> 16;
  return static_cast<double>(h) / 2147483648.0 - 1.0;
}

at::Tensor Matrix(uint32_t tensor, int64_t rows, int64_t cols) {
  at::Tensor out = cols == 1 ? at::empty({rows}, at::kFloat) : at::empty({rows, cols}, at::kFloat);
  const double scale = cols == 1 ? 0.25 : 2.2 / std::sqrt(static_cast<double>(cols));
  float* values = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < rows * cols; ++i) {
    values[i] = static_cast<float>(Value(tensor, static_cast<uint32_t>(i)) * scale + (cols == 1 ? 1.0 : 0.0));
  }
  return out;
}

Model FormulaModel() {
  ModelConfig config;
  config.vocabulary_size = 40;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.block_count = 2;
  config.head_count = 4;
  config.kv_head_count = 2;
  config.head_size = 6;
  config.context_length = 256;
  config.norm_epsilon = 1e-5;
  config.tied_head = true;
  const auto number = [](const std::string& name) -> uint32_t {
    if (name == "embedding") return 1;
    if (name == "final_norm") return 2;
    static const std::map<std::string, uint32_t> parts = {
        {"attention_norm", 0}, {"mlp_norm", 1}, {"q", 2},   {"k", 3}, {"v", 4}, {"o", 5},
        {"gate", 6},           {"up", 7},       {"down", 8}};
    const size_t dot = name.find('.', 7);  // "blocks.N.part"
    return 10 * (static_cast<uint32_t>(std::stoi(name.substr(7, dot - 7))) + 1) +
           parts.at(name.substr(dot + 1));
  };
  return BuildModel(
      config, [&](const std::string& name, int64_t size) { return Matrix(number(name), size, 1); },
      [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
        return MakeDenseLinear(MakeDenseWeight(Matrix(number(slot.name), rows, cols)));
      });
}

// 40 tokens that are letters, with the ends that a test wants.
class LetterTokenizer : public Tokenizer {
 public:
  explicit LetterTokenizer(std::vector<TokenId> ends) : ends_(std::move(ends)) {}
  TokenIds Encode(std::string_view, bool, int64_t*) const override { return {}; }
  std::string Decode(const TokenIds& ids, bool = false) const override {
    std::string text;
    for (const TokenId id : ids) text += static_cast<char>('0' + id);
    return text;
  }
  std::string Piece(TokenId id) const override { return Decode({id}); }
  int64_t vocabulary_size() const override { return 40; }
  TokenId bos() const override { return -1; }
  TokenId eos() const override { return 0; }
  std::vector<TokenId> EndOfGeneration() const override { return ends_; }
  bool adds_bos() const override { return false; }
  std::string ContentHash() const override { return "letters"; }

 private:
  std::vector<TokenId> ends_;
};

std::map<size_t, GenerateResult> Generate(const Decoder& decoder, const std::vector<TokenId>& ends,
                                          const std::vector<GenerateRequest>& requests, int64_t sequences) {
  const auto model =
      MakeDecoderModel(decoder, std::make_shared<LetterTokenizer>(ends), {.sequences = sequences});
  std::map<size_t, GenerateResult> results;
  model->Generate(requests, [&](size_t index, const GenerateResult& result) { results[index] = result; });
  return results;
}

}  // namespace

TEST_CASE("greedy and beam search answer as transformers does") {
  const Model model = FormulaModel();
  const Decoder decoder(model);
  const Json cases =
      ParseJson(ReadFile(TNBENCH_SOURCE_DIR "/tests/models/engine/beam_golden.json"), "beam_golden.json");
  std::map<std::vector<TokenId>, std::vector<GenerateRequest>> requests;
  std::map<std::vector<TokenId>, std::vector<TokenIds>> answers;
  for (const Json& row : cases) {
    const auto ends = row.at("ends").get<std::vector<TokenId>>();
    GenerateRequest request;
    request.prompt = row.at("prompt").get<TokenIds>();
    request.max_new_tokens = row.at("max");
    request.min_new_tokens = row.at("min");
    request.beams = row.at("beams");
    requests[ends].push_back(request);
    answers[ends].push_back(row.at("answer").get<TokenIds>());
  }
  REQUIRE(requests.size() == 2);
  size_t ended = 0, longest = 0;
  for (const auto& [ends, list] : requests) {
    // All requests together, and few at a time: what is searched together changes nothing.
    for (const int64_t sequences : {64, 4}) {
      const auto results = Generate(decoder, ends, list, sequences);
      REQUIRE(results.size() == list.size());
      for (size_t i = 0; i < list.size(); ++i) {
        INFO("ends " << ends.size() << " beams " << list[i].beams << " max " << list[i].max_new_tokens
                     << " min " << list[i].min_new_tokens << " prompt " << list[i].prompt[0]);
        CHECK(results.at(i).tokens == answers[ends][i]);
        const bool eos = results.at(i).finished == "eos";
        (eos ? ended : longest) += 1;
        CHECK(results.at(i).text.size() == results.at(i).tokens.size() - (eos ? 1 : 0));
      }
    }
  }
  CHECK(ended > 40);  // both ways to end are tested
  CHECK(longest > 40);
}

TEST_CASE("beams end at stop strings too, and a search that cannot fit is an error") {
  const Model model = FormulaModel();
  const Decoder decoder(model);
  GenerateRequest request;
  request.prompt = {3, 1, 4};
  request.max_new_tokens = 12;
  request.beams = 4;
  const GenerateResult free = Generate(decoder, {0}, {request}, 64).at(0);
  request.stop = {free.text.substr(3, 1)};
  const GenerateResult stopped = Generate(decoder, {0}, {request}, 64).at(0);
  CHECK(stopped.text.find(request.stop[0]) == std::string::npos);
  request.stop = {};
  request.max_new_tokens = 1000;
  CHECK_THROWS_AS(Generate(decoder, {0}, {request}, 64), Error);
}
