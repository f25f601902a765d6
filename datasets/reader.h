// datasets/ is where items come from: readers of files, the few-shot sampler, and the sample data. It knows
// nothing of prompts or models.
//
// ReadDataset reads one file into documents (JSON objects) with the line each of them starts on, and its
// content hash. Formats:
//   jsonl     one JSON object a line (blank lines only at the end)
//   json      an array of objects, or an object with exactly one field that holds an array of objects
//   csv, tsv  with a header row; values are texts; see datasets/delimited.h
//   text      the whole file as one document {"text": ...}
//   lines     every line as {"text": ...}; lines of nothing but white space are left out
//   wikitext  a WikiText file cut at its article titles into {"page": ...}, as the document-level dataset
//   used by
//             lm-evaluation-harness does
//   wikitext_rows  a WikiText file line by line into {"text": ...}, as the dataset that GPTQ reads has it:
//   with
//             the line break, blank lines empty
// All text must be UTF-8 without NUL bytes; a byte order mark is dropped, lines may end with \r\n. JSON
// follows RFC 8259: NaN, comments and lone surrogates are errors, of two fields of one name the last counts.
// Files are held in memory as a whole; lines may have any length. Errors (Error{kData}, Error{kIo}) name file
// and line. Parquet, gzip and other containers are refused with the way to convert them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace tnb {

struct Dataset {
  std::string path;             // as given, for messages
  std::string sha256;           // of the file's bytes
  std::vector<Json> documents;  // objects, never empty ones
  std::vector<int64_t> lines;   // 1-based first line of each document

  // "file:line" of a document.
  std::string Where(size_t document) const;
};

// The names that ReadDataset knows, for checks and messages.
const std::vector<std::string>& DatasetFormats();

// `format` empty: by the file's extension (.jsonl .ndjson .json .csv .tsv, else text).
// `columns`: names of the columns of a csv or tsv file without a header row.
Dataset ReadDataset(const std::filesystem::path& path, const std::string& format = "",
                    const std::vector<std::string>& columns = {});

// Adds line i of a plain file of lines as field `field` of document i (the labels of PIQA and HellaSwag come
// so) and changes the hash accordingly. The counts must agree and the field must not be there yet.
void AddLinesAsField(Dataset& dataset, const std::string& field, const std::filesystem::path& path);

}  // namespace tnb
