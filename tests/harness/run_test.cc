// tnbench run from the command line to the rows, on a tiny model.
#include <fstream>
#include <map>
#include <utility>

#include "base/hash.h"
#include "reports/cost.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;

double MetricOf(const Store& store, const PhaseRow& phase, const std::string& name,
                const std::string& task = "") {
  for (const MetricRow& metric : store.Metrics(phase.data_id)) {
    if (metric.name == name && metric.task == task && metric.variant.empty()) return metric.value;
  }
  FAIL("no metric " << name);
  return 0;
}

TEST_CASE("a run is measured, reused, and measured again when forced") {
  const Program program;
  const Outcome first = program.Measure({"--method", "int8"});
  INFO(first.errors);
  REQUIRE(first.exit_code == 0);
  CHECK_THAT(first.output, Contains("int8") && Contains("fp32"));
  {
    const Store store = program.Database();
    REQUIRE(store.Runs().size() == 2);
    const RunView base = store.Run(1), compressed = store.Run(2);
    CHECK_THAT(base.method.text, Contains("fp32"));  // the base comes first
    CHECK(base.run.status == RunStatus::kOk);
    CHECK(compressed.run.status == RunStatus::kOk);
    CHECK_THAT(compressed.run.command, Contains("tnbench run") && Contains("--method int8"));
    CHECK(base.machine.facts["cores"].get<int>() >= 1);

    const PhaseRow compress = PhaseOf(store, 1, "compress");
    const double parameters = MetricOf(store, compress, "dense_parameters");
    CHECK(parameters == static_cast<double>(base.model.parameters));
    CHECK(MetricOf(store, compress, "parameters") == parameters);
    CHECK(MetricOf(store, compress, "stored_bytes") == 4 * parameters);
    // The embedding, two fifths of the tiny model, stays fp32.
    CHECK(MetricOf(store, PhaseOf(store, 2, "compress"), "stored_bytes") < 2.5 * parameters);
    const auto artefact = store.Artefact(compress.data_id);
    REQUIRE(artefact.has_value());
    CHECK(Sha256File(artefact->path) == artefact->sha256);
    int64_t stored = 0;  // the norms have no row: 2 a block and the final one, 32 values each
    for (const LayerRow& layer : store.Layers(compress.data_id)) stored += layer.stored_bytes;
    CHECK(stored + 4 * 32 * 5 == static_cast<int64_t>(4 * parameters));

    const PhaseRow quality = PhaseOf(store, 2, "quality");
    CHECK(quality.settings["artefact"] == store.Artefact(PhaseOf(store, 2, "compress").data_id)->sha256);
    const std::vector<ItemRow> items = store.Items(quality.data_id, "tiny");
    REQUIRE(items.size() == 12);
    double correct = 0;
    for (const ItemRow& item : items) correct += item.scores["acc"].get<double>();
    CHECK(MetricOf(store, quality, "acc", "tiny") == Approx(correct / 12));

    const PhaseRow speed = PhaseOf(store, 1, "speed");
    CHECK(speed.peak_bytes.value_or(0) > (1 << 20));
    CHECK(MetricOf(store, speed, "resident_peak") >= MetricOf(store, speed, "resident_settled"));
    // 2 blocks, keys and values of 2 heads of 8 fp32 numbers.
    CHECK(MetricOf(store, compress, "cache_token_bytes") == 2 * 2 * 2 * 8 * 4);
    // Every phase says what the empty program takes, those that hold a model what it takes with it.
    for (const char* name : {"compress", "quality", "drift", "speed", "training"}) {
      CAPTURE(name);
      const PhaseRow phase = PhaseOf(store, 1, name);
      if (phase.status != PhaseStatus::kOk) continue;
      const double empty = MetricOf(store, phase, "resident_empty");
      CHECK(empty > (1 << 20));
      CHECK(MetricOf(store, phase, "proportional_empty") <= empty);
      CHECK(static_cast<double>(phase.peak_bytes.value_or(0)) >= empty);
      if (name != std::string("compress") && name != std::string("drift")) {
        CHECK(MetricOf(store, phase, "resident_settled") >= empty);
      }
    }
    for (const char* name : {"prefill_128", "decode_64", "load_seconds"}) {
      CAPTURE(name);
      CHECK(MetricOf(store, speed, name) > 0);
      int repetitions = 0;
      for (const SampleRow& sample : store.Samples(speed.data_id)) {
        if (sample.benchmark == name) CHECK(sample.repetition == repetitions++);
      }
      CHECK(repetitions == 2);
    }
    CHECK(MetricOf(store, PhaseOf(store, 1, "training"), "step_ms") > 0);
    // Codes do not train, their scales do.
    const double trained = MetricOf(store, PhaseOf(store, 2, "training"), "trained_parameters");
    CHECK(trained > 0);
    CHECK(trained < MetricOf(store, PhaseOf(store, 1, "training"), "trained_parameters"));
  }

  const Outcome again = program.Measure({"--method", "int8"});
  CHECK(again.exit_code == 0);
  CHECK_THAT(again.errors, Contains("already measured (run 1), --force repeats") && Contains("(run 2)"));
  CHECK(again.output == first.output);
  CHECK(program.Database().Runs().size() == 2);

  // Fewer items: only the quality phase is new.
  const Outcome fewer = program.Measure({"--method", "fp32", "--limit", "5"});
  CHECK(fewer.exit_code == 0);
  CHECK_THAT(fewer.errors, Contains("speed: already measured (run 1)"));
  {
    const Store store = program.Database();
    REQUIRE(store.Runs().size() == 3);
    CHECK(store.Items(PhaseOf(store, 3, "quality").data_id).size() == 5);
    CHECK(PhaseOf(store, 3, "speed").data_id == PhaseOf(store, 1, "speed").id);
  }

  const Outcome forced = program.Measure({"--method", "fp32", "--force"});
  CHECK(forced.exit_code == 0);
  const Store store = program.Database();
  REQUIRE(store.Runs().size() == 4);
  for (const PhaseRow& phase : store.Phases(4)) CHECK(phase.data_id == phase.id);
  // The same numbers: nothing in fp32 depends on the day.
  const auto before = store.Items(PhaseOf(store, 1, "quality").data_id);
  const auto after = store.Items(PhaseOf(store, 4, "quality").data_id);
  REQUIRE(before.size() == after.size());
  for (size_t i = 0; i < before.size(); ++i) CHECK(before[i].loglikelihoods == after[i].loglikelihoods);
}

