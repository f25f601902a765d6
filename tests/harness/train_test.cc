// tnbench train: from a recipe to a folder that the rest of the program loads.
#include "base/error.h"
#include "base/files.h"
#include "harness/train_model.h"
#include "models/engine/artefact.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::Program;

Json RecipeJson() {
  return {{"name", "tiny"},
          {"model",
           {{"hidden_size", 32},
            {"intermediate_size", 64},
            {"block_count", 2},
            {"head_count", 2},
            {"context_length", 64}}},
          {"tokenizer", {{"vocabulary", 90}, {"special", {"<|endoftext|>"}}}},
          {"data", {{"files", {"verse.txt"}}, {"held_out", 0.2}}},
          {"training",
           {{"tokens", 40000},
            {"length", 32},
            {"batch", 8},
            {"learning_rate", 0.01},
            {"warmup", 5},
            {"precision", "fp32"}}}};
}

std::string Verse() {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += std::string("the ") +
            std::string(i % 3 == 0   ? "cat"
                        : i % 3 == 1 ? "dog"
                                     : "bird") +
            " has " + std::to_string(i % 7) + " toys. ";
  return text;
}

Json Train(const Program& program, const Json& recipe, const std::string& output) {
  WriteFileAtomically(program / "recipe.json", recipe.dump());
  const Outcome outcome = program.Run(
      {"train", "recipe.json", "--output", output, "--threads", "1", "--json", "--dtype", "fp32"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  return Json::parse(outcome.output);
}

std::string ErrorOf(const Program& program, const Json& recipe) {
  WriteFileAtomically(program / "recipe.json", recipe.dump());
  const Outcome outcome = program.Run({"train", "recipe.json", "--output", "out", "--threads", "1"});
  CHECK(outcome.exit_code != 0);
  CHECK(testing::IsOneLineError(outcome.errors));
  return outcome.errors;
}

}  // namespace

TEST_CASE("a recipe becomes a model that learned its text, twice the same") {
  const Program program;
  WriteFileAtomically(program / "verse.txt", Verse());
  const Json summary = Train(program, RecipeJson(), "first");
  CHECK(summary.at("steps") == 156);  // of 256 tokens
  CHECK(summary.at("parameters") == summary.at("dense_parameters"));
  // The words follow from the words before; which animal comes next and how many toys does, too.
  CHECK(summary.at("held_out_accuracy").get<double>() > 0.9);
  CHECK(summary.at("held_out_loss").get<double>() < 0.5);
  CHECK_FALSE(std::filesystem::exists(program / "first/unfinished.safetensors"));
  const Json again = Train(program, RecipeJson(), "second");
  CHECK(again.at("held_out_loss") == summary.at("held_out_loss"));
  CHECK(OpenCheckpoint(program / "first")->ContentHash() ==
        OpenCheckpoint(program / "second")->ContentHash());
  // The program measures it as any other model.
  const Outcome outcome = program.Run(
      {"run", "--model", "./first", "--method", "fp32", "--tasks", "ppl.llamacpp-64:verse.txt", "--limit",
       "3", "--phases", "compress,quality", "--db", "own.db", "--artefacts", "artefacts", "--threads", "1"});
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 0);
}

TEST_CASE("a form trains its cores and is kept beside the dense weights") {
  const Program program;
  WriteFileAtomically(program / "verse.txt", Verse());
  Json recipe = RecipeJson();
  recipe["form"] = "mpo:chi=4@attn/mlp";
  recipe["training"]["tokens"] = 4000;
  const Json summary = Train(program, recipe, "out");
  CHECK(summary.at("parameters").get<int64_t>() < summary.at("dense_parameters").get<int64_t>() / 2);
  const Model model = LoadArtefact(program / "out/form.safetensors");
  CHECK(model.size().parameters == summary.at("parameters"));
  CHECK(model.blocks[1].gate.linear->factorized());
  CHECK(OpenCheckpoint(program / "out")->config().hidden_size == 32);
}

