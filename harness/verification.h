// A verification checks on this machine that something holds which tnbench promises, by measuring how far it
// is from it. Adding one is one file with a function and one line in verifications.cc; it becomes the command
// `tnbench verify NAME`, which prints and stores what it found (kind NAME in the table measurement).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/options.h"
#include "records/rows.h"
#include "reports/table.h"

namespace tnb {

// What was found: rows with subject, name, settings, value, unit, tolerance and detail. The value is the
// largest of `detail.n` deviations, of what `detail.of` says ("tokens"). A row with a tolerance passes when
// its value is not above it; one without is for information. Tables are printed above the verdicts, for
// people who want to see more than deviations.
struct Findings {
  std::string protocol;  // what was compared with what, and how
  std::vector<MeasurementRow> rows;
  std::vector<Table> tables;
};
using Verification = std::function<Findings()>;

struct VerificationEntry {
  const char* name;
  const char* summary;
  const char* examples;  // shown below the options, one a line
  // Declares its own options (--db and --json are there already); called after parsing, the result measures.
  Verification (*declare)(OptionList& command);
};

const std::vector<VerificationEntry>& Verifications();

Verification DeclareInvariance(OptionList& command);
Verification DeclareIsing(OptionList& command);

}  // namespace tnb
