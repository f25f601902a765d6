#include "tasks/spec.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/home.h"
#include "datasets/reader.h"
#include "tasks/family.h"
#include "tasks/metrics.h"
#include "tasks/sources.h"
#include "tasks/text_file.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<const char*, TaskForm> kForms[] = {{"multiple_choice", TaskForm::kMultipleChoice},
                                                       {"loglikelihood", TaskForm::kLogLikelihood},
                                                       {"rolling", TaskForm::kRolling},
                                                       {"generate", TaskForm::kGenerate},
                                                       {"summarize", TaskForm::kSummarize}};

std::string Joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string DidYouMean(const std::string& name, const std::vector<std::string>& known) {
  const std::string near = Nearest(name, known);
  return near.empty() ? "" : "did you mean '" + near + "'?";
}

std::vector<DataFile> ReadDataFiles(const LocatedJson& json, const std::string& at) {
  const std::string expected =
      "a file name, {\"file\", \"lines\", \"split\", \"columns\"}, or a list of these";
  if (!json.Has(at)) json.Fail(at, "a field is missing", expected);
  const bool is_list = json.root().at(Json::json_pointer(at)).is_array();
  const size_t count = is_list ? json.root().at(Json::json_pointer(at)).size() : 1;
  if (count == 0) json.Fail(at, "no files", expected);
  std::vector<DataFile> files;
  for (size_t i = 0; i < count; ++i) {
    const std::string place = is_list ? at + "/" + std::to_string(i) : at;
    const Json& value = json.root().at(Json::json_pointer(place));
    DataFile file;
    if (value.is_object()) {
      json.CheckFields(place, {"file", "lines", "split", "columns"});
      file.split = json.Get<std::string>(place + "/split", "a text", "");
      file.file = json.Get<std::string>(place + "/file", "a file name");
      if (value.contains("columns")) {
        file.columns = json.Get<std::vector<std::string>>(place + "/columns", "names of columns");
      }
      if (value.contains("lines")) {
        if (!value.at("lines").is_object())
          json.Fail(place + "/lines", "not an object", "{\"field\": \"file\"}");
        for (const auto& [field, name] : value.at("lines").items()) {
          file.lines[field] = json.Get<std::string>(place + "/lines/" + field, "a file name");
        }
      }
    } else {
      file.file = json.Get<std::string>(place, expected);
    }
    if (file.file.empty()) json.Fail(place, "an empty file name", expected);
    files.push_back(std::move(file));
  }
  return files;
}

std::string ReadFormat(const LocatedJson& json, const std::string& at) {
  const std::string format = json.Get<std::string>(at, "a dataset format", "");
  const std::vector<std::string>& known = DatasetFormats();
  if (!format.empty() && std::find(known.begin(), known.end(), format) == known.end()) {
    json.Fail(at, "no dataset format '" + format + "'", Joined(known), "", DidYouMean(format, known));
  }
  return format;
}

std::string ReadTemplate(const LocatedJson& json, const std::string& at) {
  const std::string text = json.Get<std::string>(at, "a template", "");
  TemplateNames(text, json.Where(at));
  return text;
}

TaskForm ReadForm(const LocatedJson& json) {
  const std::string name = json.Get<std::string>("/form", "the form of the task");
  std::vector<std::string> known;
  for (const auto& [text, form] : kForms) {
    if (name == text) return form;
    known.push_back(text);
  }
  json.Fail("/form", "no form '" + name + "'", Joined(known), "", DidYouMean(name, known));
}

int64_t ReadCount(const LocatedJson& json, const std::string& at, int64_t fallback, int64_t low) {
  const int64_t value = json.Get<int64_t>(at, "an integer", fallback);
  if (value < low || value > 1000000) {
    json.Fail(at, "out of range", std::to_string(low) + " to 1000000", std::to_string(value));
  }
  return value;
}

