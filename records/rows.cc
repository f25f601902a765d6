#include "records/rows.h"

#include <array>

namespace tnb {
namespace {

constexpr std::array<const char*, 5> kRunStatus = {"running", "ok", "partial", "failed", "crashed"};
constexpr std::array<const char*, 6> kPhaseStatus = {"running", "ok",      "failed",
                                                     "crashed", "skipped", "not measured"};

template <typename Status, size_t size>
Status Parse(const std::array<const char*, size>& names, const std::string& text) {
  for (size_t i = 0; i < size; ++i) {
    if (text == names[i]) return static_cast<Status>(i);
  }
  throw Error(ErrorKind::kData, "the results database holds an unknown status '" + text + "'",
              "it is damaged, or a newer tnbench wrote it");
}

}  // namespace

std::string ToString(RunStatus status) { return kRunStatus.at(static_cast<size_t>(status)); }
std::string ToString(PhaseStatus status) { return kPhaseStatus.at(static_cast<size_t>(status)); }
RunStatus RunStatusFrom(const std::string& text) { return Parse<RunStatus>(kRunStatus, text); }
PhaseStatus PhaseStatusFrom(const std::string& text) { return Parse<PhaseStatus>(kPhaseStatus, text); }

}  // namespace tnb
