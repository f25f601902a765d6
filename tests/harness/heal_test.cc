// Healed methods from the command line to the record and the report.
#include <fstream>
#include <map>

#include "base/files.h"
#include "base/hash.h"
#include "models/engine/artefact.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;
using testing::Sentences;

const std::string kHeal = "heal:data=text.txt,length=16,tokens=256,precision=fp32,lr=0.002";

Outcome Measure(const Program& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--no-base"});
  const Outcome outcome = program.Measure(arguments);
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  return outcome;
}

double Recorded(const Store& store, const PhaseRow& phase, const std::string& name) {
  for (const MetricRow& metric : store.Metrics(phase.data_id)) {
    if (metric.name == name) return metric.value;
  }
  FAIL("no metric " << name);
  return 0;
}

}  // namespace

TEST_CASE("a healed method records its curve and its text, and says when it has no control") {
  const Program program;
  WriteFileAtomically(program / "text.txt", Sentences(80));
  const std::string method = "svd:keep=0.5+" + kHeal + "+int8@all";
  const Outcome outcome = Measure(program, {"--method", method, "--phases", "compress,quality"});
  CHECK_THAT(outcome.output,
             Contains("TRAINED:") && Contains("in 8 steps, 256 tokens") && Contains("no control"));
  {
    const Store store = program.Database();
    const PhaseRow compress = PhaseOf(store, 1, "compress");
    const std::vector<StageRow> stages = store.Stages(compress.data_id);
    REQUIRE(stages.size() == 3);
    const Json& detail = stages[1].detail;
    CHECK(stages[1].seconds > 0);
    CHECK(detail.at("text").at("sha256") == Sha256File(program / "text.txt"));
    CHECK(detail.at("text").at("documents") == 1);
    CHECK(detail.at("curve").at("loss").size() == 8);
    CHECK(detail.at("curve").at("peak_bytes").back() > (1 << 20));
    CHECK(detail.at("control").get<std::string>().starts_with("heal:"));
    // The stage after it worked on every linear of the healed model.
    CHECK(stages[2].detail.at("linears") >= 14);
    const auto artefact = store.Artefact(compress.data_id);
    REQUIRE(artefact);
    const Model model = LoadArtefact(artefact->path);
    CHECK_THAT(model.blocks[1].q.linear->Describe(), Contains("network of 2 cores, int8"));
    // Layers of the last position of each name, and the norms, are the model.
    int64_t bytes = 5 * 32 * 4;
    std::map<std::string, LayerRow> last;
    for (const LayerRow& layer : store.Layers(compress.data_id)) last[layer.name] = layer;
    for (const auto& [name, layer] : last) bytes += layer.stored_bytes;
    CHECK(bytes == model.size().bytes);
  }
  // Nothing of the training is left beside the artefact.
  for (const auto& file : std::filesystem::directory_iterator(program / "artefacts"))
    CHECK_THAT(file.path().string(), !Contains("training"));
  // With the control it says so, and the control is a run of its own that is not compressed.
  const Outcome controlled =
      Measure(program, {"--method", method, "--control", "--phases", "compress,quality"});
  CHECK_THAT(controlled.output, Contains("control: run 2") && Contains("the uncompressed model was trained"));
  const Store store = program.Database();
  CHECK(store.Run(2).method.text.starts_with("heal:"));
  CHECK_THAT(program.Run({"show", "1", "--db", "results.db"}).output,
             Contains("loss ") && Contains("in 8 steps"));
}

TEST_CASE("healing in pieces: compress some blocks, heal, compress the others, heal") {
  const Program program;
  WriteFileAtomically(program / "text.txt", Sentences(80));
  // The second stage with statistics is calibrated on the healed model.
  Measure(program, {"--method",
                    "svd-llm:keep=0.6,data=text.txt,length=16,windows=8@blocks(0)+" + kHeal +
                        "+svd-llm:keep=0.6,data=text.txt,length=16,windows=8@blocks(1)+" + kHeal,
                    "--phases", "compress"});
  const Store store = program.Database();
  const std::vector<StageRow> stages = store.Stages(PhaseOf(store, 1, "compress").data_id);
  REQUIRE(stages.size() == 4);
  CHECK(stages[0].detail.at("linears") == 7);
  CHECK(stages[2].detail.at("linears") == 7);
  CHECK(stages[1].detail.at("curve").at("loss").size() == 8);
  CHECK(stages[3].detail.at("curve").at("loss").size() == 8);
  CHECK(stages[0].detail.at("statistics")[0].at("text_sha256") ==
        stages[2].detail.at("statistics")[0].at("text_sha256"));
  CHECK(stages[0].detail.at("statistics")[0] != stages[2].detail.at("statistics")[0]);
}