void ReadFewshot(const LocatedJson& json, TaskSpec& spec) {
  spec.fewshot.exclude_evaluated = true;
  if (!json.Has("/fewshot")) return;
  json.CheckFields("/fewshot",
                   {"count", "file", "format", "sampler", "seed", "exclude_evaluated", "delimiter", "fixed"});
  spec.fewshot.count = static_cast<size_t>(ReadCount(json, "/fewshot/count", 0, 0));
  spec.fewshot.sampler = json.Get<std::string>("/fewshot/sampler", "random or first_n", "random");
  if (spec.fewshot.sampler != "random" && spec.fewshot.sampler != "first_n") {
    json.Fail("/fewshot/sampler", "no such sampler", "random or first_n", spec.fewshot.sampler);
  }
  spec.fewshot.seed = json.Get<int64_t>("/fewshot/seed", "an integer", 1234);
  if (json.Has("/fewshot/file")) spec.fewshot_files = ReadDataFiles(json, "/fewshot/file");
  spec.fewshot_format = ReadFormat(json, "/fewshot/format");
  spec.fewshot.exclude_evaluated =
      json.Get<bool>("/fewshot/exclude_evaluated", "true or false", spec.fewshot_files.empty());
  spec.fewshot_delimiter = json.Get<std::string>("/fewshot/delimiter", "a text", "\n\n");
  spec.fewshot_fixed = json.Get<bool>("/fewshot/fixed", "true or false", false);
}

void ReadAnswers(const LocatedJson& json, TaskSpec& spec) {
  if (json.Has("/generation")) {
    json.CheckFields("/generation",
                     {"max_new_tokens", "min_new_tokens", "stop", "skip_leading_space", "beams"});
    spec.max_new_tokens = ReadCount(json, "/generation/max_new_tokens", 256, 1);
    spec.min_new_tokens = ReadCount(json, "/generation/min_new_tokens", 0, 0);
    if (spec.min_new_tokens > spec.max_new_tokens) {
      json.Fail("/generation/min_new_tokens", "more than max_new_tokens",
                std::to_string(spec.max_new_tokens) + " or fewer", std::to_string(spec.min_new_tokens));
    }
    spec.beams = ReadCount(json, "/generation/beams", 1, 1);
    if (spec.beams > 64) json.Fail("/generation/beams", "out of range", "1 to 64");
    if (json.Has("/generation/stop")) spec.stop = json.Strings("/generation/stop", "a list of texts");
    for (const std::string& stop : spec.stop) {
      if (stop.empty()) json.Fail("/generation/stop", "an empty stop string would end every text at once");
    }
    spec.skip_leading_space = json.Get<bool>("/generation/skip_leading_space", "true or false", false);
  }
  if (json.Has("/filters")) {
    const Json& filters = json.root().at("filters");
    if (!filters.is_array() || filters.empty()) json.Fail("/filters", "not a list of filters", "[{...}]");
    for (size_t i = 0; i < filters.size(); ++i) {
      const std::string at = "/filters/" + std::to_string(i);
      json.CheckFields(at, {"name", "regex", "select"});
      const std::string name = json.Get<std::string>(at + "/name", "a name");
      for (const AnswerFilter& other : spec.filters) {
        if (other.name == name) json.Fail(at + "/name", "two filters have this name", "", name);
      }
      if (name.empty() || name == "none" || name.find(',') != std::string::npos) {
        json.Fail(at + "/name", "not usable as a filter's name", "a text without comma, not 'none'", name);
      }
      spec.filters.push_back(
          {name,
           Regex(json.Get<std::string>(at + "/regex", "a regular expression"), json.Where(at + "/regex")),
           json.Get<int64_t>(at + "/select", "an integer", 0)});
    }
  }
  if (json.Has("/normalize")) {
    json.CheckFields("/normalize",
                     {"remove", "ignore_case", "ignore_punctuation", "collapse_space", "sentence_lines"});
    if (json.Has("/normalize/remove")) {
      for (const std::string& regex : json.Strings("/normalize/remove", "a list of regular expressions")) {
        spec.remove.emplace_back(regex, json.Where("/normalize/remove"));
      }
    }
    spec.ignore_case = json.Get<bool>("/normalize/ignore_case", "true or false", false);
    spec.ignore_punctuation = json.Get<bool>("/normalize/ignore_punctuation", "true or false", false);
    spec.collapse_space = json.Get<bool>("/normalize/collapse_space", "true or false", false);
    spec.sentence_lines = json.Get<bool>("/normalize/sentence_lines", "true or false", false);
  }
}

