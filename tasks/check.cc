#include "tasks/check.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "tasks/family.h"
#include "tasks/sources.h"

namespace tnb {
namespace {

constexpr size_t kFirstDocuments = 20;  // whose fields are looked up one by one
constexpr size_t kMostProblems = 50;

class Checker {
 public:
  // `name`: of a task of a family.
  Checker(LocatedJson json, std::string name, const TaskOptions& options)
      : json_(std::move(json)), name_(std::move(name)), options_(options) {}

  TaskCheck Run() {
    WalkPatterns("", json_.root());
    for (const char* field : {"/preamble", "/prompt", "/target"}) CheckTemplate(field);
    if (json_.Has("/choices") && json_.root().at("choices").is_array()) {
      for (size_t i = 0; i < json_.root().at("choices").size(); ++i)
        CheckTemplate("/choices/" + std::to_string(i));
    }
    const std::optional<TaskSpec> spec = ReadSpec();
    if (spec && check_.problems.empty()) CheckData(*spec);
    return std::move(check_);
  }

 private:
  void Add(const std::string& problem) {
    std::vector<std::string>& problems = check_.problems;
    if (problems.size() < kMostProblems &&
        std::find(problems.begin(), problems.end(), problem) == problems.end()) {
      problems.push_back(problem);
    }
  }

  template <typename Call>
  void Try(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      Add(error.what());
    }
  }

  void CheckTemplate(const std::string& pointer) {
    if (!json_.Has(pointer)) return;
    const Json& value = json_.root().at(Json::json_pointer(pointer));
    if (value.is_string()) Try([&] { TemplateNames(value.get<std::string>(), json_.Where(pointer)); });
  }

  // Every "regex" and everything in "remove", wherever it stands.
  void WalkPatterns(const std::string& pointer, const Json& value) {
    if (!value.is_structured()) return;
    for (const auto& [key, item] : value.items()) {
      const std::string at = pointer + "/" + key;
      const bool is_pattern = key == "regex" || pointer.ends_with("/remove");
      if (is_pattern && item.is_string()) {
        const std::string where = json_.Where(pointer.ends_with("/remove") ? pointer : at);
        Try([&] { Regex(item.get<std::string>(), where); });
      }
      if (key.find_first_of("~/") == std::string::npos) WalkPatterns(at, item);
    }
  }