TEST_CASE("healing block by block, then as a whole, is recorded and drawn") {
  const Program program;
  WriteFileAtomically(program / "text.txt", Sentences(80));
  Measure(program, {"--method", "svd:keep=0.5+" + kHeal + ",scope=block+" + kHeal + ",hidden=0.5",
                    "--control", "--phases", "compress,quality"});
  const Store store = program.Database();
  int64_t run = 0;
  for (const RunView& view : store.Runs({})) run = view.method.text.starts_with("svd") ? view.run.id : run;
  REQUIRE(run > 0);
  const std::vector<StageRow> stages = store.Stages(PhaseOf(store, run, "compress").data_id);
  REQUIRE(stages.size() == 3);
  const Json& blocks = stages[1].detail.at("blocks");
  CHECK(blocks.size() == 2);
  CHECK(blocks[1].at("curve").at("loss").size() == 8);
  CHECK(blocks[1].at("curve").at("peak_bytes").back() > (1 << 20));
  CHECK(stages[2].detail.at("curve").at("hidden").front() > 0);
  for (const auto& file : std::filesystem::directory_iterator(program / "artefacts"))
    CHECK_THAT(file.path().string(), !Contains("training"));
  const auto report = [&](const std::string& format) {
    return program.Run({"report", "--db", "results.db", "--format", format}).output;
  };
  CHECK_THAT(report("text"),
             Contains("in 2 blocks, 8 steps and 256 tokens each") && Contains("hidden states "));
  CHECK_THAT(report("html"), Contains("Loss while healing") && Contains("control (uncompressed model)") &&
                                 Contains("Healing block by block"));
}

TEST_CASE("adapters are recorded with their bytes, trained alone and compared with other trainings") {
  const Program program;
  WriteFileAtomically(program / "text.txt", Sentences(80));
  const Outcome outcome = Measure(program, {"--method", "int4:group=32+" + kHeal + ",lora=2@attn," + kHeal,
                                            "--phases", "compress,training"});
  CHECK_THAT(outcome.output, Contains("tokens to loss") && Contains("Training on text.txt"));
  const Store store = program.Database();
  const PhaseRow compress = PhaseOf(store, 1, "compress"), training = PhaseOf(store, 1, "training");
  const auto artefact = store.Artefact(compress.data_id);
  REQUIRE(artefact);
  const Model model = LoadArtefact(artefact->path);
  CHECK_THAT(model.blocks[1].q.linear->Describe(),
             Contains("dense int4") && Contains(" + network of 2 cores, bf16"));
  CHECK(model.blocks[1].q.linear->adapted());
  CHECK_FALSE(model.blocks[1].up.linear->adapted());
  // Rows of the last position of each name, and the norms, are the model.
  int64_t bytes = 5 * 32 * 4, values = 0;
  std::map<std::string, LayerRow> last;
  for (const LayerRow& layer : store.Layers(compress.data_id)) {
    if (last.count(layer.name) > 0) CHECK(last.at(layer.name).stage_position <= layer.stage_position);
    last[layer.name] = layer;
  }
  for (const auto& [name, layer] : last) bytes += layer.stored_bytes;
  CHECK(bytes == model.size().bytes);
  CHECK(last.at("blocks.0.q").stage_position == 1);
  CHECK(last.at("blocks.0.q").relative_error.value() > 0);
  CHECK(last.at("blocks.0.q").relative_error.value() < 0.5);
  for (const LinearSlot* slot : model.Slots())
    if (slot->linear->adapted()) values += 2 * (slot->linear->out_features() + slot->linear->in_features());
  // What has no gradient costs none.
  CHECK(Recorded(store, training, "trained_parameters") == static_cast<double>(values));
  CHECK(Recorded(store, training, "gradient_bytes") == static_cast<double>(4 * values));
  CHECK(Recorded(store, training, "optimizer_bytes") == static_cast<double>(8 * values));
  CHECK(Recorded(store, training, "all_reduce_bytes") == static_cast<double>(4 * values));
  CHECK(Recorded(store, training, "step_ms") > 0);
  CHECK(Recorded(store, PhaseOf(store, 2, "training"), "trained_parameters") > static_cast<double>(values));
  CHECK_THAT(program.Run({"report", "--loss", "1e-6", "--db", "results.db"}).output, Contains("not reached"));
  // An adapter beside linears that no stage before touched.
  Measure(program, {"--method", kHeal + ",lora=2@q/embed+kv-int8", "--phases", "compress"});
  last.clear();
  bytes = 5 * 32 * 4;
  const PhaseRow plain = PhaseOf(program.Database(), 3, "compress");
  for (const LayerRow& layer : program.Database().Layers(plain.data_id)) last[layer.name] = layer;
  for (const auto& [name, layer] : last) bytes += layer.stored_bytes;
  const auto sum = program.Database().Artefact(plain.data_id);
  REQUIRE(sum);
  CHECK(bytes == LoadArtefact(sum->path).size().bytes);
}

