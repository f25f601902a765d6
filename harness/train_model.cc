#include "harness/train_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <boost/process.hpp>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/home.h"
#include "datasets/locate.h"
#include "datasets/reader.h"
#include "harness/export_huggingface.h"
#include "harness/memory.h"
#include "harness/training_text.h"
#include "methods/recipe.h"
#include "models/engine/artefact.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;
namespace bp = boost::process;

struct Texts {
  std::vector<TrainingDocument> train, held_out;
  Json files = Json::array();
};

// Documents of the small world, drawn by its generator; kept until the training has ended.
fs::path DrawWorld(const TrainingRecipe& recipe, const fs::path& directory) {
  const std::string documents = std::to_string(recipe.world_documents),
                    seed = std::to_string(recipe.world_seed);
  const fs::path path = directory / ("world-" + documents + "-" + seed + ".jsonl");
  if (fs::exists(path)) return path;
  const fs::path part = path.string() + ".part";
  const std::string script = (HomeFolder() / "datasets/world/generate.py").string();
  std::error_code failure;
  bp::child child(
      bp::search_path("python3"),
      bp::args = std::vector<std::string>{"-B", script, "train", "--documents", documents, "--seed", seed},
      bp::std_out > part.string(), failure);
  if (!failure) child.wait(failure);
  if (failure || child.exit_code() != 0) {
    throw Error(ErrorKind::kIo,
                {"cannot draw the documents of the small world", "",
                 failure ? failure.message() : std::string("exit code ") + std::to_string(child.exit_code()),
                 script, std::string("it needs python3, and room for ") + documents + " documents"});
  }
  fs::rename(part, path);
  return path;
}

std::vector<fs::path> Locate(const TrainingRecipe& recipe, const fs::path& beside, const fs::path& data_dir) {
  std::vector<fs::path> folders, paths;
  for (const fs::path& folder : {data_dir, beside, FetchedDataFolder(), HomeFolder()}) {
    if (!folder.empty()) folders.push_back(folder);
  }
  for (const std::string& file : recipe.files)
    paths.push_back(LocateFile({file}, folders, "text to train on", "--data-dir names its folder"));
  return paths;
}

Json MakeTokenizer(const TrainingRecipe& recipe, const std::vector<fs::path>& paths) {
  std::vector<std::string> texts;
  for (const fs::path& path : paths) {
    for (const Json& document : ReadDataset(path).documents)
      ForEachText(document, [&](const std::string& text) { texts.push_back(text); });
  }
  return TrainByteLevelTokenizer(texts, recipe.tokenizer);
}

// The last part of a list of documents, or of a single text, is held out.
void Divide(std::vector<TrainingDocument> documents, double held_out, Texts& texts) {
  if (documents.size() == 1 && documents[0].weights.empty()) {
    const TokenIds& tokens = documents[0].tokens;
    const auto cut = static_cast<std::ptrdiff_t>((1 - held_out) * static_cast<double>(tokens.size()));
    texts.train.push_back({TokenIds(tokens.begin(), tokens.begin() + cut), {}});
    texts.held_out.push_back({TokenIds(tokens.begin() + cut, tokens.end()), {}});
    return;
  }
  const auto cut = static_cast<size_t>((1 - held_out) * static_cast<double>(documents.size()));
  for (size_t i = 0; i < documents.size(); ++i)
    (i < cut ? texts.train : texts.held_out).push_back(std::move(documents[i]));
}

Texts ReadTexts(const std::vector<fs::path>& paths, const TrainingRecipe& recipe,
                const TokenizerSource& source, const Tokenizer& tokenizer) {
  Texts texts;
  for (const fs::path& path : paths) {
    Divide(ReadTrainingDocuments(path, source, tokenizer, recipe.prompt_weight), recipe.held_out, texts);
    texts.files.push_back({{"file", path.filename().string()}, {"sha256", Sha256File(path)}});
  }
  return texts;
}

std::vector<TrainingBatch> HeldOut(const Texts& texts, const TrainingRecipe& recipe) {
  std::vector<TrainingBatch> batches;
  if (recipe.held_out <= 0) return batches;
  const PackedDocuments packed(texts.held_out, recipe.length, 0);
  // Batches are whole: what would be counted twice is left out.
  const int64_t size = std::min(recipe.batch, packed.sequences());
  for (int64_t i = 0; i < packed.sequences() / size; ++i) batches.push_back(packed.Batch(i, size));
  return batches;
}

}  // namespace

