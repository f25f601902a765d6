#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "harness/command.h"
#include "harness/export_huggingface.h"
#include "records/store.h"

namespace tnb {
namespace {

struct ExportOptions {
  std::optional<int64_t> run;
  std::string db = "tnbench.db", tasks, table, format = "jsonl", huggingface, dtype = "bf16";
  bool items = false;
};

int64_t RunOf(const ExportOptions& options, const std::string& what) {
  if (options.run) return *options.run;
  throw Error(ErrorKind::kUsage, what + " needs a run", "tnbench export 3 " + what);
}

// RFC 4180.
std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// A view of the database (docs/database.md), of one run or of all.
int ExportTable(const ExportOptions& options) {
  const bool csv = options.format == "csv";
  if (!csv && options.format != "jsonl") {
    throw Error(ErrorKind::kUsage,
                {"unknown format", "csv or jsonl", "'" + options.format + "'", "--format", ""});
  }
  const Store store = Store::OpenReadOnly(options.db);
  std::vector<int64_t> runs;
  if (options.run) runs = {store.Run(*options.run).run.id};
  std::vector<std::string> names;
  store.Export(
      options.table, runs,
      [&](const std::vector<std::string>& columns) {
        names = columns;
        if (!csv) return;
        for (const std::string& name : names)
          std::cout << (&name == &names.front() ? "" : ",") << CsvField(name);
        std::cout << "\r\n";
      },
      [&](const ExportedRow& row) {
        if (!csv) {
          Json json = Json::object();
          for (size_t i = 0; i < row.size(); ++i) json[names[i]] = row[i];
          std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
          return;
        }
        for (size_t i = 0; i < row.size(); ++i) {
          const Json& cell = row[i];
          const std::string text = cell.is_null()     ? ""
                                   : cell.is_string() ? cell.get<std::string>()
                                                      : cell.dump();
          std::cout << (i == 0 ? "" : ",") << CsvField(text);
        }
        std::cout << "\r\n";
      });
  return 0;
}

int ExportModel(const ExportOptions& options) {
  const int64_t run = RunOf(options, "--huggingface DIR");
  const Store store = Store::OpenReadOnly(options.db);
  store.Run(run);
  for (const PhaseRow& phase : store.Phases(run)) {
    if (phase.name != "compress" || phase.status != PhaseStatus::kOk) continue;
    const auto artefact = store.Artefact(phase.data_id);
    if (!artefact) break;
    if (!std::filesystem::exists(artefact->path)) {
      throw Error(ErrorKind::kIo,
                  {"the artefact is gone", "", "", artefact->path,
                   "make it again with tnbench rerun " + std::to_string(run) + " --phases compress"});
    }
    const std::string found = Sha256File(artefact->path);
    if (found != artefact->sha256) {
      throw Error(ErrorKind::kData, {"the artefact changed since the run", "SHA-256 " + artefact->sha256,
                                     found, artefact->path, "make it again with tnbench rerun"});
    }
    const ExportedModel model = ExportHuggingFace(artefact->path, options.huggingface, options.dtype);
    for (const std::string& name : model.files) std::cout << options.huggingface << "/" << name << "\n";
    for (const std::string& note : model.notes) std::cerr << note << "\n";
    return 0;
  }
  throw Error(ErrorKind::kData,
              "run " + std::to_string(run) + " has no artefact: its compress phase did not finish");
}

Json ItemJson(const ItemRow& item) {
  return {{"task", item.task},
          {"doc", item.doc_index},
          {"prompt_sha256", item.prompt_sha256},
          {"prompt", item.prompt},
          {"loglikelihoods", item.loglikelihoods},
          {"greedy", item.greedy},
          {"text", item.text},
          {"target", item.target},
          {"scores", item.scores},
          {"tokens", item.tokens},
          {"cluster", item.cluster}};
}

void PrintItems(const Store& store, int64_t data_id, const std::string& task) {
  for (const ItemRow& item : store.Items(data_id, task)) {
    std::cout << ItemJson(item).dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
  }
}

int ExportItems(const ExportOptions& options) {
  const int64_t run = RunOf(options, "--items");
  const Store store = Store::OpenReadOnly(options.db);
  store.Run(run);  // an unknown run is an error that names the known ones
  for (const PhaseRow& phase : store.Phases(run)) {
    if (phase.name != "quality") continue;
    if (phase.status == PhaseStatus::kSkipped || phase.status == PhaseStatus::kNotMeasured) {
      throw Error(ErrorKind::kData, "run " + std::to_string(run) + " has no items: " + phase.reason);
    }
    if (options.tasks.empty()) {
      PrintItems(store, phase.data_id, "");
    } else {
      for (const std::string& task : SplitList(options.tasks, "--tasks")) {
        if (store.Items(phase.data_id, task).empty()) {
          throw Error(ErrorKind::kUsage, {"the run has no items of this task", "", task, "--tasks",
                                          "tnbench show " + std::to_string(run) + " lists its tasks"});
        }
        PrintItems(store, phase.data_id, task);
      }
    }
    if (!std::cout.flush())
      throw Error(ErrorKind::kIo, "cannot write to standard output", "is the disk full?");
    return 0;
  }
  throw Error(ErrorKind::kData, "run " + std::to_string(run) + " has no quality phase");
}

int Export(const ExportOptions& options) {
  const int asked =
      (options.items ? 1 : 0) + (options.table.empty() ? 0 : 1) + (options.huggingface.empty() ? 0 : 1);
  if (asked != 1) {
    throw Error(ErrorKind::kUsage,
                asked == 0 ? "nothing to export was named" : "one thing is exported at a time",
                "--items, --table NAME or --huggingface DIR");
  }
  if (options.items) return ExportItems(options);
  return options.table.empty() ? ExportModel(options) : ExportTable(options);
}

}  // namespace

std::function<int()> DeclareExport(OptionList& command) {
  auto options = std::make_shared<ExportOptions>();
  command.Add("run", options->run, "run number, as shown by tnbench run and report");
  command.Flag("--items", options->items, "one JSON line an item: prompt, log-likelihoods, text, scores");
  command.Add("--tasks", options->tasks, "only these tasks: a,b");
  command.Add(
      "--table", options->table,
      "rows: runs, phases, metrics, layers, items, samples or changes; of all runs without a run number");
  command.Add("--format", options->format, "of --table: csv or jsonl").ShowDefault();
  command.Add("--huggingface", options->huggingface,
              "folder to write the compressed model to, rebuilt to dense weights, as transformers reads it");
  command.Add("--dtype", options->dtype, "of --huggingface: fp16, bf16 or fp32").ShowDefault();
  command.Add("--db", options->db, "results database").ShowDefault();
  return [options] { return Export(*options); };
}

}  // namespace tnb
