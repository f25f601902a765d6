#include "records/schema.h"

namespace tnb {
namespace {

// Ids are local to a file; the hash and uuid columns are the keys that hold across files. STRICT makes SQLite
// check column types. NULL is "not measured". NOT NULL columns also refuse NaN, which SQLite stores as NULL.
const char kVersion1[] = R"sql(
-- Where runs were executed; hash of facts (lasting ones only).
CREATE TABLE machine (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  facts TEXT NOT NULL CHECK (json_valid(facts))
) STRICT;

-- Which program executed them: commit, compiler, flags, libraries.
CREATE TABLE build (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  commit_name TEXT NOT NULL,
  facts TEXT NOT NULL CHECK (json_valid(facts))
) STRICT;

-- What is compressed; hash of all weight files.
CREATE TABLE model (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  parameters INTEGER NOT NULL CHECK (parameters >= 0),
  file_bytes INTEGER NOT NULL CHECK (file_bytes >= 0),
  config TEXT NOT NULL CHECK (json_valid(config))
) STRICT;

-- Where a task's items come from; hash of the file.
CREATE TABLE dataset (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  split TEXT NOT NULL,
  source TEXT NOT NULL,
  items INTEGER NOT NULL CHECK (items >= 0)
) STRICT;

-- Everything that can change a task's number; hash of content. Numbers of different protocols are not compared.
CREATE TABLE protocol (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  content TEXT NOT NULL CHECK (json_valid(content))
) STRICT;

-- Canonical recipes; hash of text.
CREATE TABLE method (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  text TEXT NOT NULL
) STRICT;

-- What is asked: model x method x settings.
CREATE TABLE cell (
  id INTEGER PRIMARY KEY,
  model_id INTEGER NOT NULL REFERENCES model,
  method_id INTEGER NOT NULL REFERENCES method,
  settings_hash TEXT NOT NULL,
  settings TEXT NOT NULL CHECK (json_valid(settings)),
  UNIQUE (model_id, method_id, settings_hash)
) STRICT;

-- One execution of one cell. The row is there from the beginning and says how it ended.
CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  cell_id INTEGER NOT NULL REFERENCES cell,
  machine_id INTEGER NOT NULL REFERENCES machine,
  build_id INTEGER NOT NULL REFERENCES build,
  process INTEGER NOT NULL,
  command TEXT NOT NULL,
  started TEXT NOT NULL,
  finished TEXT,
  status TEXT NOT NULL CHECK (status IN ('running', 'ok', 'partial', 'failed', 'crashed')),
  message TEXT NOT NULL
) STRICT;
CREATE INDEX run_cell ON run (cell_id);

-- One phase of a run: a process of its own. source_id is the finished phase of an earlier run whose rows stand for
-- this one's; never a phase that has a source itself.
CREATE TABLE phase (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  name TEXT NOT NULL,
  settings_hash TEXT NOT NULL,
  settings TEXT NOT NULL CHECK (json_valid(settings)),
  status TEXT NOT NULL CHECK (status IN ('running', 'ok', 'failed', 'crashed', 'skipped', 'not measured')),
  reason TEXT NOT NULL CHECK (status IN ('ok', 'running') OR reason <> ''),
  started TEXT NOT NULL,
  finished TEXT,
  seconds REAL,
  peak_bytes INTEGER,
  exit_code INTEGER,
  source_id INTEGER REFERENCES phase,
  UNIQUE (run_id, name)
) STRICT;
CREATE INDEX phase_key ON phase (name, settings_hash);
CREATE INDEX phase_source ON phase (source_id);

-- One step of the recipe as it ran.
CREATE TABLE stage (
  id INTEGER PRIMARY KEY,
  phase_id INTEGER NOT NULL REFERENCES phase ON DELETE CASCADE,
  position INTEGER NOT NULL CHECK (position >= 0),
  text TEXT NOT NULL,
  seconds REAL NOT NULL,
  peak_bytes INTEGER,
  detail TEXT NOT NULL CHECK (json_valid(detail)),
  UNIQUE (phase_id, position)
) STRICT;

-- One linear after one stage: size and error.
CREATE TABLE layer (
  id INTEGER PRIMARY KEY,
  phase_id INTEGER NOT NULL REFERENCES phase ON DELETE CASCADE,
  stage_position INTEGER NOT NULL CHECK (stage_position >= 0),
  name TEXT NOT NULL,
  format TEXT NOT NULL,
  "rows" INTEGER NOT NULL,
  cols INTEGER NOT NULL,
  parameters INTEGER NOT NULL CHECK (parameters >= 0),
  codes_bits INTEGER NOT NULL CHECK (codes_bits >= 0),
  stored_bytes INTEGER NOT NULL CHECK (stored_bytes >= 0),
  relative_error REAL,
  discarded_weight REAL,
  detail TEXT NOT NULL CHECK (json_valid(detail)),
  UNIQUE (phase_id, stage_position, name)
) STRICT;

-- One number of a phase with its uncertainty; main marks the number by which a task is known.
CREATE TABLE metric (
  id INTEGER PRIMARY KEY,
  phase_id INTEGER NOT NULL REFERENCES phase ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (name <> ''),
  task TEXT NOT NULL,
  filter TEXT NOT NULL,
  variant TEXT NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL CHECK (unit <> ''),
  n INTEGER NOT NULL CHECK (n >= 0),
  se REAL,
  lo REAL,
  hi REAL,
  main INTEGER NOT NULL CHECK (main IN (0, 1)),
  protocol_id INTEGER REFERENCES protocol,
  dataset_id INTEGER REFERENCES dataset,
  UNIQUE (phase_id, task, filter, variant, name)
) STRICT;

-- One scored item of a task, with what is needed to score it again.
CREATE TABLE item (
  id INTEGER PRIMARY KEY,
  phase_id INTEGER NOT NULL REFERENCES phase ON DELETE CASCADE,
  task TEXT NOT NULL,
  doc_index INTEGER NOT NULL CHECK (doc_index >= 0),
  prompt_sha256 TEXT NOT NULL,
  prompt TEXT NOT NULL,
  target TEXT NOT NULL,
  loglikelihoods TEXT NOT NULL CHECK (json_valid(loglikelihoods)),
  greedy TEXT NOT NULL CHECK (json_valid(greedy)),
  text TEXT NOT NULL,
  scores TEXT NOT NULL CHECK (json_valid(scores)),
  tokens INTEGER NOT NULL,
  UNIQUE (phase_id, task, doc_index)
) STRICT;

-- One raw repetition of a benchmark.
CREATE TABLE sample (
  id INTEGER PRIMARY KEY,
  phase_id INTEGER NOT NULL REFERENCES phase ON DELETE CASCADE,
  benchmark TEXT NOT NULL,
  variant TEXT NOT NULL,
  repetition INTEGER NOT NULL CHECK (repetition >= 0),
  seconds REAL NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL,
  UNIQUE (phase_id, benchmark, variant, repetition)
) STRICT;

-- The file that a compress phase wrote and every later phase loads.
CREATE TABLE artefact (
  id INTEGER PRIMARY KEY,
  phase_id INTEGER NOT NULL UNIQUE REFERENCES phase ON DELETE CASCADE,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT;

-- Lines of workers and driver, and the user's notes.
CREATE TABLE log (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  phase_id INTEGER REFERENCES phase ON DELETE CASCADE,
  time TEXT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error', 'note')),
  text TEXT NOT NULL
) STRICT;
CREATE INDEX log_run ON log (run_id);
)sql";

// Views for the common joins (docs/database.md), and what the nightly comparison found.
const char kVersion2[] = R"sql(
-- One row a run, with what it refers to by name.
CREATE VIEW run_overview AS
SELECT r.id AS run_id, r.uuid, r.status, r.message, r.started, r.finished, r.command,
       mo.name AS model, mo.hash AS model_hash, me.text AS method, ma.name AS machine, ma.hash AS machine_hash,
       b.commit_name, c.id AS cell_id, c.settings
FROM run r
JOIN cell c ON c.id = r.cell_id
JOIN model mo ON mo.id = c.model_id
JOIN method me ON me.id = c.method_id
JOIN machine ma ON ma.id = r.machine_id
JOIN build b ON b.id = r.build_id;

-- One row a phase; data_id is the phase whose rows (metrics, layers, items ...) are this one's.
CREATE VIEW phase_overview AS
SELECT p.id AS phase_id, p.run_id, p.name AS phase, p.status, p.reason, p.started, p.finished, p.seconds,
       p.peak_bytes, p.settings, coalesce(p.source_id, p.id) AS data_id, p.source_id IS NOT NULL AS reused
FROM phase p;

-- One row a number of a finished phase.
CREATE VIEW metric_overview AS
SELECT o.run_id, o.model, o.method, o.machine, o.commit_name, o.started, p.phase, m.task, m.name, m.filter,
       m.variant, m.value, m.unit, m.n, m.se, m.lo, m.hi, m.main, p.reused,
       pr.name AS protocol, pr.hash AS protocol_hash, d.name AS dataset, d.hash AS dataset_hash
FROM metric m
JOIN phase_overview p ON p.data_id = m.phase_id AND p.status = 'ok'
JOIN run_overview o ON o.run_id = p.run_id
LEFT JOIN protocol pr ON pr.id = m.protocol_id
LEFT JOIN dataset d ON d.id = m.dataset_id;

-- One row a layer and stage.
CREATE VIEW layer_overview AS
SELECT o.run_id, o.model, o.method, l.stage_position, s.text AS stage, l.name, l.format, l."rows", l.cols,
       l.parameters, l.codes_bits, l.stored_bytes, l.relative_error, l.discarded_weight
FROM layer l
JOIN phase_overview p ON p.data_id = l.phase_id AND p.status = 'ok'
JOIN run_overview o ON o.run_id = p.run_id
LEFT JOIN stage s ON s.phase_id = l.phase_id AND s.position = l.stage_position;

-- One row a scored item of a finished quality phase.
CREATE VIEW item_overview AS
SELECT o.run_id, o.model, o.method, i.task, i.doc_index, i.prompt_sha256, i.prompt, i.target,
       i.loglikelihoods, i.greedy, i.text, i.scores, i.tokens
FROM item i
JOIN phase_overview p ON p.data_id = i.phase_id AND p.status = 'ok'
JOIN run_overview o ON o.run_id = p.run_id;

-- One row a raw repetition of a timing.
CREATE VIEW sample_overview AS
SELECT o.run_id, o.model, o.method, o.machine, s.benchmark, s.variant, s.repetition, s.seconds, s.value, s.unit
FROM sample s
JOIN phase_overview p ON p.data_id = s.phase_id AND p.status = 'ok'
JOIN run_overview o ON o.run_id = p.run_id;

-- A step in the history of a number, as tnbench nightly found it. run_id is the first run at the new level.
CREATE TABLE change_point (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  suite TEXT NOT NULL,
  series TEXT NOT NULL CHECK (series <> ''),
  level_before REAL NOT NULL,
  level_after REAL NOT NULL,
  unit TEXT NOT NULL CHECK (unit <> ''),
  found TEXT NOT NULL,
  UNIQUE (run_id, suite, series)
) STRICT;
)sql";

