#include <iostream>
#include <memory>

#include "base/json.h"
#include "harness/command.h"
#include "harness/facts.h"
#include "harness/verification.h"
#include "records/store.h"
#include "reports/numbers.h"
#include "reports/render.h"
#include "reports/table.h"

namespace tnb {
namespace {

struct VerifyOptions {
  const VerificationEntry* chosen = nullptr;
  Verification verification;
  std::string db = "tnbench.db";
  bool json = false;
};

bool Passes(const MeasurementRow& row) { return !row.tolerance || row.value <= *row.tolerance; }

Table TableOf(const std::string& name, const Findings& findings) {
  Table table{.caption = name,
              .columns = {{.title = "subject", .alignment = Alignment::kLeft, .key = "subject"},
                          {.title = "check", .alignment = Alignment::kLeft, .key = "check"},
                          {.title = "found", .key = "found"},
                          {.title = "allowed", .key = "allowed"},
                          {.title = "unit", .alignment = Alignment::kLeft, .key = "unit"},
                          {.title = "n", .key = "n"},
                          {.title = "verdict", .alignment = Alignment::kLeft, .key = "verdict"}}};
  const std::string where = "what verify " + name + " found";
  for (const MeasurementRow& row : findings.rows) {
    const auto n = Require<int64_t>(row.detail, "n", where);
    const Cell allowed = row.tolerance ? Cell{.text = FormatNumber(*row.tolerance), .value = *row.tolerance}
                                       : Cell{.text = "not stated"};
    table.rows.push_back({{.text = row.subject},
                          {.text = row.name},
                          {.text = FormatNumber(row.value), .value = row.value},
                          allowed,
                          {.text = row.unit},
                          {.text = std::to_string(n) + " " + Require<std::string>(row.detail, "of", where),
                           .value = static_cast<double>(n)},
                          {.text = !row.tolerance ? ""
                                   : Passes(row)  ? "holds"
                                                  : "beyond"}});
  }
  table.notes.push_back("Found: the largest of n. " + findings.protocol);
  return table;
}

int Verify(const VerifyOptions& options) {
  const std::string name = options.chosen->name;
  Store store = Store::Open(options.db);  // before the work: it may not be writable
  Findings findings = options.verification();
  bool all = true;
  for (MeasurementRow& row : findings.rows) {
    row.machine_id = store.PutMachine(ThisMachine());
    row.build_id = store.PutBuild(ThisBuild());
    row.command = CommandLine();
    row.kind = name;
    all = all && Passes(row);
  }
  store.AddMeasurements(findings.rows);
  const Table verdicts = TableOf(name, findings);
  if (options.json) {
    Json json = ToJson(verdicts);
    for (const Table& table : findings.tables) json["tables"].push_back(ToJson(table));
    std::cout << json.dump(2) << "\n";
    return all ? 0 : 1;
  }
  findings.tables.push_back(verdicts);
  std::cout << RenderTables(findings.tables, ReportFormat::kMarkdown, TerminalWidth());
  return all ? 0 : 1;
}

}  // namespace

std::function<int()> DeclareVerify(OptionList& command) {
  auto options = std::make_shared<VerifyOptions>();
  command.Add("--db", options->db, "results database that keeps what was found").ShowDefault();
  command.Flag("--json", options->json, "print the table as JSON");
  for (const VerificationEntry& entry : Verifications()) {
    command.AddCommand(entry.name, entry.summary, entry.examples, [&](OptionList& own) {
      return [options, verification = entry.declare(own), &entry] {
        options->chosen = &entry;
        options->verification = verification;
      };
    });
  }
  return [options] { return Verify(*options); };
}

}  // namespace tnb
