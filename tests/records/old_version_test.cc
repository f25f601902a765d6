// Files of earlier versions: the first released schema is kept here as text, later ones are known by the hash
// of their migration; filled with plain SQL, and migrated.
#include <SQLiteCpp/SQLiteCpp.h>

#include "base/files.h"
#include "base/hash.h"
#include "records/schema.h"
#include "records/store.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

// A database as this version of the program left it: one finished run with rows in every table.
void WriteVersion(int version, const std::filesystem::path& path) {
  SQLite::Database database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(ReadFile(std::filesystem::path(TNBENCH_SOURCE_DIR) / "tests/records/schema_v1.sql"));
  const std::string hash = Sha256Hex("x");
  database.exec("INSERT INTO machine VALUES (1, '" + hash + "', 'laptop', '{\"cores\": 2}')");
  database.exec("INSERT INTO build VALUES (1, '" + hash + "', 'abc', '{}')");
  database.exec("INSERT INTO model VALUES (1, '" + hash + "', 'nano', 'm', 10, 40, '{}')");
  database.exec("INSERT INTO dataset VALUES (1, '" + hash + "', 'd', 'test', 'f', 3)");
  database.exec("INSERT INTO protocol VALUES (1, '" + hash + "', 'p', '{\"shots\": 0}')");
  database.exec("INSERT INTO method VALUES (1, '" + hash + "', 'int8@all')");
  database.exec("INSERT INTO cell VALUES (1, 1, 1, '" + hash + "', '{\"limit\": 3}')");
  database.exec(
      "INSERT INTO run VALUES (1, 'u-1', 1, 1, 1, 42, 'tnbench run', '2026-01-01T00:00:00.000Z', "
      "'2026-01-01T00:01:00.000Z', 'ok', '')");
  database.exec(
      "INSERT INTO phase VALUES (1, 1, 'quality', '" + hash +
      "', '{}', 'ok', '', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:30.000Z', 30.0, 1000, 0, NULL)");
  database.exec("INSERT INTO stage VALUES (1, 1, 0, 'int8@all', 1.5, NULL, '{}')");
  database.exec("INSERT INTO layer VALUES (1, 1, 0, 'blocks.0.q', 'int8', 2, 3, 6, 48, 8, 0.01, NULL, '{}')");
  database.exec(
      "INSERT INTO metric VALUES (1, 1, 'acc', 't', 'none', '', 0.5, 'fraction', 2, 0.1, NULL, NULL, 1, 1, "
      "1)");
  database.exec("INSERT INTO item VALUES (1, 1, 't', 0, '" + hash +
                "', 'q', 'a', '[-1.5]', '[true]', '', '{\"acc\": 1}', 3)");
  database.exec("INSERT INTO sample VALUES (1, 1, 'decode_64', '', 0, 0.5, 128.0, 'tokens/s')");
  database.exec("INSERT INTO artefact VALUES (1, 1, 'a.safetensors', '" + hash + "', 100)");
  database.exec("INSERT INTO log VALUES (1, 1, 1, '2026-01-01T00:00:10.000Z', 'info', 'hello')");
  // Later versions only added to these tables, and wrote the rows that follow.
  for (int next = 2; next <= version; ++next) database.exec(Migrations().at(static_cast<size_t>(next - 1)));
  if (version >= 2) {
    database.exec(
        "INSERT INTO change_point VALUES (1, 1, 's', 'speed.decode_64', 50.0, 45.0, 'tokens/s', "
        "'2026-01-02T00:00:00.000Z')");
  }
  if (version >= 3) database.exec("UPDATE item SET origin = 'u-0'");
  database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
  database.exec("PRAGMA user_version = " + std::to_string(version));
}

std::vector<std::string> SchemaOf(const std::filesystem::path& path) {
  SQLite::Database database(path.string());
  SQLite::Statement statement(
      database, "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1");
  std::vector<std::string> lines;
  while (statement.executeStep()) lines.push_back(statement.getColumn(0).getString());
  return lines;
}

