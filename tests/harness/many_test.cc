// Commands over many cells and runs: sweep, nightly, claims, rerun, merge, export; on the real program.
#include <sys/wait.h>

#include <fstream>

#include "base/files.h"
#include "harness/command.h"
#include "methods/recipe.h"
#include "models/checkpoint.h"
#include "reports/claims.h"
#include "tasks/family.h"
#include "tasks/metrics.h"
#include "tests/harness/program.h"
#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;
using testing::WriteText;

Json Block(const Json& more) {
  Json block = {{"model", "./model"}, {"tasks", "./task.json"}, {"artefacts", "artefacts"},
                {"threads", 1},       {"repetitions", 2},       {"no-base", true}};
  block.update(more);
  return block;
}

TEST_CASE("shell words survive quoting") {
  for (const std::string word : {"plain", "with space", "it's", "", "re(a|b)", "a\\b", "$HOME", "\"q\""}) {
    const std::vector<std::string> words = ShellWords("tnbench " + ShellQuoted(word) + " x");
    REQUIRE(words.size() == 3);
    CHECK(words[1] == word);
  }
  CHECK(ShellQuoted("svd:keep=0.6+int8@attn/mlp") == "svd:keep=0.6+int8@attn/mlp");
  CHECK_THROWS_WITH(ShellWords("a 'b"), Contains("open quote"));
}

TEST_CASE("a sweep estimates, stops in time and goes on where it stopped") {
  const Program program(4);
  const Json spec = {{"sweep", "tiny"},
                     {"cells",
                      {Block({{"method", {"fp32", "int8"}}, {"phases", {"compress", "quality"}}}),
                       Block({{"method", "int4"}, {"phases", "compress,quality"}, {"limit", 2}})}}};
  WriteText(program / "sweep.json", spec.dump(2));
  const auto sweep = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"sweep", "sweep.json", "--db", "results.db"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program.Run(arguments);
  };
  Outcome outcome = sweep({"--dry-run"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("model int8: compress no earlier run, quality no earlier run") &&
                                 Contains("3 cells, 0 finished already"));
  CHECK_FALSE(std::filesystem::exists(program / "results.db"));

  // A budget that is over after the first cell.
  outcome = sweep({"--max-hours", "1e-7"});
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.errors, Contains("cells remain") && Contains("model int4"));
  const size_t begun = std::filesystem::exists(program / "results.db") ? program.Database().Runs().size() : 0;
  CHECK(begun < 3);

  outcome = sweep({});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("int8") && Contains("int4"));
  CHECK(program.Database().Runs().size() == 3);
  outcome = sweep({"--dry-run", "--json"});
  const Json estimate = ParseJson(outcome.output, "estimate");
  for (const Json& cell : estimate["cells"]) CHECK(cell["run"].is_number());
  outcome = sweep({"--dry-run", "--limit", "3"});  // further options win
  CHECK_THAT(outcome.output, Contains("1 run of this method"));
  outcome = sweep({});
  CHECK_THAT(outcome.errors, Contains("already measured"));
  CHECK(program.Database().Runs().size() == 3);

  // The stored command line can be typed again.
  const std::vector<std::string> words = ShellWords(program.Database().Run(3).run.command);
  CHECK(words.at(1) == "run");
  WriteText(program / "wrong.json", R"({"sweep": "x", "cells": [{"methd": "int8"}]})");
  outcome = program.Run({"sweep", "wrong.json"});
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.errors, Contains("methd") && Contains("block 1"));
  CHECK(program.Run({"sweep"}).exit_code == 2);
}

