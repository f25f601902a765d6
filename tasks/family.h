// Families and groups of tasks. A family is one task file for many tasks that differ in a name only (the 57
// subjects of MMLU); its field "family" lists them:
//
//   "name": "mmlu",
//   "family": {"task": "mmlu_<member>", "groups": {"stem": ["abstract_algebra", ...], "other": [...]}}
//
// In every text of the file <member> stands for the member's name and <member text> for the same with spaces
// instead of underscores. The family is a group ("mmlu"), and so is each of its parts ("mmlu_stem"). A group
// is run by its name and has metrics of its own: the means over all items of its tasks, with the pooled
// standard error of lm-evaluation-harness 0.4 (api/metrics.py).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tasks/located_json.h"
#include "tasks/metrics.h"

namespace tnb {

struct TaskGroup {
  std::string name;
  std::vector<std::string> tasks;  // names, in the order of the task file
};

struct TaskFamily {
  std::string name, pattern;      // "mmlu", "mmlu_<member>"
  std::vector<TaskGroup> groups;  // the family as a whole first, then its parts; tasks are full names
  std::vector<std::string> members;

  // Of the member whose task has this name; nothing when there is none.
  std::optional<std::string> MemberOf(const std::string& task) const;
};

// Nothing for the file of a single task. Errors name file, line and field.
std::optional<TaskFamily> ReadFamily(const LocatedJson& file);
// The text of a task file with <member> and <member text> filled in.
std::string TextOfMember(std::string text, const std::string& member);

// The families in tasks/definitions, by name.
std::vector<TaskFamily> ListFamilies();

// Shell wildcards (* ? [...]) stand for all tasks and groups that match, in alphabetical order, without those
// that are named already or are part of a group that matches. Other names, paths and text files stay as they
// are. Error{kUsage} with the nearest name when nothing matches.
bool HasWildcard(const std::string& name);
std::vector<std::string> ExpandTaskNames(const std::vector<std::string>& names);

// What was asked for: names of tasks and groups, also with wildcards, and paths of task files.
struct TaskSelection {
  std::vector<std::string> tasks;  // as LoadTaskSpec takes them, each once
  std::vector<TaskGroup> groups;   // whose metrics are wanted too
};
// Throws Error{kUsage} for an unknown name (naming the nearest) and for one that is given twice.
TaskSelection SelectTasks(const std::vector<std::string>& names);

// The metrics of a group from those of its tasks: every metric that is a mean and that all tasks have. The
// value is weighted by the tasks' items; se = sqrt(sum((n_i - 1) se_i^2 n_i) / (sum(n_i) - k) / sum(n_i)),
// absent when a task has none.
std::vector<TaskMetric> AggregateGroup(const std::vector<std::vector<TaskMetric>>& tasks);
// The protocol of a group's metrics: those of its tasks, {task: hash}.
Json GroupProtocol(const std::string& group, const Json& task_protocols);

}  // namespace tnb