TEST_CASE("pitfall 10: finished work is found by model, method and protocol, never by the prompts alone") {
  const Program program;
  const std::vector<std::string> quality = {"--no-base", "--phases", "quality"};
  const auto measure = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), quality.begin(), quality.end());
    const Outcome outcome = program.Measure(arguments);
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    const Store store = program.Database();
    return PhaseOf(store, store.Runs().back().run.id, "quality");
  };
  int64_t newest = 0;
  const auto is_new = [&](const PhaseRow& phase) {
    return phase.data_id == phase.id && phase.run_id > std::exchange(newest, phase.run_id);
  };
  const PhaseRow first = measure({"--method", "fp32"});
  CHECK(is_new(first));
  CHECK(measure({"--method", "fp32"}).id == first.id);
  CHECK(is_new(measure({"--method", "int8"})));                        // another method
  CHECK(is_new(measure({"--method", "fp32", "--num-fewshot", "2"})));  // another protocol
  CHECK(is_new(measure({"--method", "fp32", "--num-fewshot", "2", "--fewshot-compat", "document"})));
  CHECK(is_new(measure({"--method", "fp32", "--limit", "6"})));
  // Inputs are as long as the model's context unless told otherwise.
  const PhaseRow shorter = measure({"--method", "fp32", "--max-length", "64"});
  CHECK(is_new(shorter));
  CHECK(shorter.settings["context_length"] == 64);
  CHECK(first.settings["context_length"] == program.Database().Run(1).model.config["context_length"]);
  CHECK(measure({"--method", "fp32", "--max-length", "1000000"}).data_id == first.id);  // as without
  // Other weights under the same name and path are another model.
  for (const auto& entry : std::filesystem::directory_iterator(program / "model")) {
    if (entry.path().extension() != ".safetensors") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-4, std::ios::end);
    file.write("\x00\x00\x00\x3f", 4);  // 0.5, where a norm had 1
  }
  CHECK(is_new(measure({"--method", "fp32"})));
  const Store store = program.Database();
  CHECK(store.Run(1).model.hash != store.Runs().back().model.hash);
}