TEST_CASE("items that stand in the text are found, whatever the method did with it") {
  const Program program;
  // The items of the task have seven words each; one gets more and is copied into the text.
  const std::string question =
      "What would one do with five small houses and a blue door beside the old river in spring?";
  std::ifstream input(program / "task.jsonl");
  std::string line, lines;
  for (int i = 0; std::getline(input, line); ++i) {
    Json item = Json::parse(line);
    if (i == 3) item["question"] = question;
    if (i == 5)
      item["question"] = "Which of these was never told to anybody who lived in the green house by the sea?";
    lines += item.dump() + "\n";
  }
  WriteFileAtomically(program / "task.jsonl", lines);
  WriteFileAtomically(program / "text.txt", Sentences(40) + question + " " + Sentences(40));
  Measure(program, {"--method", "svd:keep=0.5+" + kHeal, "--phases", "compress,quality"});
  const Store store = program.Database();
  const PhaseRow quality = PhaseOf(store, 1, "quality");
  bool found = false;
  for (const MetricRow& metric : store.Metrics(quality.data_id)) {
    if (metric.name != "trained_overlap") continue;
    found = true;
    CHECK(metric.task == "tiny");
    CHECK(metric.n == 2);  // the others are too short to tell
    CHECK(metric.value == 0.5);
    CHECK_FALSE(metric.main);
  }
  CHECK(found);
  std::string warning;
  for (const LogRow& log : store.Logs(1)) warning += log.level == "warning" ? log.text : "";
  CHECK_THAT(warning,
             Contains("1 of 2 documents share 13 words") && Contains("text.txt") && Contains("task.jsonl:4"));
}

TEST_CASE("a healing that cannot be is an error in one line") {
  const Program program;
  WriteFileAtomically(program / "text.txt", Sentences(80));
  const Outcome rank = program.Measure({"--method", kHeal + ",lora=40", "--phases", "compress", "--no-base"});
  CHECK(rank.exit_code == 1);
  CHECK_THAT(rank.errors, Contains("impossible rank") && Contains("1 to "));
  const Outcome longer =
      program.Measure({"--method", "svd+heal:data=text.txt,length=300", "--phases", "compress", "--no-base"});
  CHECK(longer.exit_code == 1);
  CHECK_THAT(longer.errors, Contains("longer than the model's context"));
  const Outcome random = program.Measure(
      {"--method", "svd+heal:data=text.txt", "--weights", "random", "--phases", "compress", "--no-base"});
  CHECK(random.exit_code == 1);
  CHECK_THAT(random.errors, Contains("needs a model with a tokenizer"));
}

}  // namespace tnb
