// Tables of text: CSV as RFC 4180 and TSV as IANA's text/tab-separated-values, with a header row or columns
// named by the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tnb {

enum class Delimited {
  kCsv,  // quoted fields may hold commas, quotes ("") and line breaks
  kTsv,  // no quoting: a quote is a character like others, a tab or line break always separates
};

// Calls `add` with each record as an object of texts and the line that it begins on. Lines end with \n, \r\n
// or \r; lines without any character are left out at the end and an error elsewhere (in a table of one column
// they are records with an empty text, except at the end). Error{kData} naming `path` and line for an empty
// or repeated column name, a record of another length than the header, an unclosed quote, and text outside of
// quotes.
// `columns`: their names when the file has no header row.
void ReadDelimited(std::string_view text, Delimited kind, const std::string& path,
                   const std::function<void(Json, int64_t)>& add,
                   const std::vector<std::string>& columns = {});

}  // namespace tnb