Model FreshModel(const TrainingRecipe& recipe, int64_t vocabulary) {
  ModelConfig config = recipe.model;
  config.vocabulary_size = vocabulary;
  config.Validate(recipe.name);
  uint64_t place = 0;
  const auto norm = [](const std::string&, int64_t size) { return at::ones({size}); };
  const auto fill = [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
    auto generator =
        at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(recipe.seed) * 1000003 + place++);
    double deviation = 1 / std::sqrt(static_cast<double>(cols));
    if (slot.kind == LinearKind::kO || slot.kind == LinearKind::kDown)
      deviation /= std::sqrt(2.0 * static_cast<double>(config.block_count));
    if (slot.kind == LinearKind::kEmbedding) deviation /= 2;
    return MakeDenseLinear(MakeDenseWeight(at::empty({rows, cols}).normal_(0, deviation, generator)));
  };
  Model model = BuildModel(config, norm, fill);
  model.source.name = recipe.name;
  if (recipe.form.empty()) return model;
  const Recipe form = ParseRecipe(recipe.form);
  for (LinearSlot* slot : model.Slots()) {
    const double size = slot->linear->Rebuild().norm().item<double>();
    if (ApplyRecipe(form, *slot).empty()) continue;
    Linear& linear = *slot->linear;
    const double ratio = size / linear.Rebuild().norm().item<double>();
    const auto count = static_cast<double>(linear.weight_count());
    for (int64_t i = 0; i < linear.weight_count(); ++i) {
      std::vector<at::Tensor> tensors = linear.weight(i)->TrainableTensors();
      for (at::Tensor& tensor : tensors) tensor.mul_(std::pow(ratio, 1 / count));
      if (!tensors.empty()) linear.ReplaceWeight(i, linear.weight(i)->WithTrained(tensors));
    }
  }
  return model;
}

TrainedModel TrainModel(const TrainingRecipe& recipe, const fs::path& beside, const fs::path& data_dir,
                        const fs::path& directory, const std::string& dtype,
                        const std::function<void(const CurvePoint& point, int64_t steps)>& progress) {
  std::error_code failure;
  fs::create_directories(directory, failure);
  if (failure)
    throw Error(ErrorKind::kIo,
                {"cannot make the folder: " + failure.message(), "", "", directory.string(), ""});
  std::vector<fs::path> paths = Locate(recipe, beside, data_dir);
  if (recipe.world_documents > 0) paths.push_back(DrawWorld(recipe, directory));
  WriteFileAtomically(directory / "tokenizer.json", MakeTokenizer(recipe, paths).dump() + "\n");
  const std::string end = recipe.tokenizer.special.empty() ? "" : recipe.tokenizer.special[0];
  WriteFileAtomically(
      directory / "tokenizer_config.json",
      Json(
          {{"add_bos_token", false}, {"bos_token", nullptr}, {"eos_token", end.empty() ? Json() : Json(end)}})
              .dump(2) +
          "\n");
  const TokenizerSource source = {TokenizerSource::Kind::kHuggingFaceDirectory, directory};
  const std::unique_ptr<Tokenizer> tokenizer = LoadTokenizer(source);
  const Texts texts = ReadTexts(paths, recipe, source, *tokenizer);

  Model model = FreshModel(recipe, tokenizer->vocabulary_size());
  model.source.tokenizer = source;
  const PackedDocuments packed(texts.train, recipe.length, static_cast<uint64_t>(recipe.seed));
  Trainer trainer(model, recipe.training);
  TrainingPlan plan;
  plan.steps = recipe.training.steps;
  plan.batches = [&](int64_t step) { return packed.Batches(step, recipe.accumulate, recipe.batch); };
  plan.checkpoint = directory / "unfinished.safetensors";
  const TrainerOptions& options = recipe.training;
  plan.key = Sha256Hex(
      Json({{"model", ContentHash(model)},
            {"files", texts.files},
            {"tokenizer", tokenizer->ContentHash()},
            {"prompt_weight", recipe.prompt_weight},
            {"shape", {recipe.length, recipe.batch, recipe.accumulate, recipe.seed, recipe.held_out}},
            {"options",
             {options.learning_rate, options.steps, options.warmup, options.last_rate, options.weight_decay,
              options.beta1, options.beta2, options.epsilon, options.clip, options.bf16}}})
          .dump());
  plan.on_step = [&](CurvePoint& point) {
    point.peak_bytes = PeakResidentBytes().value_or(0);
    if (progress) progress(point, plan.steps);
  };
  TrainedModel result;
  result.curve = Train(trainer, plan);
  trainer.Store(model);

  const CurvePoint& last = result.curve.back();
  result.summary = {{"name", recipe.name},
                    {"parameters", model.size().parameters},
                    {"dense_parameters", model.config.ParameterCount()},
                    {"vocabulary", tokenizer->vocabulary_size()},
                    {"steps", plan.steps},
                    {"tokens", last.tokens},
                    {"seconds", last.seconds},
                    {"tokens_per_second", static_cast<double>(last.tokens) / last.seconds},
                    {"peak_bytes", last.peak_bytes},
                    {"loss", last.report.loss},
                    {"files", texts.files}};
  const std::vector<TrainingBatch> held_out = HeldOut(texts, recipe);
  if (!held_out.empty()) {
    const Evaluation evaluation = trainer.Evaluate(held_out);
    result.summary["held_out_loss"] = evaluation.cross_entropy;
    result.summary["held_out_accuracy"] = evaluation.accuracy;
  }
  if (!recipe.form.empty()) {
    result.summary["form"] = recipe.form;
    SaveArtefact(directory / "form.safetensors", model, recipe.form);
  }
  WriteHuggingFace(model, directory, dtype);
  WriteFileAtomically(
      directory / "training.json",
      Json({{"summary", result.summary}, {"curve", CurveToJson(result.curve)}}).dump(1) + "\n");
  std::error_code ignored;
  fs::remove(plan.checkpoint, ignored);
  if (recipe.world_documents > 0) fs::remove(paths.back(), ignored);
  return result;
}

}  // namespace tnb
