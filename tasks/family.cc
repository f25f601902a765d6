#include "tasks/family.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "datasets/locate.h"
#include "tasks/spec.h"
#include "tasks/text_file.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

constexpr char kMember[] = "<member>", kMemberText[] = "<member text>";

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// Members end up in file names and in JSON texts.
bool IsMemberName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return c == '_' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

std::optional<TaskFamily> ReadFamilyFile(const fs::path& file) {
  return ReadFamily(LocatedJson(ReadFile(file), file.string()));
}

class Selector {
 public:
  void Add(const std::string& name) {
    if (!given_.insert(name).second) {
      throw Error(ErrorKind::kUsage, {"task given twice", "", name, "--tasks", ""});
    }
    if (IsTaskPath(name)) return AddPath(name);
    for (const TaskFamily& family : families_) {
      const auto group = std::find_if(family.groups.begin(), family.groups.end(),
                                      [&](const TaskGroup& candidate) { return candidate.name == name; });
      if (group == family.groups.end()) continue;
      // The whole comes with its parts.
      const auto end = group == family.groups.begin() ? family.groups.end() : group + 1;
      for (auto it = group; it != end; ++it) AddGroup(*it);
      for (const std::string& task : group->tasks) AddTask(task);
      return;
    }
    LoadTaskSpec(name);  // says what is wrong with the name
    AddTask(name);
  }

  TaskSelection Take() { return std::move(selection_); }

 private:
  void AddPath(const std::string& path) {
    const bool names_member = path.find('#') != std::string::npos;
    const std::optional<TaskFamily> family = names_member ? std::nullopt : ReadFamilyFile(path);
    if (!family) return AddTask(path);
    for (const TaskGroup& group : family->groups) AddGroup(group);
    for (const std::string& member : family->members) AddTask(path + "#" + member);
  }

  void AddGroup(const TaskGroup& group) {
    if (groups_.insert(group.name).second) selection_.groups.push_back(group);
  }

  void AddTask(const std::string& task) {
    if (tasks_.insert(task).second) selection_.tasks.push_back(task);
  }

  std::vector<TaskFamily> families_ = ListFamilies();
  std::set<std::string> given_, groups_, tasks_;
  TaskSelection selection_;
};

}  // namespace

std::optional<std::string> TaskFamily::MemberOf(const std::string& task) const {
  for (size_t i = 0; i < members.size(); ++i) {
    if (groups.at(0).tasks.at(i) == task) return members[i];
  }
  return std::nullopt;
}

std::optional<TaskFamily> ReadFamily(const LocatedJson& file) {
  const std::string expected = R"({"task": "name_<member>", "groups": {"part": ["member", ...]}})";
  if (!file.Has("/family")) return std::nullopt;
  file.CheckFields("/family", {"task", "groups"});
  TaskFamily family;
  family.name = file.Get<std::string>("/name", "a name");
  family.pattern = file.Get<std::string>("/family/task", "a name with <member>");
  if (family.pattern.find(kMember) == std::string::npos)
    file.Fail("/family/task", "the tasks would all have the same name", "a name with <member>");
  const Json groups = file.Has("/family/groups") ? file.root().at("family").at("groups") : Json();
  if (!groups.is_object() || groups.empty()) file.Fail("/family/groups", "no members", expected);
  family.groups.push_back({family.name, {}});
  for (const auto& [part, unused] : groups.items()) {
    const std::string at = "/family/groups/" + part;
    if (!IsMemberName(part)) file.Fail("/family/groups", "not usable as a name", "letters, digits, _", part);
    TaskGroup group{family.name + "_" + part, {}};
    for (const std::string& member : file.Get<std::vector<std::string>>(at, "a list of names")) {
      if (!IsMemberName(member)) file.Fail(at, "not usable as a name", "letters, digits, _", member);
      if (std::count(family.members.begin(), family.members.end(), member) != 0)
        file.Fail(at, "member '" + member + "' is given twice");
      family.members.push_back(member);
      group.tasks.push_back(TextOfMember(family.pattern, member));
      family.groups[0].tasks.push_back(group.tasks.back());
    }
    if (group.tasks.empty()) file.Fail(at, "a group without members", "a list of names");
    family.groups.push_back(std::move(group));
  }
  for (const TaskGroup& group : family.groups) {
    if (family.MemberOf(group.name))
      file.Fail("/family", "a task and a group have this name", "", group.name);
  }
  return family;
}

