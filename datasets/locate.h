// Where datasets are found at run time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tnb {

// Where `tnbench fetch` puts data unless told otherwise, and where tasks look after --data-dir: the folder
// data/ of the cache.
std::filesystem::path FetchedDataFolder();

// The first of `names` that exists. A name is a path relative to one of `folders` (tried in order, each name
// in all folders before the next name), or absolute. Throws Error{kIo} listing what was looked for, with
// `hint`.
std::filesystem::path LocateFile(const std::vector<std::string>& names,
                                 const std::vector<std::filesystem::path>& folders, const std::string& what,
                                 const std::string& hint);

}  // namespace tnb
