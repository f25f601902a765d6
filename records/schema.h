// The schema of the record as a list of migrations. Step i brings a file from user_version i to i + 1; a new
// file runs them all. Released steps are never edited: a change is a new step.
#pragma once

#include <string>
#include <vector>

namespace tnb {

const std::vector<std::string>& Migrations();

// The user_version that this program writes.
inline int SchemaVersion() { return static_cast<int>(Migrations().size()); }

// Stored in the file's header (PRAGMA application_id), "tnbR": tells our files from other SQLite files.
inline constexpr int kApplicationId = 0x746e6252;

}  // namespace tnb