// Everything that WriteVersion wrote is there, and what later versions added works on it.
void CheckMigrated(int version, Store& store) {
  const RunView view = store.Run(1);
  CHECK(view.run.uuid == "u-1");
  CHECK(view.method.text == "int8@all");
  CHECK(view.machine.facts["cores"] == 2);
  const PhaseRow phase = store.Phases(1).at(0);
  CHECK(phase.seconds == 30.0);
  CHECK(store.Stages(1).at(0).seconds == 1.5);
  CHECK(store.Layers(1).at(0).relative_error == 0.01);
  CHECK(store.Metrics(1).at(0).value == 0.5);
  CHECK(store.Items(1).at(0).scores["acc"] == 1);
  CHECK(store.Items(1).at(0).origin == (version >= 3 ? "u-0" : ""));
  CHECK(store.Items(1).at(0).cluster.empty());
  CHECK(store.ItemScores(1, "t").at(0).scores["acc"] == 1);
  CHECK(store.Samples(1).at(0).value == 128.0);
  CHECK(store.Artefact(1)->bytes == 100);
  CHECK(store.Logs(1).at(0).text == "hello");
  CHECK(store.ChangePoints("s").size() == (version >= 2 ? 1 : 0));
  CHECK(store.PutChangePoint({.run_id = 1,
                              .suite = "new",
                              .series = "quality.t.acc",
                              .level_before = 0.6,
                              .level_after = 0.5,
                              .unit = "x"}));
  store.PutAcceptance({.run_id = 1, .suite = "s", .series = "speed.decode_64", .reason = "why not"});
  CHECK(store.Acceptances("s").at(0).reason == "why not");
  store.AddMeasurements(
      {{.machine_id = 1, .build_id = 1, .kind = "limit", .name = "read", .value = 5e10, .unit = "B/s"}});
  CHECK(store.Measurements("limit").at(0).value == 5e10);
  CHECK_FALSE(store.Measurements("limit").at(0).tolerance);
  for (const std::string& table : Store::ExportTables()) {
    CAPTURE(table);
    int64_t rows = 0;
    store.Export(
        table, {}, [](const auto&) {}, [&](const ExportedRow&) { ++rows; });
    CHECK(rows >= 1);
  }
}

TEST_CASE("databases of all earlier versions are migrated with all their rows") {
  const testing::TemporaryFolder folder;
  Store::Open(folder / "new.db");
  const auto fresh = SchemaOf(folder / "new.db");
  for (int version = 1; version < static_cast<int>(Migrations().size()); ++version) {
    CAPTURE(version);
    const std::filesystem::path file = folder / (std::string("v") + std::to_string(version) + ".db");
    WriteVersion(version, file);
    CHECK_THROWS_WITH(Store::OpenReadOnly(file), Contains("older schema") && Contains("hint"));
    {
      Store store = Store::Open(file);
      CheckMigrated(version, store);
    }
    // The same tables and views, whether a file was migrated or is new.
    const auto migrated = SchemaOf(file);
    REQUIRE(migrated.size() == fresh.size());
    for (size_t i = 0; i < fresh.size(); ++i) CHECK(migrated[i] == fresh[i]);
  }
}

TEST_CASE("released migrations are still what was released") {
  const std::string released =
      ReadFile(std::filesystem::path(TNBENCH_SOURCE_DIR) / "tests/records/schema_v1.sql");
  const std::string body = released.substr(released.find('\n') + 1);
  CHECK(Migrations().at(0).find(body) != std::string::npos);
  // A change here makes files of that version unreadable: add a migration instead.
  CHECK(Sha256Hex(Migrations().at(1)) == "84aab43dc3110f5c908defa75273717782dc1f168c4d6004fc7c4bcf163c014c");
  CHECK(Sha256Hex(Migrations().at(2)) == "64046e79ec12b2a861c50dd698c2629b6d5a51b67d472bd77c39069dc850f0b3");
}

}  // namespace
}  // namespace tnb
