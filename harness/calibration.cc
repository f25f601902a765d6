#include "harness/calibration.h"

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "datasets/locate.h"
#include "harness/training_text.h"
#include "methods/recipe.h"

namespace tnb {
namespace {

constexpr int kStatisticsVersion = 3;  // raised when the same request may yield other numbers than before

// Everything that can change the numbers. The name of the text cannot.
Json KeyOf(const StatisticsRequest& request, const ModelSource& source, const std::string& rewritten,
           const std::string& text_sha256, const Tokenizer& tokenizer) {
  Json key = {{"statistics_version", kStatisticsVersion},
              {"moments", ToString(request.moments)},
              {"model", source.hash},
              {"text_sha256", text_sha256},
              {"tokenizer", tokenizer.ContentHash()},
              {"windows", request.windows},
              {"length", request.length},
              {"tokens", request.windows * request.length},
              {"down", request.down}};
  if (!rewritten.empty()) key["rewritten"] = rewritten;
  if (request.moments != Moments::kInputs) key["labels"] = request.model_labels ? "model" : "text";
  return key;
}

}  // namespace

CalibrationText FindCalibrationText(const std::string& name, const std::filesystem::path& data_dir) {
  std::vector<std::filesystem::path> folders;
  if (!data_dir.empty()) folders.push_back(data_dir);
  folders.push_back(FetchedDataFolder());
  folders.push_back(std::filesystem::current_path());
  const std::filesystem::path path =
      LocateFile({name}, folders, "calibration file",
                 "give the method data=FILE, any plain text that is like what the model will read, and that "
                 "no task is made of, or profile=FILE, a layer profile");
  return {name, std::filesystem::absolute(path).lexically_normal().string(), Sha256File(path)};
}

std::vector<CalibrationText> CalibrationTexts(const std::string& method,
                                              const std::filesystem::path& data_dir) {
  std::vector<CalibrationText> texts;
  for (const std::string& name : DataNames(ParseRecipe(method))) {
    texts.push_back(FindCalibrationText(name, data_dir));
  }
  return texts;
}

std::vector<CalibrationText> CalibrationTextsOf(const Json& spec) {
  std::vector<CalibrationText> texts;
  for (const Json& text : Optional<Json>(spec, "calibration", Json::array(), "spec")) {
    texts.push_back({Require<std::string>(text, "name", "spec"), Require<std::string>(text, "path", "spec"),
                     Require<std::string>(text, "sha256", "spec")});
  }
  return texts;
}

std::vector<TokenIds> CalibrationWindows(const CalibrationText& text, const Tokenizer& tokenizer,
                                         int64_t count, int64_t length) {
  const TokenIds all = tokenizer.Encode(ReadFile(text.path));
  if (static_cast<int64_t>(all.size()) < count * length) {
    throw Error(ErrorKind::kData,
                {"the calibration text is too short",
                 std::to_string(count) + " windows of " + std::to_string(length) + " tokens",
                 std::to_string(all.size()) + " tokens", text.path, "a longer text, or fewer windows"});
  }
  std::vector<TokenIds> windows;
  for (int64_t i = 0; i < count; ++i) {
    windows.emplace_back(all.begin() + i * length, all.begin() + (i + 1) * length);
  }
  return windows;
}

CalibrationService::CalibrationService(ModelParts parts, ModelSource source, std::string rewritten,
                                       std::vector<CalibrationText> texts, std::filesystem::path folder,
                                       Emitter& emit)
    : parts_(std::move(parts)),
      source_(std::move(source)),
      rewritten_(std::move(rewritten)),
      texts_(std::move(texts)),
      folder_(std::move(folder)),
      emit_(emit) {}

const CalibrationText& CalibrationService::Text(const std::string& name) const {
  for (const CalibrationText& text : texts_) {
    if (text.name != name) continue;
    if (Sha256File(text.path) != text.sha256) {
      throw Error(ErrorKind::kData,
                  {"the calibration text changed while it was being measured", "", "", text.path, ""});
    }
    return text;
  }
  throw Error(ErrorKind::kInternal, "a calibration text was not planned for: " + name);
}

std::string CalibrationService::FileContents(const std::string& name) { return ReadFile(Text(name).path); }

const Tokenizer& CalibrationService::tokenizer() {
  if (source_.random_weights || source_.tokenizer.kind == TokenizerSource::Kind::kNone) {
    throw Error(ErrorKind::kUnsupported,
                {"calibration needs a model with a tokenizer", "", "", source_.name,
                 "a method without calibration takes the same time and memory: svd, mpo"});
  }
  if (!tokenizer_) tokenizer_ = LoadTokenizer(source_.tokenizer);
  return *tokenizer_;
}

CalibrationService CalibrationService::For(ModelParts parts, const std::string& model) const {
  const std::string made = rewritten_ + (rewritten_.empty() ? "" : " ") + model;
  return CalibrationService(std::move(parts), source_, made, texts_, folder_, emit_);
}

TrainingText CalibrationService::Training(const std::string& name) {
  const CalibrationText& text = Text(name);
  TrainingText training;
  training.documents = ReadTrainingDocuments(text.path, source_.tokenizer, tokenizer());
  int64_t tokens = 0;
  for (const TrainingDocument& document : training.documents)
    tokens += static_cast<int64_t>(document.tokens.size());
  training.identity = {{"name", name},
                       {"sha256", text.sha256},
                       {"tokenizer", tokenizer().ContentHash()},
                       {"documents", training.documents.size()},
                       {"tokens", tokens}};
  return training;
}

std::shared_ptr<const Statistics> CalibrationService::Get(const StatisticsRequest& request) {
  const CalibrationText& text = Text(request.data);
  const auto key_of = [&](bool down) {
    StatisticsRequest asked = request;
    asked.down = down;
    return KeyOf(asked, source_, rewritten_, text.sha256, tokenizer());
  };
  const auto file_of = [&](const Json& key) {
    return folder_ / ("statistics-" + Sha256Hex(key.dump()).substr(0, 32) + ".safetensors");
  };
  // Those with the down projections hold the others too.
  for (const bool down : {true, false}) {
    if (!down && request.down) continue;
    const Json key = key_of(down);
    if (!std::filesystem::exists(file_of(key))) continue;
    emit_.Log("info", "statistics of " + text.name + " are there already: " + file_of(key).string());
    return OpenStatistics(file_of(key).string(), key);
  }
  const Json key = key_of(request.down);
  const std::filesystem::path file = file_of(key);
  StatisticsWriter writer(file.string(), key, parts_.config.block_count);
  CollectStatistics(
      parts_, CalibrationWindows(text, tokenizer(), request.windows, request.length), request,
      [&](const std::string& name, const at::Tensor& values) { writer.Add(name, values); },
      [&](int64_t done, int64_t total) {
        emit_.Progress("calibration " + ToString(request.moments), done, total, "blocks");
      });
  writer.Finish();
  return OpenStatistics(file.string(), key);
}

Json CalibrationService::Visit(const StatisticsRequest& request, const Walk& walk) {
  const CalibrationText& text = Text(request.data);
  WalkBlocks(parts_, CalibrationWindows(text, tokenizer(), request.windows, request.length), request, walk,
             [&](int64_t done, int64_t total) { emit_.Progress("block by block", done, total, "linears"); });
  return KeyOf(request, source_, rewritten_, text.sha256, tokenizer());
}

}  // namespace tnb
