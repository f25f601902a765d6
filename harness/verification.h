// A verification checks on this machine that something holds which tnbench promises, by measuring how far it
// is from it. Adding one is one file with a function and one line in verifications.cc; it becomes the command
// `tnbench verify NAME`, which prints and stores what it found (kind NAME in the table measurement).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <vector>

#include "records/rows.h"

namespace tnb {

// What was found: rows with subject, name, settings, value, unit, tolerance and detail. A row with a
// tolerance passes when its value, a deviation, is not above it; one without is for information.
using Verification = std::function<std::vector<MeasurementRow>()>;

struct VerificationEntry {
  const char* name;
  const char* summary;
  const char* examples;  // shown below the options, one a line
  // Declares its own options (--db and --json are there already); called after parsing, the result measures.
  Verification (*declare)(CLI::App& app);
};

const std::vector<VerificationEntry>& Verifications();

Verification DeclareInvariance(CLI::App& app);

}  // namespace tnb
