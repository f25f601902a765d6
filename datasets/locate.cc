#include "datasets/locate.h"

#include "base/error.h"
#include "base/files.h"

namespace tnb {

std::filesystem::path FetchedDataFolder() { return CacheFolder() / "data"; }

std::filesystem::path LocateFile(const std::vector<std::string>& names,
                                 const std::vector<std::filesystem::path>& folders, const std::string& what,
                                 const std::string& hint) {
  std::string tried;
  for (const std::string& name : names) {
    for (const std::filesystem::path& folder : folders) {
      if (folder.empty()) continue;
      std::error_code ignored;
      const std::filesystem::path path = folder / name;
      if (std::filesystem::is_regular_file(path, ignored)) return path;
    }
    tried += (tried.empty() ? "" : ", ") + name;
  }
  std::string where;
  for (const std::filesystem::path& folder : folders) {
    if (!folder.empty()) where += (where.empty() ? "" : ", ") + folder.string();
  }
  throw Error(ErrorKind::kIo, {"no data for " + what, tried, "", where, hint});
}

}  // namespace tnb
