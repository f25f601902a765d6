#include "records/store.h"

#include <sqlite3.h>

#include <chrono>
#include <thread>
#include <utility>

#include "base/hash.h"
#include "records/schema.h"
#include "records/sql.h"

namespace tnb {
namespace {

constexpr int kBusyTimeoutMs = 30000;

[[noreturn]] void Rethrow(const SQLite::Exception& exception, const std::string& doing,
                          const std::filesystem::path& path) {
  const auto error = [&](ErrorKind kind, const std::string& why, const std::string& hint) {
    return Error(kind, {doing + ": " + why, "", "", path.string(), hint});
  };
  const std::string reason = exception.what();
  switch (exception.getErrorCode() & 0xff) {  // the low byte is the primary result code
    case SQLITE_FULL:
      throw error(ErrorKind::kIo, "the disk is full",
                  "free some space; what was recorded before is still there");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      throw error(ErrorKind::kIo, "the file or its folder is read-only",
                  "make both writable, or give another --db");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw error(ErrorKind::kIo, "another program holds the database locked", "wait until it has ended");
    case SQLITE_NOTADB:
      throw error(ErrorKind::kData, "this file is not a database",
                  "give the file that tnbench run --db wrote");
    case SQLITE_CORRUPT:
      throw error(ErrorKind::kData, "the database is damaged (" + reason + ")",
                  "restore a copy, or save what is readable with: sqlite3 FILE .recover");
    case SQLITE_CANTOPEN:
      throw error(ErrorKind::kIo, "the file cannot be opened",
                  "check that the folder exists and its permissions");
    case SQLITE_IOERR:
      throw error(ErrorKind::kIo, "reading or writing failed (" + reason + ")",
                  "check the disk; what was recorded before is still there");
    case SQLITE_CONSTRAINT:
      throw error(ErrorKind::kData, "the row does not fit the record (" + reason + ")",
                  "it occurs twice, names an unknown row, or lacks a required value");
    default:
      throw error(ErrorKind::kIo, reason, "");
  }
}

// A path inside a file: URI.
std::string PercentEncode(const std::string& path) {
  static const char kDigits[] = "0123456789abcdef";
  std::string encoded;
  for (const unsigned char c : path) {
    if (std::isalnum(c) || c == '/' || c == '.' || c == '-' || c == '_') {
      encoded += static_cast<char>(c);
    } else {
      encoded += {'%', kDigits[c >> 4], kDigits[c & 15]};
    }
  }
  return encoded;
}

int Number(SQLite::Database& database, const std::string& query) {
  return database.execAndGet(query).getInt();
}

}  // namespace

std::string HashOf(const Json& json) { return Sha256Hex(json.dump()); }

Store Store::Open(const std::filesystem::path& path) { return Store(path, true); }

Store Store::OpenReadOnly(const std::filesystem::path& path) { return Store(path, false); }

Store::Store(const std::filesystem::path& path, bool writable) : path_(path) {
  const bool exists = std::filesystem::exists(path);
  if (!exists && !writable) {
    throw Error(ErrorKind::kIo, {"there is no results database", "", "", path.string(),
                                 "give another --db, or make one with tnbench run"});
  }
  if (exists && !std::filesystem::is_regular_file(path)) {
    throw Error(ErrorKind::kIo, {"a results database must be a file", "", "", path.string(), ""});
  }
  Read("opening the database", [&] {
    // SQLite does not wait, as it does everywhere else, when several processes switch a new file to its
    // write-ahead log at once: all but one are told that it is busy.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyTimeoutMs);
    for (;;) {
      try {
        Connect(writable);
        return CheckSchema(writable);
      } catch (const SQLite::Exception& exception) {
        const bool busy = (exception.getErrorCode() & 0xff) == SQLITE_BUSY;
        if (!busy || std::chrono::steady_clock::now() >= deadline) throw;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
  });
}

Store::Store(Store&&) noexcept = default;
Store::~Store() = default;

void Store::Connect(bool writable) {
  if (writable) {
    database_ = std::make_unique<SQLite::Database>(
        path_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs);
    if (sqlite3_db_readonly(database_->getHandle(), "main") == 1) {
      throw Error(ErrorKind::kIo, {"the results database is read-only", "", "", path_.string(),
                                   "make the file writable, or give another --db"});
    }
  } else {
    database_ = std::make_unique<SQLite::Database>(path_.string(), SQLite::OPEN_READONLY, kBusyTimeoutMs);
    // A WAL database in a folder without write permission cannot make its -shm file. When nobody has it open
    // for writing either (no -wal file), it can be read as a file that does not change.
    try {
      Number(*database_, "SELECT count(*) FROM sqlite_schema");
    } catch (const SQLite::Exception& exception) {
      if ((exception.getErrorCode() & 0xff) != SQLITE_CANTOPEN ||
          std::filesystem::exists(path_.string() + "-wal")) {
        throw;
      }
      database_ = std::make_unique<SQLite::Database>(
          "file:" + PercentEncode(std::filesystem::absolute(path_).string()) + "?immutable=1",
          SQLite::OPEN_READONLY | SQLite::OPEN_URI, kBusyTimeoutMs);
    }
  }
  database_->exec("PRAGMA foreign_keys = ON");
}

void Store::CheckSchema(bool writable) {
  // In this order: another process that creates the file right now commits tables and id together.
  const int tables = Number(*database_, "SELECT count(*) FROM sqlite_schema");
  const int application = Number(*database_, "PRAGMA application_id");
  if (application != kApplicationId && (application != 0 || tables != 0)) {
    throw Error(ErrorKind::kData, {"this SQLite file was not written by tnbench", "", "", path_.string(),
                                   "give the file that tnbench run --db wrote"});
  }
  const int version = Number(*database_, "PRAGMA user_version");
  if (version > SchemaVersion()) {
    throw Error(ErrorKind::kData, {"the results database was written by a newer tnbench",
                                   "schema version " + std::to_string(SchemaVersion()) + " or older",
                                   std::to_string(version), path_.string(), "update tnbench"});
  }
  if (!writable) {
    if (version == SchemaVersion()) return;
    throw Error(
        ErrorKind::kData,
        {"the results database has an older schema", "schema version " + std::to_string(SchemaVersion()),
         std::to_string(version), path_.string(), "tnbench merge --db FILE brings it up to date"});
  }
  database_->exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  for (int step = version; step < SchemaVersion(); ++step) {
    Write("migrating the database", [&] {
      // Another process may have migrated the file since the version was read.
      if (Number(*database_, "PRAGMA user_version") != step) return;
      database_->exec(Migrations()[step]);
      database_->exec("PRAGMA application_id = " + std::to_string(kApplicationId));
      database_->exec("PRAGMA user_version = " + std::to_string(step + 1));
    });
  }
}

void Store::Read(const std::string& doing, const std::function<void()>& body) const {
  try {
    body();
  } catch (const SQLite::Exception& exception) {
    Rethrow(exception, doing, path_);
  } catch (const Json::exception& exception) {
    throw Error(ErrorKind::kData, {doing + ": " + exception.what(), "", "", path_.string(), ""});
  }
}

void Store::Write(const std::string& doing, const std::function<void()>& body) {
  const bool outermost = !in_transaction_;
  const char* begin = outermost ? "BEGIN IMMEDIATE" : "SAVEPOINT step";
  const char* commit = outermost ? "COMMIT" : "RELEASE step";
  const char* rollback = outermost ? "ROLLBACK" : "ROLLBACK TO step; RELEASE step";
  Read(doing, [&] {
    database_->exec(begin);
    in_transaction_ = true;
    try {
      body();
      database_->exec(commit);
    } catch (...) {
      // SQLite may have rolled back already (full disk); then there is nothing left to undo.
      database_->tryExec(rollback);
      in_transaction_ = !outermost;
      throw;
    }
    in_transaction_ = !outermost;
  });
}

void Store::Transaction(const std::function<void()>& body) { Write("writing to the database", body); }

}  // namespace tnb