TEST_CASE("a group is run by the name of its file and has metrics of its own") {
  const Program program;
  const Json family = {
      {"name", "sums"},
      {"family", {{"task", "sums_<member>"}, {"groups", {{"low", {"one", "two"}}, {"high", {"three"}}}}}},
      {"version", "1"},
      {"form", "multiple_choice"},
      {"dataset", {{"file", "<member>.jsonl"}, {"split", "test"}}},
      {"prompt", "<member text>: {q} ="},
      {"choices", {"1", "2"}},
      {"gold", "gold"},
      {"metrics", {"acc"}}};
  std::ofstream(program / "sums.json") << family.dump(2);
  for (const auto& [name, items] : {std::pair{"one", 3}, std::pair{"two", 5}, std::pair{"three", 4}}) {
    std::ofstream file(program / (std::string(name) + ".jsonl"));
    for (int i = 0; i < items; ++i) file << Json{{"q", i}, {"gold", i % 2}}.dump() << "\n";
  }
  const Outcome outcome =
      program.Run({"run", "--model", "./model", "--tasks", "./sums.json", "--db", "results.db", "--artefacts",
                   "artefacts", "--threads", "1", "--method", "fp32", "--phases", "quality", "--limit", "4"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Store store = program.Database();
  const PhaseRow quality = PhaseOf(store, 1, "quality");
  double right = 0;
  for (const ItemRow& item : store.Items(quality.data_id)) right += item.scores["acc"].get<double>();
  CHECK(store.Items(quality.data_id).size() == 3 + 4 + 4);  // the limit holds for each member
  CHECK(MetricOf(store, quality, "acc", "sums") == Approx(right / 11));
  std::map<std::string, MetricRow> rows;
  for (const MetricRow& row : store.Metrics(quality.data_id)) {
    if (!row.task.empty()) rows[row.task] = row;  // memory and energy are of no task
  }
  CHECK(rows.size() == 6);
  CHECK(rows.at("sums").n == 11);
  CHECK(rows.at("sums_low").n == 7);
  REQUIRE(rows.at("sums").protocol_id.has_value());
  const ProtocolRow protocol = store.Protocol(*rows.at("sums").protocol_id);
  CHECK(protocol.content["tasks"].size() == 3);
  CHECK(protocol.content["tasks"]["sums_one"] == store.Protocol(*rows.at("sums_one").protocol_id).hash);
  // The report shows the groups, show also their members.
  CHECK_THAT(outcome.output, Contains("sums acc") && Contains("sums_low acc") && !Contains("sums_one"));
  CHECK_THAT(program.Run({"show", "1", "--db", "results.db"}).output,
             Contains("sums_one") && Contains("sums_low"));
}

TEST_CASE("factorized models are timed contracted and rebuilt") {
  const Program program;
  const Outcome outcome =
      program.Measure({"--method", "svd:keep=0.5+int8", "--no-base", "--phases", "speed"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Store store = program.Database();
  CHECK(store.Run(1).run.status == RunStatus::kPartial);
  CHECK(PhaseOf(store, 1, "compress").status == PhaseStatus::kOk);  // needed, so it ran
  CHECK(PhaseOf(store, 1, "quality").status == PhaseStatus::kSkipped);
  CHECK(store.Stages(PhaseOf(store, 1, "compress").data_id).size() == 2);
  std::set<std::string> variants;
  bool shares = false;
  for (const MetricRow& metric : store.Metrics(PhaseOf(store, 1, "speed").data_id)) {
    if (metric.name == "decode_64") variants.insert(metric.variant);
    shares = shares || metric.name == "contracted_share";
  }
  CHECK(variants == std::set<std::string>{"", "contracted", "rebuilt"});
  CHECK(shares);
  // Every kind of linear was timed alone, both ways; what it costs is shown.
  const std::vector<LinearCosts> costs = CostsOf(store, 1);
  REQUIRE(costs.size() == 6);
  for (const LinearCosts& kind : costs) {
    CAPTURE(kind.kind);
    CHECK(kind.linears == 2);
    CHECK(kind.contracted <= 0.5 * kind.dense);  // low rank: keep=0.5 of the parameters and of the arithmetic
    CHECK(!kind.BreakEven());
    CHECK(kind.timed == 1);
    CHECK(kind.contracted_one > 0);
    CHECK(kind.rebuilt_many > 0);
  }
  CHECK_THAT(program.Run({"show", "1", "--db", "results.db"}).output, Contains("cost of factorized linears"));
}

TEST_CASE("random weights have a time and a size but no accuracy") {
  const Program program;
  const Outcome outcome = program.Measure({"--method", "fp32", "--weights", "random"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Store store = program.Database();
  CHECK(PhaseOf(store, 1, "quality").status == PhaseStatus::kNotMeasured);
  CHECK(PhaseOf(store, 1, "speed").status == PhaseStatus::kOk);
  CHECK(store.Items(PhaseOf(store, 1, "quality").data_id).empty());
  CHECK_THAT(outcome.output, Contains("not measured"));
}

TEST_CASE("items are exported one line each, in the documented form") {
  const Program program(5);
  REQUIRE(program.Measure({"--method", "fp32", "--phases", "quality"}).exit_code == 0);
  const Outcome outcome = program.Run({"export", "1", "--items", "--db", "results.db"});
  REQUIRE(outcome.exit_code == 0);
  std::istringstream lines(outcome.output);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json item = ParseJson(line, "item");
    CHECK(item["task"] == "tiny");
    CHECK(item["doc"] == count);
    CHECK(item["prompt_sha256"] == Sha256Hex(item["prompt"].get<std::string>()));
    CHECK(item["loglikelihoods"].size() == 3);
    CHECK(item["greedy"].size() == 3);
    CHECK(item["scores"].contains("acc_norm"));
    CHECK(item["target"].is_string());
    CHECK(item.contains("text"));
  }
  CHECK(count == 5);
  const Outcome show = program.Run({"show", "1", "--json", "--db", "results.db"});
  REQUIRE(show.exit_code == 0);
  CHECK(ParseJson(show.output, "show").is_object());
  CHECK(program.Run({"show", "7", "--db", "results.db"}).exit_code == 2);
  CHECK(program.Run({"report", "--db", "results.db"}).exit_code == 0);
}

}  // namespace
}  // namespace tnb
