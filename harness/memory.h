// Memory of this process as the kernel counts it, in bytes. Linux (/proc) only; std::nullopt where a figure
// is not available. The peak is that of the program since it was started and does not
// include what the process was before exec.
#pragma once

#include <cstdint>
#include <optional>

namespace tnb {

std::optional<int64_t> ResidentBytes();      // VmRSS
std::optional<int64_t> PeakResidentBytes();  // VmHWM
// RSS with pages shared by n processes counted as 1/n.
std::optional<int64_t> ProportionalBytes();
// Gives free pages of the allocator back to the system, so that ResidentBytes is what is really in use.
void TrimAllocator();

}  // namespace tnb