TEST_CASE("comma lists make a sweep without a file") {
  const Program program(3);
  const Outcome outcome = program.Run({"sweep", "--dry-run", "--method", "int8,svd:keep=0.5", "--model",
                                       "./model", "--tasks", "./task.json", "--phases", "compress"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("3 cells") && Contains("model svd:keep=0.5: compress no earlier run"));
}

TEST_CASE("a run is reproduced from its row") {
  const Program program(5);
  REQUIRE(program
              .Measure({"--method", "svd:keep=0.5+int8", "--no-base", "--limit", "4", "--phases",
                        "compress,quality"})
              .exit_code == 0);
  const Outcome outcome = program.Run({"rerun", "1", "--db", "results.db", "--json"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Json json = ParseJson(outcome.output, "rerun");
  CHECK(json["verdict"] == "reproduced");
  CHECK(json["items"] == 4);
  CHECK(json["artefact_equal"] == true);
  CHECK(json["second"] == 2);
  const Store store = program.Database();
  CHECK(store.Run(2).cell.id == store.Run(1).cell.id);
  CHECK(PhaseOf(store, 2, "compress").data_id == PhaseOf(store, 2, "compress").id);  // really measured
  CHECK(PhaseOf(store, 2, "speed").status == PhaseStatus::kSkipped);

  // Other weights under the same path.
  std::string weights = ReadFile(program / "model/model.safetensors");
  weights[weights.size() - 70] = static_cast<char>(weights[weights.size() - 70] ^ 0x10);
  WriteText(program / "model/model.safetensors", weights);
  const Outcome other = program.Run({"rerun", "1", "--db", "results.db"});
  CHECK(other.exit_code == 1);
  CHECK_THAT(other.output, Contains("different"));
  CHECK(program.Run({"rerun", "9", "--db", "results.db"}).exit_code == 2);
}

TEST_CASE("a run is reproduced with its drift, from the base that it had") {
  const Program program(3);
  REQUIRE(program.Measure({"--method", "int8", "--phases", "compress,drift", "--drift-tokens", "256"})
              .exit_code == 0);
  const auto rerun = [&](const std::string& run) {
    const Outcome outcome = program.Run({"rerun", run, "--db", "results.db", "--json"});
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    const Json json = ParseJson(outcome.output, "rerun");
    CHECK(json["verdict"] == "reproduced");
    return json["second"].get<int64_t>();
  };
  const int64_t second = rerun("2");
  {
    const Store store = program.Database();
    REQUIRE(store.Runs().size() == 3);  // the base was not measured again
    const PhaseRow before = PhaseOf(store, 2, "drift"), after = PhaseOf(store, second, "drift");
    CHECK(after.data_id == after.id);
    CHECK(after.settings == before.settings);
    REQUIRE(store.Metrics(after.id).size() == store.Metrics(before.id).size());
    const std::vector<MetricRow> now = store.Metrics(after.id), then = store.Metrics(before.id);
    int compared = 0;
    for (size_t i = 0; i < now.size(); ++i) {
      if (!now[i].protocol_id) continue;  // memory and energy are other ones every time
      CHECK(now[i].value == then[i].value);
      ++compared;
    }
    CHECK(compared > 0);
    // Without the base's file it is made again.
    std::filesystem::remove(store.Artefact(PhaseOf(store, 1, "compress").data_id)->path);
  }
  rerun("2");
  rerun("1");  // the base itself
}

TEST_CASE("databases are merged and exported from the command line") {
  const Program program(3);
  REQUIRE(program.Measure({"--method", "int8", "--no-base", "--phases", "quality"}).exit_code == 0);
  Outcome outcome = program.Run({"merge", "results.db", "--db", "all.db"});
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("1 runs with 3 items copied"));
  outcome = program.Run({"merge", "results.db", "--db", "all.db"});
  CHECK_THAT(outcome.output, Contains("0 runs") && Contains("1 known already"));
  CHECK(program.Run({"merge", "absent.db", "--db", "all.db"}).exit_code == 1);
  CHECK_THAT(program.Run({"merge", "--db", "all.db"}).output, Contains("all.db: up to date"));
  CHECK(program.Run({"merge", "--db", "absent.db"}).exit_code == 2);
  CHECK_FALSE(std::filesystem::exists(program / "absent.db"));

  outcome = program.Run({"export", "--table", "metrics", "--db", "all.db"});
  REQUIRE(outcome.exit_code == 0);
  std::istringstream lines(outcome.output);
  int rows = 0;
  for (std::string line; std::getline(lines, line); ++rows) {
    const Json row = ParseJson(line, "row");
    CHECK(row["run_id"] == 1);
    CHECK(row.contains("protocol_hash"));
  }
  CHECK(rows > 5);
  outcome = program.Run({"export", "1", "--table", "items", "--format", "csv", "--db", "all.db"});
  CHECK_THAT(outcome.output, Contains("run_id,model,method,task") && Contains("\"[-"));
  CHECK(program.Run({"export", "--table", "songs", "--db", "all.db"}).exit_code == 2);
  CHECK(program.Run({"export", "1", "--db", "all.db"}).exit_code == 2);
}

TEST_CASE("an exported model is read again and is what the artefact was") {
  const Program program(6);
  REQUIRE(program.Measure({"--method", "svd:keep=0.5,int8", "--no-base", "--phases", "quality"}).exit_code ==
          0);
  Outcome outcome =
      program.Run({"export", "1", "--huggingface", "out", "--dtype", "fp32", "--db", "results.db"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("out/config.json") && Contains("out/tokenizer.json"));
  {
    const auto original = OpenCheckpoint(program / "model"), exported = OpenCheckpoint(program / "out");
    CHECK(exported->config() == original->config());
    CHECK(exported->tensors().size() == original->tensors().size());
  }
  // Measured as it is, it answers as the compressed model did, to rounding.
  REQUIRE(program
              .Run({"run", "--model", "./out", "--method", "fp32", "--tasks", "./task.json", "--phases",
                    "quality", "--db", "again.db", "--artefacts", "artefacts", "--threads", "1"})
              .exit_code == 0);
  const Store first = program.Database(), second = Store::OpenReadOnly(program / "again.db");
  const auto a = first.Items(PhaseOf(first, 1, "quality").data_id);
  const auto b = second.Items(PhaseOf(second, 1, "quality").data_id);
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < a[i].loglikelihoods.size(); ++k) {
      // Two products instead of one, in float32, over 2 blocks.
      CHECK(a[i].loglikelihoods[k].get<double>() ==
            Approx(b[i].loglikelihoods[k].get<double>()).margin(1e-3));
    }
  }
  outcome = program.Run({"export", "1", "--huggingface", "out", "--db", "results.db"});
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.errors, Contains("not empty"));
  CHECK(program.Run({"export", "2", "--huggingface", "half", "--dtype", "fp8", "--db", "results.db"})
            .exit_code == 2);
  CHECK(program.Run({"export", "2", "--huggingface", "half", "--dtype", "fp16", "--db", "results.db"})
            .exit_code == 0);
}

