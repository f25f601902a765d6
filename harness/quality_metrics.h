// From the scores of items to the metric messages of a quality phase (see phase.h), for tasks and their
// groups.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "tasks/task.h"

namespace tnb {

using MessageSink = std::function<void(const Json&)>;

// What a group needs of one of its tasks.
struct FinishedTask {
  std::vector<TaskMetric> metrics;
  std::string protocol_hash, shots;
};

// Sends the task's metrics. `scores`: one an item; `protocol`: Task::ProtocolJson.
FinishedTask ReportTask(const Task& task, const Json& protocol, const std::vector<Scores>& scores,
                        const MessageSink& send);
// Sends those of the groups that the settings of the phase name.
void ReportGroups(const Json& settings, const std::map<std::string, FinishedTask>& finished,
                  const MessageSink& send);

}  // namespace tnb
