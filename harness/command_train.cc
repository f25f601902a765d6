#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/progress.h"
#include "harness/command.h"
#include "harness/train_model.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

struct TrainOptions {
  std::string recipe, output, data_dir, dtype = "bf16";
  std::optional<int64_t> tokens;
  int threads = 0;
  bool json = false;
};

void Print(const Json& summary) {
  const auto line = [&](const char* title, const std::string& text) {
    std::cout << title << ": " << text << "\n";
  };
  const auto number = [&](const char* key, int digits) {
    std::ostringstream text;
    text.precision(digits);
    text << summary.at(key).get<double>();
    return text.str();
  };
  line("parameters",
       summary.at("parameters").dump() + " of " + summary.at("dense_parameters").dump() + " dense");
  line("trained on", summary.at("tokens").dump() + " tokens in " +
                         FormatDuration(summary.at("seconds").get<double>()) + ", " +
                         number("tokens_per_second", 4) + " tokens/s");
  line("loss", number("loss", 4));
  if (!summary.contains("held_out_loss")) return;
  line("held out",
       "loss " + number("held_out_loss", 4) + ", next token right " + number("held_out_accuracy", 4));
}

int Train(const TrainOptions& options) {
  if (options.threads < 0 || options.threads > 1024)
    throw Error(ErrorKind::kUsage,
                {"value out of range", "0 to 1024", std::to_string(options.threads), "--threads", ""});
  SetThreads(options.threads > 0 ? options.threads
                                 : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const std::filesystem::path path = options.recipe;
  TrainingRecipe recipe = ReadTrainingRecipe(path);
  if (options.tokens) {
    const int64_t step = recipe.length * recipe.batch * recipe.accumulate;
    recipe.training.steps = std::max<int64_t>(1, (*options.tokens + step / 2) / step);
    recipe.training.warmup = std::min(recipe.training.warmup, recipe.training.steps / 10);
  }
  const std::filesystem::path output = options.output.empty() ? recipe.name : options.output;
  std::optional<Progress> progress;
  const TrainedModel trained =
      TrainModel(recipe, std::filesystem::absolute(path).parent_path(), options.data_dir, output,
                 options.dtype, [&](const CurvePoint& point, int64_t steps) {
                   if (!progress) progress.emplace(std::string("train ") + recipe.name, steps, "steps");
                   progress->Set(point.step);
                 });
  if (progress) progress->Finish();
  if (options.json) {
    std::cout << trained.summary.dump(2) << "\n";
  } else {
    Print(trained.summary);
    std::cout << "written to " << output.string() << "\n";
  }
  return 0;
}

}  // namespace

std::function<int()> DeclareTrain(OptionList& command) {
  auto options = std::make_shared<TrainOptions>();
  command.Add("recipe", options->recipe, "a JSON file (docs/training.md)").Required();
  command.Add("--output", options->output, "folder to write the model to (default: the recipe's name)");
  command.Add("--data-dir", options->data_dir, "folder of the texts");
  command
      .Add("--tokens", options->tokens, "train on so many instead of the recipe's, with the whole schedule")
      .Positive();
  command.Add("--dtype", options->dtype, "of the weights as written: fp16, bf16 or fp32").ShowDefault();
  command.Add("--threads", options->threads, "0: one a logical core").ShowDefault();
  command.Flag("--json", options->json, "print the summary as JSON");
  return [options] { return Train(*options); };
}

}  // namespace tnb