TEST_CASE("a suite is measured every night and judged") {
  const Program program(4);
  const Json suite = {
      {"suite", "tiny nights"},
      {"cells", {Block({{"method", "int8"}, {"phases", {"compress", "quality"}}})}},
      {"watch", {{{"series", "compress.stored_bytes"}, {"better", "lower"}, {"floor", 0.01}}}},
      {"limits", {{{"series", "compress.stored_bytes"}, {"most", 1e9}}}}};
  WriteText(program / "suite.json", suite.dump(2));
  const auto night = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"nightly",   "suite.json", "--db",    "n.db",
                                          "--summary", "night.md",   "--junit", "night.xml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return program.Run(arguments);
  };
  Outcome outcome = night({});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("# tiny nights: fine") && Contains("the first night"));
  outcome = night({});
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("the same answers"));
  CHECK(Store::OpenReadOnly(program / "n.db").Runs().size() == 2);  // measured again, not reused
  CHECK(ReadFile(program / "night.md") == outcome.output);
  CHECK_THAT(ReadFile(program / "night.xml"), Contains("<testsuite name=\"tiny nights\""));
  outcome = night({"--no-run"});
  CHECK(outcome.exit_code == 0);
  CHECK(Store::OpenReadOnly(program / "n.db").Runs().size() == 2);

  // A limit is not accepted, and nothing else regressed.
  outcome = night({"--accept", "all", "--reason", "because"});
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.errors, Contains("nothing regressed"));
  CHECK(night({"--accept", "all"}).exit_code == 2);

  // A limit that is not kept; a suite that is not understood.
  Json strict = suite;
  strict["limits"][0]["most"] = 1;
  WriteText(program / "suite.json", strict.dump());
  CHECK(night({"--no-run"}).exit_code == 1);
  strict["limits"][0]["mots"] = 1;
  WriteText(program / "suite.json", strict.dump());
  CHECK_THAT(night({"--no-run"}).errors, Contains("unknown field") && Contains("mots"));
  // Other weights: the nights before do not count.
  std::string weights = ReadFile(program / "model/model.safetensors");
  weights[weights.size() - 70] = static_cast<char>(weights[weights.size() - 70] ^ 0x10);
  WriteText(program / "model/model.safetensors", weights);
  WriteText(program / "suite.json", suite.dump());
  outcome = night({});
  CHECK(outcome.exit_code == 3);
  CHECK_THAT(outcome.output, Contains("weights changed"));
}