void ReadWindow(const LocatedJson& json, TaskSpec& spec) {
  if (!json.Has("/window")) return;
  json.CheckFields("/window", {"protocol", "length", "join"});
  TextWindow window;
  window.protocol = json.Get<std::string>("/window/protocol", "gptq or llamacpp");
  if (window.protocol != "gptq" && window.protocol != "llamacpp") {
    json.Fail("/window/protocol", "no such protocol", "gptq or llamacpp (lmeval: leave /window out)",
              window.protocol);
  }
  window.length = json.Get<int64_t>("/window/length", "tokens of a window");
  if (window.length < 4 || window.length > 1 << 20) {
    json.Fail("/window/length", "out of range", "4 to 1048576", std::to_string(window.length));
  }
  window.join = json.Get<std::string>("/window/join", "the text between documents", "");
  spec.window = std::move(window);
}

// The metrics of a rolling task belong to one protocol, which their names say.
void CheckProtocol(const LocatedJson& json, const TaskSpec& spec) {
  if (spec.form != TaskForm::kRolling) return;
  const std::string protocol = spec.window ? spec.window->protocol : "lmeval";
  for (const std::string& metric : spec.metrics) {
    if (FindMetric(metric)->protocol == protocol) continue;
    json.Fail("/metrics", "'" + metric + "' is a metric of another perplexity protocol",
              "metrics of protocol " + protocol, FindMetric(metric)->protocol);
  }
}

void ReadMetrics(const LocatedJson& json, TaskSpec& spec) {
  spec.metrics = json.Strings("/metrics", "names of metrics");
  if (spec.metrics.empty()) json.Fail("/metrics", "no metrics");
  std::vector<std::string> known, rows;
  for (const MetricInfo& info : MetricInfos()) {
    if (std::find(info.forms.begin(), info.forms.end(), spec.form) != info.forms.end())
      known.push_back(info.name);
  }
  for (const std::string& name : spec.metrics) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      json.Fail("/metrics", "no metric '" + name + "' for form " + ToString(spec.form), Joined(known), "",
                DidYouMean(name, known));
    }
    if (std::count(spec.metrics.begin(), spec.metrics.end(), name) > 1) {
      json.Fail("/metrics", "metric '" + name + "' is given twice");
    }
    if (name == "exact_match" && !spec.filters.empty()) {
      for (const AnswerFilter& filter : spec.filters) rows.push_back(name + "," + filter.name);
    } else {
      rows.push_back(name);
    }
  }
  spec.main_metric = json.Get<std::string>("/main", "a metric", rows[0]);
  if (std::find(rows.begin(), rows.end(), spec.main_metric) == rows.end()) {
    json.Fail("/main", "not one of the metrics", Joined(rows), spec.main_metric);
  }
}

// Which fields each form needs, and which would have no effect.
void CheckForm(const LocatedJson& json, const TaskSpec& spec) {
  const auto need = [&](const char* field) {
    if (!json.Has(field)) json.Fail(field, std::string("form ") + ToString(spec.form) + " needs this field");
  };
  const auto refuse = [&](std::initializer_list<const char*> fields) {
    for (const char* field : fields) {
      if (json.Has(field)) json.Fail(field, std::string("has no effect for form ") + ToString(spec.form));
    }
  };
  switch (spec.form) {
    case TaskForm::kMultipleChoice:
      if (json.Has("/gold") == json.Has("/labels"))
        json.Fail("/gold", "form multiple_choice needs either gold or labels", "one of them");
      if (json.Has("/labels") != (spec.metrics == std::vector<std::string>{"mc2"}))
        json.Fail("/metrics", "several right choices are scored by mc2, and only they");
      refuse({"/generation", "/filters", "/normalize", "/references", "/original", "/window"});
      if (json.Has("/contexts")) {
        need("/target");
        refuse({"/prompt", "/choices", "/labels"});
        if (spec.metrics != std::vector<std::string>{"acc"}) {
          json.Fail("/metrics", "with contexts there is one continuation and no length to normalize by",
                    "acc");
        }
      } else {
        need("/prompt");
        need("/choices");
        refuse({"/target"});
      }
      return;
    case TaskForm::kLogLikelihood:
      need("/prompt");
      need("/target");
      refuse({"/generation", "/filters", "/normalize", "/references", "/original", "/contexts", "/choices",
              "/gold", "/labels", "/window"});
      return;
    case TaskForm::kRolling:
      need("/target");
      refuse({"/generation", "/filters", "/normalize", "/references", "/contexts", "/choices", "/gold",
              "/labels", "/prompt", "/preamble", "/fewshot", "/delimiter"});
      if (spec.window) refuse({"/original"});
      return;
    case TaskForm::kGenerate:
    case TaskForm::kSummarize:
      need("/prompt");
      need("/generation");
      refuse({"/contexts", "/choices", "/gold", "/labels", "/original", "/window"});
      if (json.Has("/target") == json.Has("/references")) {
        json.Fail("", "a generating task has either target or references", "one of them");
      }
      if (spec.form == TaskForm::kSummarize) refuse({"/filters"});
      return;
  }
}

}  // namespace

