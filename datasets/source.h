// Where a dataset's file can be fetched from: a split of a dataset on the hub, or a file in its repository.
#pragma once

#include <cstdint>
#include <string>

namespace tnb {

struct HubSource {
  std::string hub;  // repository, "owner/name"
  // Rows of a split, as the datasets server gives them; written as jsonl, in order.
  std::string config = "default", split;
  // Or a file of the repository, byte for byte.
  std::string path, revision = "main";
  std::string file;  // name below the data folder
  // With rows: write the texts of this field one after the other instead of jsonl. A row with an empty text
  // stands for WikiText's blank line, " \n".
  std::string text;
  int64_t items = 0;      // number of rows that must come; 0: not known
  bool examples = false;  // the pool of examples, needed only with few-shot prompts
};

}  // namespace tnb
