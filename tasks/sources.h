// Where a task's files can be fetched from: the field "source" of a task file, one of these or a list of
// them:
//   {"hub": "owner/name", "config": "default", "split": "test", "file": "name/test.jsonl"}   rows of a split
//   {"hub": "owner/name", "path": "data/test.jsonl", "revision": "main", "file": "name/test.jsonl"}   a file
// "file" is one of the names in dataset/file or fewshot/file. Optional: "items" (how many rows must come),
// "text" (with rows: the texts of this field one after the other instead of jsonl). Sources have no part in
// the protocol: the content's hash has.
#pragma once

#include <string>
#include <vector>

#include "datasets/source.h"
#include "tasks/spec.h"

namespace tnb {

// Reads and checks "source" of a task file whose files are known already.
std::vector<HubSource> ReadSources(const LocatedJson& json, const TaskSpec& spec);

// What to tell somebody who lacks the data of a task: the command that fetches it, or how to name its folder.
std::string FetchHint(const TaskSpec& spec);

}  // namespace tnb