// Items that a phase did not measure itself say who did.
const char kVersion3[] = R"sql(
-- uuid of the run that measured this item, where that is another one than the phase's.
ALTER TABLE item ADD COLUMN origin TEXT NOT NULL DEFAULT '';

DROP VIEW item_overview;
-- One row a scored item of a finished quality phase; measured_by is the uuid of the run that measured it.
CREATE VIEW item_overview AS
SELECT o.run_id, o.model, o.method, i.task, i.doc_index, i.prompt_sha256, i.prompt, i.target,
       i.loglikelihoods, i.greedy, i.text, i.scores, i.tokens,
       coalesce(nullif(i.origin, ''), d.uuid) AS measured_by
FROM item i
JOIN phase_overview p ON p.data_id = i.phase_id AND p.status = 'ok'
JOIN run_overview o ON o.run_id = p.run_id
JOIN phase s ON s.id = i.phase_id
JOIN run d ON d.id = s.run_id;
)sql";

// Items that are not independent of each other, and new levels that somebody accepted.
const char kVersion4[] = R"sql(
-- What an item shares with others of its task (hash of the passage, source ...); '': nothing. Tests between
-- methods count clusters, not items.
ALTER TABLE item ADD COLUMN cluster TEXT NOT NULL DEFAULT '';