const char* ToString(TaskForm form) {
  for (const auto& [name, value] : kForms) {
    if (value == form) return name;
  }
  throw Error(ErrorKind::kInternal, "a task form without a name");
}

TaskSpec ReadTaskSpec(const fs::path& file, const std::string& member) {
  const std::string text = ReadFile(file);
  const LocatedJson json(text, file.string());
  const std::optional<TaskFamily> family = ReadFamily(json);
  const std::string chosen = member.empty() && family ? family->members[0] : member;
  if (family && std::count(family->members.begin(), family->members.end(), chosen) == 0) {
    throw Error(ErrorKind::kUsage, {"no member '" + chosen + "'", Joined(family->members), "", file.string(),
                                    DidYouMean(chosen, family->members)});
  }
  if (!family && !member.empty()) {
    throw Error(ErrorKind::kUsage,
                {"the file holds a single task, no family", "", member, file.string(), ""});
  }
  if (!family) return ReadTaskSpec(json);
  return ReadTaskSpec(LocatedJson(TextOfMember(text, chosen), file.string()),
                      TextOfMember(family->pattern, chosen));
}

TaskSpec ReadTaskSpec(const LocatedJson& json, const std::string& name) {
  json.CheckFields("",
                   {"name",       "version",  "description", "form",    "dataset",    "fields",  "preamble",
                    "prompt",     "contexts", "choices",     "gold",    "labels",     "family",  "target",
                    "references", "original", "delimiter",   "fewshot", "generation", "filters", "normalize",
                    "metrics",    "main",     "source",      "window",  "cluster"});
  TaskSpec spec;
  spec.file = json.file();
  spec.name = name.empty() ? json.Get<std::string>("/name", "a name") : name;
  if (spec.name.empty() || spec.name.find_first_of(" ,/\t\n") != std::string::npos) {
    json.Fail("/name", "not usable as a name", "a text without space, comma or slash", spec.name);
  }
  spec.version = json.Get<std::string>("/version", "a text such as \"1.0\"");
  spec.description = json.Get<std::string>("/description", "a text", "");
  spec.form = ReadForm(json);

  if (!json.Has("/dataset")) json.Fail("/dataset", "a field is missing", "{\"file\": ..., \"split\": ...}");
  json.CheckFields("/dataset", {"file", "format", "split"});
  spec.files = ReadDataFiles(json, "/dataset/file");
  spec.format = ReadFormat(json, "/dataset/format");
  spec.split = json.Get<std::string>("/dataset/split", "a text");

  spec.fields = ReadFields(json, "/fields");
  spec.preamble = ReadTemplate(json, "/preamble");
  spec.prompt = ReadTemplate(json, "/prompt");
  spec.contexts_field = json.Get<std::string>("/contexts", "a field name", "");
  if (json.Has("/choices") && json.root().at("choices").is_array()) {
    spec.choice_templates = json.Strings("/choices", "a field name, or a list of templates");
    if (spec.choice_templates.size() < 2) json.Fail("/choices", "fewer than two choices");
    for (const std::string& text : spec.choice_templates) TemplateNames(text, json.Where("/choices"));
  } else {
    spec.choices_field = json.Get<std::string>("/choices", "a field name, or a list of templates", "");
  }
  spec.labels_field = json.Get<std::string>("/labels", "a field name", "");
  spec.gold_field = json.Get<std::string>("/gold", "a field name", "");
  spec.target = ReadTemplate(json, "/target");
  spec.references_field = json.Get<std::string>("/references", "a field name", "");
  spec.original_field = json.Get<std::string>("/original", "a field name", "");
  spec.cluster_field = json.Get<std::string>("/cluster", "a field name", "");
  spec.delimiter = json.Get<std::string>("/delimiter", "a text", " ");
  ReadFewshot(json, spec);
  spec.sources = ReadSources(json, spec);
  ReadAnswers(json, spec);
  ReadWindow(json, spec);
  ReadMetrics(json, spec);
  CheckForm(json, spec);
  CheckProtocol(json, spec);

  spec.protocol = json.root();
  for (const char* field : {"name", "description", "family", "fewshot", "main", "source", "cluster"}) {
    spec.protocol.erase(field);
  }
  spec.protocol["dataset"].erase("file");
  return spec;
}