TEST_CASE("claims are listed, measured and joined") {
  const Program program(3);
  Outcome outcome = program.Run({"claims"});
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("compactifai") && Contains("contradicts itself"));
  CHECK(program.Run({"claims", "nobody"}).exit_code == 2);
  CHECK(program.Run({"claims", "--run"}).exit_code == 2);
  outcome = program.Run({"claims", "compactifai", "--run", "--model", "./model", "--db", "c.db", "--phases",
                         "compress", "--artefacts", "artefacts", "--threads", "1"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("model model, not llama2-7b") && Contains("not comparable") &&
                                 Contains("contradicts itself: reduction-88"));
  CHECK_THAT(outcome.errors, !Contains("there is no task mmlu"));  // it is a group
  // The record's name of a model is not its path.
  outcome = program.Run({"claims", "compactifai", "--db", "c.db", "--model", "./model/"});
  CHECK_THAT(outcome.output, Contains("model model, not llama2-7b"));
  outcome = program.Run({"claims", "compactifai", "--db", "c.db", "--model", "smollm2-135m"});
  CHECK_THAT(outcome.output, !Contains("model model, not llama2-7b"));
  outcome = program.Run({"claims", "compactifai", "--db", "c.db", "--json"});
  const Json table = ParseJson(outcome.output, "claims");
  CHECK(table["rows"].size() > 50);
}

TEST_CASE("shipped claims name methods that exist") {
  for (const Paper& paper : ReadPapers(std::filesystem::path(TNBENCH_SOURCE_DIR) / "reports/claims")) {
    CHECK_NOTHROW(ParseRecipe(paper.baseline));
    for (const Claim& claim : paper.claims) {
      CAPTURE(paper.name, claim.id, claim.method);
      if (!claim.method.empty()) CHECK_NOTHROW(ParseRecipe(claim.method));
    }
  }
}

TEST_CASE("shipped claims name tasks and metrics that exist") {
  for (const Paper& paper : ReadPapers(std::filesystem::path(TNBENCH_SOURCE_DIR) / "reports/claims")) {
    for (const Claim& claim : paper.claims) {
      if (!claim.measure || claim.measure->phase != "quality") continue;
      CAPTURE(paper.name, claim.id);
      CHECK(FindMetric(claim.measure->metric) != nullptr);
      CHECK_NOTHROW(SelectTasks({claim.measure->task}));
    }
  }
}

TEST_CASE("the shipped sweeps and the example suite are understood") {
  const std::filesystem::path home = TNBENCH_SOURCE_DIR;
  for (const auto& entry : std::filesystem::directory_iterator(home / "recipes/sweeps")) {
    const Json spec = ReadJsonFile(entry.path());
    CAPTURE(entry.path().string());
    CHECK(spec["sweep"] == entry.path().stem().string());
    CHECK(spec["about"].is_string());
  }
  const Program program(3);
  // Tiny model and task instead of the ones named there.
  for (const char* name : {"bits", "rank", "order"}) {
    const Outcome outcome =
        program.Run({"sweep", (home / "recipes/sweeps" / (std::string(name) + ".json")).string(), "--dry-run",
                     "--model", "./model", "--tasks", "./task.json", "--limit", "2"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
  }
}

}  // namespace
}  // namespace tnb