  // Reads the file again and again, each time without the field that was wrong, to see what else is.
  std::optional<TaskSpec> ReadSpec() {
    std::set<std::string> removed;
    for (size_t i = 0; i < kMostProblems; ++i) {
      try {
        return ReadTaskSpec(json_, name_);
      } catch (const FieldError& error) {
        // That a field is missing is our doing when it, or what it lies in, was taken out.
        const bool ours = std::any_of(removed.begin(), removed.end(), [&](const std::string& pointer) {
          return error.pointer() == pointer || pointer.starts_with(error.pointer() + "/") ||
                 error.pointer().empty();
        });
        if (!ours || json_.Has(error.pointer())) Add(error.what());
        if (error.pointer().empty() || !json_.Has(error.pointer())) return std::nullopt;
        json_.Remove(error.pointer());
        removed.insert(error.pointer());
      } catch (const Error& error) {
        Add(error.what());
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  // The fields that a task uses, with where the task file says so.
  std::vector<std::pair<std::string, std::string>> UsedFields(const TaskSpec& spec) const {
    std::vector<std::pair<std::string, std::string>> used;
    const auto add_template = [&](const std::string& pointer, const std::string& text) {
      for (const std::string& name : TemplateNames(text, spec.file.string()))
        used.emplace_back(pointer, name);
    };
    add_template("/preamble", spec.preamble);
    add_template("/prompt", spec.prompt);
    add_template("/target", spec.target);
    for (const std::string& text : spec.choice_templates) add_template("/choices", text);
    for (const auto& [pointer, name] : {std::pair{"/contexts", spec.contexts_field},
                                        {"/choices", spec.choices_field},
                                        {"/gold", spec.gold_field},
                                        {"/labels", spec.labels_field},
                                        {"/references", spec.references_field},
                                        {"/original", spec.original_field}}) {
      if (!name.empty()) used.emplace_back(pointer, name);
    }
    return used;
  }

  void CheckFields(const TaskSpec& spec, const Dataset& data) {
    for (const auto& [pointer, name] : UsedFields(spec)) {
      const size_t count = std::min(kFirstDocuments, data.documents.size());
      for (size_t doc = 0; doc < count; ++doc) {
        const std::string where = data.Where(doc);
        try {
          DocumentFields(spec.fields, data.documents[doc], where).Value(name);
        } catch (const Error& error) {
          std::vector<std::string> known;
          for (const auto& [key, value] : data.documents[doc].items()) known.push_back(key);
          for (const auto& [key, value] : spec.fields) known.push_back(key);
          const std::string near = spec.fields.count(name) ? "" : Nearest(name, known);
          ErrorDetail detail = error.detail();
          detail.what = "field '" + pointer.substr(1) + "': " + detail.what;
          detail.where = json_.Where(pointer) + ", " + detail.where;
          if (!near.empty()) detail.hint = "did you mean '" + near + "'?";
          Add(Error(ErrorKind::kData, detail).what());
          break;
        }
      }
    }
  }

  void CheckData(const TaskSpec& spec) {
    std::optional<Task> task;
    try {
      task.emplace(spec, options_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kIo || spec.sources.empty()) {
        Add(error.what());
      } else {
        check_.notes.push_back(std::string("the data was not checked: ") + error.what());
        check_.summary = Summary(spec, nullptr);
      }
      return;
    }
    CheckFields(spec, task->dataset());
    if (!check_.problems.empty()) return;
    // The same fault in many documents is one problem.
    std::map<std::string, std::pair<std::string, size_t>> faults;
    for (const Error& error : task->CheckDocuments()) {
      const auto [at, is_new] = faults.try_emplace(error.detail().what, error.what(), 0);
      ++at->second.second;
    }
    for (const auto& [what, fault] : faults) {
      Add(fault.first +
          (fault.second > 1 ? " (and " + std::to_string(fault.second - 1) + " more documents)" : ""));
    }
    if (!check_.problems.empty()) return;
    std::vector<Item> items;
    Try([&] { items = task->BuildPrompts(); });  // draws examples as well
    if (!check_.problems.empty()) return;
    NoteGold(spec, items);
    check_.summary = Summary(spec, &*task);
  }

  void NoteGold(const TaskSpec& spec, const std::vector<Item>& items) {
    if (spec.gold_field.empty() || items.size() < 2) return;
    const size_t gold = items[0].gold;
    if (std::all_of(items.begin(), items.end(), [&](const Item& item) { return item.gold == gold; })) {
      check_.notes.push_back("the right choice is number " + std::to_string(gold) +
                             " in every document; is 'gold' the right field?");
    }
  }

  std::string Summary(const TaskSpec& spec, const Task* task) const {
    std::string text =
        "task '" + spec.name + "' version " + spec.version + ", form " + ToString(spec.form) + "\n";
    if (task != nullptr) {
      const Dataset& data = task->dataset();
      text += "  evaluates " + std::to_string(task->size()) + " of " + std::to_string(data.documents.size()) +
              " documents of " + data.path + " (sha256 " + data.sha256.substr(0, 12) + ")\n";
    }
    text += "  " + std::to_string(spec.fewshot.count) + " examples before each prompt";
    if (spec.fewshot.count > 0) text += ", drawn by " + spec.fewshot.sampler;
    text += "\n  metrics";
    for (const std::string& metric : spec.metrics) text += " " + metric;
    return text + "; known by " + spec.main_metric + "\n";
  }

  LocatedJson json_;
  std::string name_;
  const TaskOptions& options_;
  TaskCheck check_;
};

}  // namespace

TaskCheck CheckTaskFile(const std::filesystem::path& file, const TaskOptions& options) {
  const std::string text = ReadFile(file);
  try {
    const LocatedJson json(text, file.string());
    const std::optional<TaskFamily> family = ReadFamily(json);
    if (!family) return Checker(json, "", options).Run();
    TaskCheck first;
    for (size_t i = 0; i < family->members.size(); ++i) {
      const std::string& member = family->members[i];
      TaskCheck check = Checker(LocatedJson(TextOfMember(text, member), file.string()),
                                TextOfMember(family->pattern, member), options)
                            .Run();
      if (!check.problems.empty()) return check;
      if (i == 0) first = std::move(check);
    }
    first.summary +=
        "  and so for " + std::to_string(family->members.size() - 1) + " more tasks of this family\n";
    return first;
  } catch (const Error& error) {
    return {{error.what()}, {}, ""};
  }
}

}  // namespace tnb
