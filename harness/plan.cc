#include "harness/plan.h"

#include "base/hash.h"
#include "harness/calibration.h"
#include "harness/facts.h"

namespace tnb {
namespace {

constexpr int64_t kDefaultSeed = 1234;

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json QualitySettings(const Plan& plan, const PlannedCell& cell) {
  const int64_t context = ScoringContext(cell.subject->config, plan.request.max_length);
  Json tasks = Json::array();
  if (cell.subject->tokenizer != nullptr) {
    for (const auto& task : plan.tasks) {
      tasks.push_back(
          {{"task", task->spec().name},
           {"protocol", ItemProtocolHash(*task, *cell.subject->tokenizer, context, cell.subject->chat.get())},
           {"dataset", task->dataset().sha256},
           {"items", task->most_items()}});
    }
  }
  Json settings = {{"tasks", tasks}, {"context_length", context}};
  if (cell.subject->tokenizer != nullptr && !plan.groups.empty()) {
    settings["groups"] = Json::array();
    for (const TaskGroup& group : plan.groups) {
      settings["groups"].push_back({{"group", group.name}, {"tasks", group.tasks}});
    }
  }
  return settings;
}

// Only what was asked for, so that other cells are what they were.
Json ChatSettings(const RunRequest& request) {
  Json settings = Json::object();
  if (request.apply_chat_template) settings["apply_chat_template"] = true;
  if (request.fewshot_as_multiturn) settings["fewshot_as_multiturn"] = true;
  if (!request.system_instruction.empty()) settings["system_instruction"] = request.system_instruction;
  return settings;
}

}  // namespace

std::string ItemProtocolHash(const Task& task, const Tokenizer& tokenizer, int64_t context_length,
                             const ChatTemplate* chat) {
  return Sha256Hex(ItemProtocol(task.ProtocolJson(tokenizer, context_length, chat)).dump());
}

Json CellSettings(const RunRequest& request) {
  Json settings = {{"tasks", request.tasks},
                   {"limit", OrNull(request.limit)},
                   {"num_fewshot", OrNull(request.num_fewshot)},
                   {"seed", OrNull(request.seed)},
                   {"fewshot_compat", request.fewshot_compat},
                   {"device", request.device},
                   {"threads", request.threads},
                   {"repetitions", request.repetitions},
                   {"weights", request.random_weights ? "random" : "checkpoint"}};
  settings.update(ChatSettings(request));
  if (request.max_length) settings["max_length"] = *request.max_length;  // as above
  return settings;
}

Json PhaseSettings(const Plan& plan, const PlannedCell& cell, const std::string& phase,
                   const std::string& artefact, const std::string& base) {
  const RunRequest& request = plan.request;
  Json settings = {{"version", Version()}, {"threads", request.threads}};
  if (phase == "compress") {
    if (cell.subject->random) settings["seed"] = request.seed.value_or(0);
    for (const CalibrationText& text : CalibrationTexts(cell.method, request.data_dir)) {
      settings["calibration"][text.name] = text.sha256;
    }
    return settings;
  }
  settings["artefact"] = artefact;
  settings["device"] = request.device;
  if (phase == "quality") {
    settings.update(QualitySettings(plan, cell));
    settings.erase("threads");  // changes no answer
  } else if (phase == "drift") {
    settings.update({{"base", base}, {"text", plan.drift_text}, {"tokens", request.drift_tokens}});
    settings.erase("threads");
  } else if (phase == "speed") {
    settings.update({{"prefill", {128, 512}},
                     {"decode", 64},
                     {"decode_prompt", 16},
                     {"repetitions", request.repetitions},
                     {"seed", request.seed.value_or(kDefaultSeed)}});
  } else if (phase == "training") {
    settings.update(
        {{"batch", 2}, {"length", 128}, {"steps", 4}, {"seed", request.seed.value_or(kDefaultSeed)}});
  }
  return settings;
}

Json WorkerSpec(const Plan& plan, const PlannedCell& cell, const std::string& phase, const Json& settings,
                const ArtefactRow& artefact, const ArtefactRow& base) {
  const Subject& subject = *cell.subject;
  Json spec = {{"model",
                {{"name", subject.name},
                 {"path", subject.path},
                 {"hash", subject.hash},
                 {"config", ToJson(subject.config)},
                 {"random", subject.random}}},
               {"method", cell.method},
               {"artefact", {{"path", artefact.path}, {"sha256", artefact.sha256}}},
               {"threads", plan.request.threads},
               {"settings", settings}};
  if (phase == "compress" || phase == "quality") {
    for (const CalibrationText& text : CalibrationTexts(cell.method, plan.request.data_dir)) {
      spec["calibration"].push_back({{"name", text.name}, {"path", text.path}, {"sha256", text.sha256}});
    }
  }
  if (phase == "drift") {
    spec["base"] = {{"path", base.path}, {"sha256", base.sha256}};
    spec["drift"] = {{"text", plan.request.drift_text.string()},
                     {"data_dir", plan.request.data_dir.string()},
                     {"folder", plan.request.artefacts.string()}};
    spec["force"] = plan.request.force;
  }
  if (phase == "quality") {
    spec["data_dir"] = plan.request.data_dir.string();
    spec["tasks"] = plan.task_names;
    spec["limit"] = OrNull(plan.request.limit);
    spec["num_fewshot"] = OrNull(plan.request.num_fewshot);
    spec["fewshot_seed"] = OrNull(plan.request.seed);
    spec["fewshot_compat"] = plan.request.fewshot_compat;
    spec.update(ChatSettings(plan.request));
  }
  return spec;
}

std::optional<std::string> WhyNotMeasured(const Plan& plan, const PlannedCell& cell,
                                          const std::string& phase) {
  if (phase == "drift" && plan.base.empty()) return "there is no base to drift from (--no-base)";
  if (phase != "quality" && phase != "drift") return std::nullopt;
  if (cell.subject->random) return "random weights have no accuracy";
  if (cell.subject->tokenizer == nullptr) return "the model comes without a tokenizer";
  return std::nullopt;
}

std::filesystem::path ArtefactPath(const Plan& plan, const PlannedCell& cell) {
  // Another text under the same name makes another artefact.
  std::string identity = cell.method;
  for (const CalibrationText& text : CalibrationTexts(cell.method, plan.request.data_dir)) {
    identity += " " + text.sha256;
  }
  return plan.request.artefacts /
         (cell.subject->hash.substr(0, 16) + "-" + Sha256Hex(identity).substr(0, 16) + ".safetensors");
}

}  // namespace tnb
