// A small record shared by the tests of records/ and reports/.
#pragma once

#include <string>

#include "base/hash.h"
#include "records/store.h"

namespace tnb::testing {

inline ModelRow SampleModel(const std::string& name = "nano") {
  return {.hash = Sha256Hex(name),
          .name = name,
          .path = "models/" + name,
          .parameters = 1000,
          .file_bytes = 4000,
          .config = {{"hidden_size", 8}}};
}

// The cell and a running run of `method` on `model`.
inline int64_t BeginSampleRun(Store& store, const std::string& method, const Json& settings = {{"seed", 1}},
                              const std::string& model = "nano", const std::string& machine = "laptop") {
  const int64_t cell = store.PutCell({.model_id = store.PutModel(SampleModel(model)),
                                      .method_id = store.PutMethod(method),
                                      .settings = settings});
  return store.BeginRun(
      {.cell_id = cell,
       .machine_id = store.PutMachine({.name = machine, .facts = {{"cpu", machine}, {"cores", 2}}}),
       .build_id = store.PutBuild({.commit = "abc1234", .facts = {{"compiler", "gcc"}}}),
       .process = 42,
       .command = "tnbench run --method " + method});
}

}  // namespace tnb::testing
