// Every task definition under three models whose score is known beforehand: one that knows the answers has
// exactly 100 %, its opposite exactly 0 %, and one that cannot tell answers apart the share of the class it
// falls for.
#include <map>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "tasks/family.h"
#include "tasks/run.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::ByteTokenizer;
using testing::FunctionModel;

namespace {

constexpr int64_t kLimit = 40;

// Documents of our own for tasks without shared data.
const std::map<std::string, std::pair<std::string, std::string>> kMadeUp = {
    {"truthfulqa_mc1",
     {"truthfulqa/validation.jsonl",
      R"({"question": "Do fish vote?", "mc1_targets": {"choices": ["No", "Yes, on Sundays"], "labels": [1, 0]}}
{"question": "Is ice alive?", "mc1_targets": {"choices": ["Yes", "No", "In winter"], "labels": [0, 1, 0]}}
)"}},
    {"truthfulqa_mc2",
     {"truthfulqa/validation.jsonl",
      R"({"question": "Do fish vote?", "mc2_targets": {"choices": ["No", "Never", "Yes"], "labels": [1, 1, 0]}}
{"question": "Is ice alive?", "mc2_targets": {"choices": ["Yes", "No"], "labels": [0, 1]}}
)"}}};

std::optional<Task> Load(const std::string& name, const testing::TemporaryFolder& folder) {
  TaskSpec spec = LoadTaskSpec(name);
  TaskOptions options{.limit = kLimit};
  if (const auto found = kMadeUp.find(name); found != kMadeUp.end()) {
    options.data_dir = folder.path();
    std::filesystem::create_directories((folder / found->second.first).parent_path());
    WriteFileAtomically(folder / found->second.first, found->second.second);
  } else if (const auto shared = testing::SharedData("SOURCES.md")) {
    options.data_dir = shared->parent_path();
  }
  if (!spec.fewshot_fixed && spec.form != TaskForm::kRolling)
    options.num_fewshot = 0;  // nothing to be learned
  try {
    return Task(std::move(spec), options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kIo) throw;
    return std::nullopt;  // no data
  }
}

std::map<std::string, double> Values(const Task& task, LanguageModel& model) {
  std::vector<Scores> scores;  // windows of a text are more items than documents
  RunTask(task, model, [&](const ItemResult& result) { scores.push_back(result.scores); });
  std::map<std::string, double> values;
  for (const TaskMetric& metric : Aggregate(task.spec(), scores)) {
    values[metric.filter == "none" ? metric.name : metric.name + "," + metric.filter] = metric.value;
  }
  return values;
}

// Every metric whose name begins so.
void CheckAll(const std::map<std::string, double>& values, const std::string& prefix, double wanted) {
  for (const auto& [name, value] : values) {
    if (!name.starts_with(prefix)) continue;
    INFO(name);
    CHECK(value == Approx(wanted).epsilon(1e-12));
  }
}

// Texts that every filter of the task reads the right answer from.
std::string RightText(const std::string& task, const Item& item) {
  if (task == "gsm8k_cot" || task == "svamp") return " The answer is " + item.target + ".";
  return " " + item.target;
}

void CheckChoices(const Task& task) {
  const std::vector<Item> items = task.BuildItems(ByteTokenizer(), 1 << 20);
  std::set<TokenIds> right, wrong;
  double first = 0, labeled = 0;
  for (const Item& item : items) {
    size_t labels = 0;
    for (size_t i = 0; i < item.scores.size(); ++i) {
      const bool is_right = item.labels.empty() ? i == item.gold : item.labels[i];
      (is_right ? right : wrong).insert(item.scores[i].tokens);
      labels += is_right;
    }
    first += item.gold == 0;
    labeled += static_cast<double>(labels) / static_cast<double>(item.scores.size());
  }
  // The same question asked twice with other answers would make an oracle impossible.
  for (const TokenIds& tokens : right) REQUIRE(wrong.count(tokens) == 0);
  const auto choosing = [&](double when_right) {
    return FunctionModel([&right, when_right](const ScoreRequest& request) {
      return right.count(request.tokens) ? ScoreResult{when_right, when_right > -1}
                                         : ScoreResult{-1e4, false};
    });
  };
  FunctionModel oracle = choosing(-1e-9), opposite = choosing(-1e9);
  FunctionModel constant([](const ScoreRequest&) { return ScoreResult{-1.0, false}; });
  CheckAll(Values(task, oracle), "", 1);
  CheckAll(Values(task, opposite), "", 0);
  const double share =
      (task.spec().labels_field.empty() ? first : labeled) / static_cast<double>(items.size());
  CHECK(Values(task, constant).begin()->second == Approx(share).epsilon(1e-12));
}

void CheckGenerated(const Task& task) {
  std::map<std::string, std::string> texts;
  for (const Item& item : task.BuildPrompts()) texts[item.prompt] = RightText(task.spec().name, item);
  FunctionModel oracle(nullptr, [&](const std::string& prompt) { return texts.at(prompt); });
  FunctionModel silent(nullptr, [](const std::string&) { return std::string(); });
  FunctionModel constant(nullptr, [](const std::string&) { return std::string(" zzzz"); });
  const bool summarizes = task.spec().form == TaskForm::kSummarize;
  for (const char* name : {summarizes ? "rouge1" : "exact_match", summarizes ? "rougeL" : "exact_match"}) {
    CheckAll(Values(task, oracle), name, 1);
    CheckAll(Values(task, silent), name, 0);
    CheckAll(Values(task, constant), name, 0);
  }
}

void CheckLikelihoods(const Task& task) {
  FunctionModel oracle([](const ScoreRequest&) { return ScoreResult{0.0, true}; });
  FunctionModel opposite([](const ScoreRequest& request) {
    return ScoreResult{-1e3 * static_cast<double>(request.tokens.size()), false};
  });
  for (const auto& [name, value] : Values(task, oracle)) {
    INFO(name);
    CHECK(value == (name.starts_with("bits") ? 0.0 : 1.0));
  }
  for (const auto& [name, value] : Values(task, opposite)) {
    INFO(name);
    CHECK((name == "acc" ? value == 0.0 : value > 100.0));
  }
}

}  // namespace

TEST_CASE("every task: an oracle has 100 %, its opposite 0 %, a constant the share of its class") {
  std::string missing;
  size_t checked = 0;
  for (const std::string& name : ListTasks()) {
    INFO(name);
    testing::TemporaryFolder folder;
    const std::optional<Task> task = Load(name, folder);
    if (!task) {
      missing += " " + name;
      continue;
    }
    ++checked;
    switch (task->spec().form) {
      case TaskForm::kMultipleChoice:
        CheckChoices(*task);
        break;
      case TaskForm::kGenerate:
      case TaskForm::kSummarize:
        CheckGenerated(*task);
        break;
      default:
        CheckLikelihoods(*task);
    }
  }
  CHECK(checked >= 7);  // the sample and the made-up documents need no other data
  if (!missing.empty()) WARN("SKIPPED, no data for:" << missing);
}