std::string TextOfMember(std::string text, const std::string& member) {
  std::string words = member;
  std::replace(words.begin(), words.end(), '_', ' ');
  ReplaceAll(text, kMember, member);
  ReplaceAll(text, kMemberText, words);
  return text;
}

std::vector<TaskFamily> ListFamilies() {
  std::vector<TaskFamily> families;
  for (const fs::path& file : TaskFiles()) {
    if (std::optional<TaskFamily> family = ReadFamilyFile(file)) families.push_back(std::move(*family));
  }
  return families;
}

bool HasWildcard(const std::string& name) {
  return !IsTaskPath(name) && !IsTextFileTask(name) && name.find_first_of("*?[") != std::string::npos;
}

std::vector<std::string> ExpandTaskNames(const std::vector<std::string>& names) {
  if (std::none_of(names.begin(), names.end(), HasWildcard)) return names;
  const std::vector<std::string> tasks = ListTasks();
  const std::vector<TaskFamily> families = ListFamilies();
  std::vector<std::string> expanded;
  std::set<std::string> taken(names.begin(), names.end());
  for (const std::string& name : names) {
    if (!HasWildcard(name)) {
      expanded.push_back(name);
      continue;
    }
    const auto matches = [&](const std::string& known) {
      return ::fnmatch(name.c_str(), known.c_str(), 0) == 0;
    };
    std::set<std::string> found, parts;
    for (const TaskFamily& family : families) {
      for (const TaskGroup& group : family.groups) {
        if (!matches(group.name) || parts.count(group.name) != 0) continue;
        found.insert(group.name);
        parts.insert(group.tasks.begin(), group.tasks.end());
        if (&group != &family.groups.front()) continue;
        for (const TaskGroup& part : family.groups) parts.insert(part.name);
      }
    }
    for (const std::string& task : tasks) {
      if (matches(task) && parts.count(task) == 0) found.insert(task);
    }
    if (found.empty()) {
      std::vector<std::string> known = tasks;
      for (const TaskFamily& family : families) {
        for (const TaskGroup& group : family.groups) known.push_back(group.name);
      }
      std::string letters = name;
      std::erase_if(letters, [](char c) { return c == '*' || c == '?' || c == '[' || c == ']'; });
      const std::string near = Nearest(letters, known);
      throw Error(ErrorKind::kUsage, {"no task matches '" + name + "'", "", "", "--tasks",
                                      near.empty() ? "tnbench list tasks" : "did you mean '" + near + "'?"});
    }
    for (const std::string& match : found) {
      if (taken.insert(match).second) expanded.push_back(match);
    }
  }
  return expanded;
}

TaskSelection SelectTasks(const std::vector<std::string>& names) {
  Selector selector;
  for (const std::string& name : ExpandTaskNames(names)) selector.Add(name);
  return selector.Take();
}

std::vector<TaskMetric> AggregateGroup(const std::vector<std::vector<TaskMetric>>& tasks) {
  std::vector<TaskMetric> rows;
  if (tasks.empty()) return rows;
  for (const TaskMetric& first : tasks[0]) {
    const MetricInfo* info = FindMetric(first.name);
    if (info == nullptr || info->kind != MetricInfo::Kind::kMean) continue;
    TaskMetric row = first;
    row.value = 0;
    row.n = 0;
    row.se.reset();
    double squares = 0;
    size_t found = 0, with_se = 0;
    for (const std::vector<TaskMetric>& task : tasks) {
      for (const TaskMetric& metric : task) {
        if (metric.name != first.name || metric.filter != first.filter) continue;
        const auto n = static_cast<double>(metric.n);
        ++found;
        row.n += metric.n;
        row.value += n * metric.value;
        row.main = row.main && metric.main;
        if (!metric.se) continue;
        ++with_se;
        squares += (n - 1) * *metric.se * *metric.se * n;
      }
    }
    if (found != tasks.size()) continue;
    const auto n = static_cast<double>(row.n);
    row.value /= n;
    if (with_se == tasks.size()) row.se = std::sqrt(squares / (n - static_cast<double>(tasks.size())) / n);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json GroupProtocol(const std::string& group, const Json& task_protocols) {
  return {{"group", group}, {"aggregation", "items"}, {"tasks", task_protocols}};
}

}  // namespace tnb
