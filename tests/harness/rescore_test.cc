// Stored outputs scored again without the model.
#include "base/files.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;

double MetricOf(const Store& store, int64_t run, const std::string& name,
                const std::string& filter = "none") {
  for (const MetricRow& metric : store.Metrics(PhaseOf(store, run, "quality").data_id)) {
    if (metric.name == name && metric.filter == filter) return metric.value;
  }
  FAIL("no metric " << name << " " << filter);
  return 0;
}

std::string ProtocolOf(const Store& store, int64_t run) {
  for (const MetricRow& row : store.Metrics(PhaseOf(store, run, "quality").data_id)) {
    if (row.protocol_id) return store.Protocol(*row.protocol_id).hash;  // memory and energy have none
  }
  FAIL("no metric with a protocol");
  return "";
}

// The tiny task as one whose answers are written.
Json WriteGenerating(const Program& program) {
  Json task = ReadJsonFile(program / "task.json");
  task["form"] = "generate";
  task.erase("choices");
  task.erase("gold");
  task["target"] = "blue";
  task["generation"] = {{"max_new_tokens", 8}};
  task["metrics"] = {"exact_match", "generated_tokens"};
  task["main"] = "exact_match";
  WriteFileAtomically(program / "task.json", task.dump());
  return task;
}

TEST_CASE("a changed filter gives what measuring again gives, without the model") {
  const Program program;
  Json task = WriteGenerating(program);
  Outcome outcome = program.Measure({"--method", "fp32", "--phases", "quality"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  std::filesystem::remove_all(program / "artefacts");
  std::filesystem::rename(program / "model", program / "elsewhere");

  // The first letter of any text is right.
  task["filters"] = {{{"name", "letter"}, {"regex", "[a-z]"}}, {{"name", "all"}, {"regex", "(?s).*"}}};
  task["main"] = "exact_match,letter";
  task["target"] = "a";
  task["dataset"]["file"] = (program / "task.jsonl").string();
  WriteFileAtomically(program / "changed.json", task.dump());
  outcome = program.Run({"eval", "--rescore", "1", "--task-file", "./changed.json", "--db", "results.db"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  {
    const Store store = program.Database();
    REQUIRE(store.Runs().size() == 2);
    const PhaseRow before = PhaseOf(store, 1, "quality"), after = PhaseOf(store, 2, "quality");
    CHECK(after.reason == "rescored from run 1");
    CHECK(after.settings["rescored_from"] == store.Run(1).run.uuid);
    CHECK(store.Run(2).run.message == "rescored from run 1");
    CHECK(store.Run(2).machine.id == store.Run(1).machine.id);
    CHECK(ProtocolOf(store, 1) != ProtocolOf(store, 2));
    CHECK(PhaseOf(store, 2, "compress").data_id == PhaseOf(store, 1, "compress").id);
    const auto old_items = store.Items(before.data_id), items = store.Items(after.data_id);
    REQUIRE(items.size() == 12);
    double right = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      CHECK(items[i].text == old_items[i].text);
      CHECK(items[i].origin == store.Run(1).run.uuid);
      const size_t letter = items[i].text.find_first_of("abcdefghijklmnopqrstuvwxyz");
      const double expected = letter != std::string::npos && items[i].text[letter] == 'a' ? 1 : 0;
      CHECK(items[i].scores["exact_match,letter"] == expected);
      right += expected;
    }
    CHECK(MetricOf(store, 2, "exact_match", "letter") == Approx(right / 12));
    CHECK(MetricOf(store, 2, "generated_tokens") == MetricOf(store, 1, "generated_tokens"));
  }

  // Measured again with the changed definition: the same protocol and the same numbers.
  std::filesystem::rename(program / "elsewhere", program / "model");
  std::filesystem::copy_file(program / "changed.json", program / "task.json",
                             std::filesystem::copy_options::overwrite_existing);
  REQUIRE(program.Measure({"--method", "fp32", "--phases", "quality"}).exit_code == 0);
  const Store store = program.Database();
  CHECK(ProtocolOf(store, 3) == ProtocolOf(store, 2));
  CHECK(MetricOf(store, 3, "exact_match", "letter") == MetricOf(store, 2, "exact_match", "letter"));
  CHECK(PhaseOf(store, 3, "quality").data_id == PhaseOf(store, 3, "quality").id);  // measured, not taken over
}

TEST_CASE("what changes the question is refused") {
  const Program program;
  REQUIRE(program.Measure({"--method", "fp32", "--phases", "quality"}).exit_code == 0);
  const Json task = ReadJsonFile(program / "task.json");
  const auto rescore = [&](const Json& changed) {
    WriteFileAtomically(program / "changed.json", changed.dump());
    return program.Run({"eval", "--rescore", "1", "--task-file", "./changed.json", "--db", "results.db"});
  };
  const std::vector<std::pair<std::string, Json>> changes = {
      {"prompt", "{question}"}, {"choices", {"a", "b", "c"}}, {"delimiter", "  "}, {"preamble", "Think."}};
  for (const auto& [field, value] : changes) {
    CAPTURE(field);
    Json changed = task;
    changed[field] = value;
    const Outcome outcome = rescore(changed);
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Contains("'" + field + "'") && Contains("tnbench eval"));
  }
  Json other = task;
  other["name"] = "other";
  CHECK(rescore(other).exit_code == 2);
  // Other documents under the same name.
  std::string lines = ReadFile(program / "task.jsonl");
  lines.replace(lines.find("What is 0"), 9, "What is 1");
  WriteFileAtomically(program / "task.jsonl", lines);
  const Outcome outcome = rescore(task);
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.errors, Contains("the data of task tiny changed"));
  CHECK(program.Run({"eval", "--rescore", "9", "--db", "results.db"}).exit_code == 2);
  CHECK(program.Run({"eval", "--task-file", "x.json", "--db", "results.db"}).exit_code == 2);
  CHECK(program.Database().Runs().size() == 1);
}

TEST_CASE("metrics of choices are made again from log-likelihoods") {
  const Program program;
  REQUIRE(program.Measure({"--method", "fp32", "--phases", "quality"}).exit_code == 0);
  Json task = ReadJsonFile(program / "task.json");
  task["metrics"] = {"acc_bytes", "acc"};
  task["main"] = "acc_bytes";
  WriteFileAtomically(program / "task.json", task.dump());
  const Outcome outcome =
      program.Run({"eval", "--rescore", "1", "--db", "results.db"});  // the file it was given
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Store store = program.Database();
  CHECK(MetricOf(store, 2, "acc") == MetricOf(store, 1, "acc"));
  CHECK(MetricOf(store, 2, "acc_bytes") >= 0);
}

}  // namespace
}  // namespace tnb