bool IsTaskPath(const std::string& name_or_path) {
  if (IsTextFileTask(name_or_path)) return false;
  return name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json") ||
         name_or_path.find(".json#") != std::string::npos;
}

TaskSpec LoadTaskSpec(const std::string& name_or_path) {
  if (IsTextFileTask(name_or_path)) return TextFileTask(name_or_path);
  if (IsTaskPath(name_or_path)) {
    const size_t hash = name_or_path.find(".json#");
    if (hash == std::string::npos) return ReadTaskSpec(name_or_path);
    return ReadTaskSpec(name_or_path.substr(0, hash + 5), name_or_path.substr(hash + 6));
  }
  std::vector<std::string> shown, known;  // the tasks of a family are too many to be shown
  for (const fs::path& file : TaskFiles()) {
    const std::string stem = file.stem().string();
    const LocatedJson json(ReadFile(file), file.string());
    const std::optional<TaskFamily> family = ReadFamily(json);
    shown.push_back(stem);
    if (family) {
      if (const auto member = family->MemberOf(name_or_path)) return ReadTaskSpec(file, *member);
      for (const TaskGroup& group : family->groups) known.push_back(group.name);
      known.insert(known.end(), family->groups[0].tasks.begin(), family->groups[0].tasks.end());
    } else {
      known.push_back(stem);
    }
    if (family || stem != name_or_path) continue;
    TaskSpec spec = ReadTaskSpec(file);
    if (spec.name == name_or_path) return spec;
    throw Error(ErrorKind::kData,
                {"a task file's name differs from its task's", name_or_path, spec.name, file.string(), ""});
  }
  if (std::find(known.begin(), known.end(), name_or_path) != known.end()) {
    throw Error(ErrorKind::kUsage, {"'" + name_or_path + "' is a group of tasks", "one task", "", "", ""});
  }
  throw Error(ErrorKind::kUsage,
              {"no task '" + name_or_path + "'", Joined(shown) + ", or the path of a task file", "", "",
               DidYouMean(name_or_path, known)});
}

std::vector<fs::path> TaskFiles() {
  const fs::path folder = HomeFolder() / "tasks" / "definitions";
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".json") files.push_back(it->path());
  }
  if (error) {
    throw Error(ErrorKind::kIo, {"the task files cannot be read", "", error.message(), folder.string(),
                                 "set TNBENCH_HOME to the folder that holds tasks/definitions"});
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> ListTasks() {
  std::vector<std::string> names;
  for (const fs::path& file : TaskFiles()) {
    const std::optional<TaskFamily> family = ReadFamily(LocatedJson(ReadFile(file), file.string()));
    if (family) {
      names.insert(names.end(), family->groups[0].tasks.begin(), family->groups[0].tasks.end());
    } else {
      names.push_back(file.stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tnb