TEST_CASE("weights before training have the size that keeps activations in range") {
  TrainingRecipe recipe;
  recipe.model = {.hidden_size = 64,
                  .intermediate_size = 128,
                  .block_count = 2,
                  .head_count = 4,
                  .kv_head_count = 4,
                  .head_size = 16,
                  .context_length = 64,
                  .tied_head = true};
  const auto deviation = [](const Linear& linear) { return linear.Rebuild().std().item<double>(); };
  const Model dense = FreshModel(recipe, 300);
  CHECK(deviation(*dense.blocks[0].q.linear) == Approx(1.0 / 8).epsilon(0.05));
  CHECK(deviation(*dense.blocks[1].o.linear) == Approx(1.0 / 16).epsilon(0.05));
  CHECK(deviation(*dense.embedding.linear) == Approx(1.0 / 16).epsilon(0.05));
  recipe.form = "mpo:chi=3";
  const Model form = FreshModel(recipe, 300);
  CHECK(form.blocks[0].q.linear->factorized());
  CHECK(form.blocks[0].q.linear->Rebuild().norm().item<double>() ==
        Approx(dense.blocks[0].q.linear->Rebuild().norm().item<double>()).epsilon(1e-4));
  recipe.seed = 2;
  CHECK_FALSE(
      at::equal(FreshModel(recipe, 300).embedding.linear->Rebuild(), dense.embedding.linear->Rebuild()));
}

TEST_CASE("the small world is drawn, trained on and asked about") {
  const Program program;
  Json recipe = RecipeJson();
  recipe["data"] = {{"world", {{"documents", 400}, {"seed", 3}}}, {"held_out", 0.1}, {"prompt_weight", 0.15}};
  recipe["tokenizer"]["vocabulary"] = 300;
  recipe["model"]["context_length"] = 512;  // articles and 64 tokens of an answer
  recipe["training"]["tokens"] = 4000;
  const Json summary = Train(program, recipe, "small");
  CHECK(summary.at("held_out_loss").get<double>() < 6);  // log(300) = 5.7
  for (const auto& file : std::filesystem::directory_iterator(program / "small"))
    CHECK_FALSE(file.path().filename().string().starts_with("world"));
  const Outcome outcome = program.Run(
      {"run", "--model", "./small", "--method", "fp32", "--tasks",
       "world-facts,world-arithmetic,world-summaries,world-reading,world-endings", "--limit", "4", "--phases",
       "compress,quality", "--db", "own.db", "--artefacts", "artefacts", "--threads", "1"});
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 0);
}

TEST_CASE("every shipped recipe can be read") {
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(TNBENCH_SOURCE_DIR "/recipes")) {
    if (file.path().extension() != ".json") continue;
    CAPTURE(file.path().string());
    const TrainingRecipe recipe = ReadTrainingRecipe(file.path());
    CHECK(recipe.name == file.path().stem());
    CHECK_FALSE(recipe.about.empty());
    CHECK(FreshModel(recipe, recipe.tokenizer.vocabulary > 0 ? recipe.tokenizer.vocabulary : 65)
              .size()
              .parameters > 0);
    ++count;
  }
  CHECK(count >= 5);
}

TEST_CASE("recipes that cannot be say what is wrong") {
  const Program program;
  WriteFileAtomically(program / "verse.txt", Verse());
  Json recipe = RecipeJson();
  recipe["training"]["learning_rat"] = 1;
  CHECK_THAT(ErrorOf(program, recipe), Contains("unknown field 'learning_rat'") && Contains("learning_rate"));
  recipe = RecipeJson();
  recipe["training"]["length"] = 65;
  CHECK_THAT(ErrorOf(program, recipe), Contains("longer than the model's context"));
  recipe = RecipeJson();
  recipe["model"]["kv_head_count"] = 3;
  CHECK_THAT(ErrorOf(program, recipe), !Contains("internal"));
  recipe = RecipeJson();
  recipe["data"]["files"] = {"absent.txt"};
  CHECK_THAT(ErrorOf(program, recipe), Contains("absent.txt"));
  recipe = RecipeJson();
  recipe["form"] = "nonsense";
  CHECK_THAT(ErrorOf(program, recipe), Contains("unknown method"));
}

}  // namespace tnb
