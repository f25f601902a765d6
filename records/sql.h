// Binding and reading of SQL values, for the files of records/ only: one overload a C++ type of rows.h, so
// that a statement is filled with Bind(statement, a, b, c) and a row is read field by field with a Cursor.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"

namespace tnb {

inline void BindOne(SQLite::Statement& statement, int index, int64_t value) { statement.bind(index, value); }
inline void BindOne(SQLite::Statement& statement, int index, const std::string& value) {
  statement.bind(index, value);
}
// SQLite would store NaN as NULL, which means "not measured".
inline void BindOne(SQLite::Statement& statement, int index, double value) {
  if (std::isnan(value)) {
    throw Error(ErrorKind::kData, "a number to be recorded is NaN",
                "the measurement or the model is broken; record the phase as failed instead");
  }
  statement.bind(index, value);
}
inline void BindOne(SQLite::Statement& statement, int index, const Json& value) {
  statement.bind(index, value.dump());
}
template <typename T>
void BindOne(SQLite::Statement& statement, int index, const std::optional<T>& value) {
  if (value) {
    BindOne(statement, index, *value);
  } else {
    statement.bind(index);
  }
}

// Fills the statement's parameters from 1 on.
template <typename... Values>
void Bind(SQLite::Statement& statement, const Values&... values) {
  int index = 0;
  (BindOne(statement, ++index, values), ...);
}

// Runs a statement without result; gives the number of rows it changed.
template <typename... Values>
int Execute(SQLite::Database& database, const std::string& sql, const Values&... values) {
  SQLite::Statement statement(database, sql);
  Bind(statement, values...);
  return statement.exec();
}

// Reads the columns of the current row from left to right.
class Cursor {
 public:
  explicit Cursor(SQLite::Statement& statement) : statement_(statement) {}

  int64_t Int() { return statement_.getColumn(index_++).getInt64(); }
  double Real() { return statement_.getColumn(index_++).getDouble(); }
  std::string Text() { return statement_.getColumn(index_++).getString(); }
  Json Value() { return ParseJson(Text(), "results database"); }
  std::optional<int64_t> OptionalInt() {
    return IsNull() ? (++index_, std::nullopt) : std::optional<int64_t>(Int());
  }
  std::optional<double> OptionalReal() {
    return IsNull() ? (++index_, std::nullopt) : std::optional<double>(Real());
  }

 private:
  bool IsNull() { return statement_.getColumn(index_).isNull(); }

  SQLite::Statement& statement_;
  int index_ = 0;
};

}  // namespace tnb