DROP VIEW item_overview;
-- One row a scored item of a finished quality phase; measured_by is the uuid of the run that measured it.
CREATE VIEW item_overview AS
SELECT o.run_id, o.model, o.method, i.task, i.doc_index, i.prompt_sha256, i.prompt, i.target,
       i.loglikelihoods, i.greedy, i.text, i.scores, i.tokens, i.cluster,
       coalesce(nullif(i.origin, ''), d.uuid) AS measured_by
FROM item i
JOIN phase_overview p ON p.data_id = i.phase_id AND p.status = 'ok'
JOIN run_overview o ON o.run_id = p.run_id
JOIN phase s ON s.id = i.phase_id
JOIN run d ON d.id = s.run_id;

-- A regression that tnbench nightly shall not repeat: from this run on its level is the normal one.
CREATE TABLE acceptance (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  suite TEXT NOT NULL,
  series TEXT NOT NULL CHECK (series <> ''),
  reason TEXT NOT NULL CHECK (reason <> ''),
  accepted TEXT NOT NULL,
  UNIQUE (run_id, suite, series)
) STRICT;
)sql";

// What is measured outside of runs: limits and noise of machines, kernels, verifications.
const char kVersion5[] = R"sql(
-- One number of a machine that belongs to no run (tnbench bench, tnbench verify). kind: limit, noise, kernel,
-- sweep, or the verification; subject: model and method, or '' for the machine itself. Where there is a tolerance
-- the value should not exceed it.
CREATE TABLE measurement (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  machine_id INTEGER NOT NULL REFERENCES machine,
  build_id INTEGER NOT NULL REFERENCES build,
  measured TEXT NOT NULL,
  command TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind <> ''),
  subject TEXT NOT NULL,
  name TEXT NOT NULL CHECK (name <> ''),
  settings TEXT NOT NULL CHECK (json_valid(settings)),
  value REAL NOT NULL,
  unit TEXT NOT NULL CHECK (unit <> ''),
  tolerance REAL,
  detail TEXT NOT NULL CHECK (json_valid(detail))
) STRICT;
CREATE INDEX measurement_kind ON measurement (kind, machine_id);

-- The same with machine and commit by name.
CREATE VIEW measurement_overview AS
SELECT m.uuid, ma.name AS machine, ma.hash AS machine_hash, b.commit_name, m.measured, m.command, m.kind,
       m.subject, m.name, m.settings, m.value, m.unit, m.tolerance, m.detail
FROM measurement m
JOIN machine ma ON ma.id = m.machine_id
JOIN build b ON b.id = m.build_id;
)sql";

}  // namespace

const std::vector<std::string>& Migrations() {
  static const std::vector<std::string> kMigrations = {kVersion1, kVersion2, kVersion3, kVersion4, kVersion5};
  return kMigrations;
}

}  // namespace tnb
