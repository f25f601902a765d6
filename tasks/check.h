// Checks a task file that somebody writes, together with its data, and names all that is wrong with it rather
// than only the first thing: unknown fields with the nearest legal name, patterns and templates, metrics that
// do not fit the form, fields that the documents lack, documents whose right answer is out of range.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace tnb {

struct TaskCheck {
  std::vector<std::string> problems;  // each names file and line, most the field
  std::vector<std::string> notes;     // worth knowing, but not wrong
  std::string summary;                // what the task will do; "" with problems
};

// Throws Error{kIo} only when the file itself cannot be read. The data is looked for as a run would, with
// `options`; its absence is a note when the task says where to fetch it, else a problem.
TaskCheck CheckTaskFile(const std::filesystem::path& file, const TaskOptions& options);

}  // namespace tnb
