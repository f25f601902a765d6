// Real models, compared with what other readers make of them: SHA-256 of tensors as fp32, computed with
// gguf-py 0.19 and numpy from the same files, q and k brought to half-split order.
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "models/checkpoint.h"
#include "models/formats/gguf.h"
#include "models/known.h"
#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

using Digests = std::vector<std::pair<std::string, std::string>>;

void CheckDigests(const Checkpoint& checkpoint, const Digests& digests) {
  for (const auto& [name, digest] : digests) {
    INFO(name);
    const TensorInfo& info = checkpoint.Info(name);
    std::vector<float> values(static_cast<size_t>(info.rows * info.cols));
    checkpoint.Read(name, 0, info.rows, values.data());
    CHECK(Sha256Hex(Bytes(values)) == digest);
  }
}

}  // namespace

TEST_CASE("stories260K") {
  const auto path = SharedData("models/stories260K/stories260K.bin");
  if (!path) return;
  const auto checkpoint = OpenCheckpoint(*path);
  ModelConfig config{"llama", 512, 64, 172, 5, 8, 4, 8, 512};
  config.tied_head = true;
  CHECK(checkpoint->config() == config);
  CHECK(checkpoint->tokenizer().kind == TokenizerSource::Kind::kLlama2c);
  CHECK(checkpoint->tokenizer().path.filename() == "tok512.bin");
  CheckDigests(*checkpoint,
               {{"blocks.0.q", "ff1c6cf9be1df9fe87c52d1981efe447295cdfa58fc61ad2780c86c2bd5e9d14"},
                {"blocks.4.k", "b1d9e55da42c9a09ca928c569c8f4f098fa7dfa6fdf0f9bbbc7f2eba2d7d8870"},
                {"blocks.2.down", "93be7a574985373a37c95888c99d3f129577e5d0958674589f9299b614e35eee"},
                {"blocks.2.up", "dc731655b8fc17bd6276f3d32bdca7de056a2c5c31bb31e283777e26beef9980"},
                {"final_norm", "0e94e5b6ed76295de67218f03110c2ffaba21db46cc8a5ccd716bd8ebaf024f7"}});
}

TEST_CASE("BabyLlama") {
  const auto path = SharedData("models/babyllama105/model5000.bin");
  if (!path) return;
  const auto checkpoint = OpenCheckpoint(*path);
  ModelConfig config{"llama", 105, 128, 352, 5, 8, 4, 16, 256};
  config.tied_head = true;
  CHECK(checkpoint->config() == config);
  CHECK(checkpoint->tokenizer().kind == TokenizerSource::Kind::kSentencePiece);
  CHECK(checkpoint->tokenizer().path.filename() == "tok105.model");
  CheckDigests(*checkpoint,
               {{"blocks.0.q", "4508e4a5cf6bc877d7267ca2ac2152e64d30d9eb8b5b47f033a6f33d08cbe9a7"},
                {"blocks.4.k", "eddbd24739440d3428221c8e0068c3f167dcd552ce63787f790e5cc69a9376cd"},
                {"blocks.2.down", "5deb8e08300af7aae10df7f01bd790c7852d04344863c0a03d1cab30c2dd5869"},
                {"blocks.2.up", "7c3ec5559e6b8710c0450ffcc0f481a5010d7ec94628b1799a7ef477e1068c53"},
                {"final_norm", "aa8dfe4188912b8d62888f819b4043d4c9f8a8392d1622914159cc0600955c35"}});
}

TEST_CASE("a GGUF with a vocabulary only gives its metadata but is no model") {
  const auto path = SharedData("tokenizers/golden/ggml-vocab-llama-spm.gguf");
  if (!path) return;
  const GgufFile file(*path);
  CHECK(file.GetString("tokenizer.ggml.model") == "llama");
  CHECK(file.GetStrings("tokenizer.ggml.tokens").size() == 32000);
  CHECK(file.GetFloats("tokenizer.ggml.scores").size() == 32000);
  CHECK(file.tensors().empty());
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { OpenCheckpoint(*path); }), Contains("vocabulary only"));
}

TEST_CASE("SmolLM2-135M") {
  const auto path = SmolLM2();
  if (!path) return;
  const ResolvedModel resolved = ResolveModel("smollm2-135m");
  const auto checkpoint = OpenCheckpoint(resolved.path);
  CHECK(resolved.path == *path);
  CHECK(checkpoint->config() == FindKnown("smollm2-135m")->config);
  CHECK(checkpoint->ContentHash() == resolved.sha256);
  CHECK(checkpoint->FileBytes() == 98362432);
  CHECK(checkpoint->tokenizer().kind == TokenizerSource::Kind::kGguf);
  int64_t parameters = 0;
  for (const TensorInfo& info : checkpoint->tensors()) {
    std::vector<float> values(static_cast<size_t>(info.rows * info.cols));
    checkpoint->Read(info.name, 0, info.rows, values.data());  // throws for what is not finite
    parameters += info.rows * info.cols;
  }
  CHECK(parameters == 134515008);
  CHECK(checkpoint->Info("embedding").dtype == "Q8_0");
  CheckDigests(*checkpoint,
               {{"embedding", "3fd491c8066dd9dc1a2bf6796701526c82817d95c0ecabacdef3013c2b8bbbaa"},
                {"blocks.0.q", "54b377bbfa2deab945dfdba7fb59e0ca3eb74329358bd1b53b635b3ff37c1a56"},
                {"blocks.29.k", "8e99b2450d5f3d53731f52790cc82f80b04341e533306bcfee6669ffa3c79921"},
                {"blocks.3.v", "c2d8d499cbdf3269e87c7ef9783a87ece7f9c03ff91bbbbceb3e6be7329b4a31"},
                {"blocks.7.down", "9d3af8b67d13c727ae5ffe470464163b9cac42eb494525392bd3e79c8db73880"},
                {"final_norm", "3b87f8e27335e67fc08f159cabfd2d18f205d6c5b225a6f978153552bf01d559"}});
}
