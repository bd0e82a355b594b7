-- The store of a device (libtidegate): one SQLite file, version 3 (PRAGMA user_version), application_id 0x54494445 ("TIDE").
--
-- The library runs this very text to make a store, and anyone may open one and read it, while it is in use too:
--     sqlite3 app.db "SELECT id, body FROM shown WHERE space = 'cart:ana' AND collection = 'items'"
-- Only the library writes it. Times are milliseconds since 1970, unless a column says otherwise.
--
-- INVARIANTS
-- 1. A write of the app is one transaction: the document as shown, its entry in the outbox, its place among the changes.
-- 2. A push leaves the outbox in the transaction that brings its outcome: with the documents, or as a row of `refused`.
-- 3. Work is booked as a run that failed before it begins, so that whoever is killed in it comes back after the backoff.
-- 4. `documents.body` is what the app sees: `server` with the pending pushes on top while there are any, else the server's own; of sealed
--    ones what is in them, so that this file holds in the clear what the server cannot read (unless it is encrypted as a whole).

CREATE TABLE store (              -- one row: who this device is, and what it knows of clocks
  one INTEGER PRIMARY KEY CHECK (one = 1),
  device TEXT NOT NULL,           -- its id; a new one is taken where the server says that it was used before (forked)
  user TEXT,                      -- as the last welcome said
  log TEXT,                       -- of which the copies are; NULL: never connected
  next_push INTEGER NOT NULL,     -- the id of the next push
  seq INTEGER NOT NULL,           -- the number of the last change of a document, or of a refusal
  runs INTEGER NOT NULL,          -- the number of the last run of pages from nothing
  fork_at INTEGER NOT NULL,       -- not 0: a new device id is to be taken, once pushes below this one are answered
  clock_boot TEXT,                -- the boot during which the server's time was last heard,
  clock_boot_ms INTEGER NOT NULL, -- the boot clock's time then,
  clock_wall_ms INTEGER NOT NULL, -- the wall clock's,
  clock_server_ms INTEGER NOT NULL -- and the server's; 0: never heard
);

CREATE TABLE spaces (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  wanted INTEGER NOT NULL,        -- 1: the app subscribes to it
  priority INTEGER NOT NULL,      -- the greater is synchronised first
  tail INTEGER,                   -- of `append` collections, how many to bring when behind; NULL: all
  cursor TEXT,                    -- how far the copy has got; NULL: it holds nothing
  run INTEGER NOT NULL,           -- not 0: in the middle of that run of pages from nothing
  seen_rev INTEGER NOT NULL,      -- the greatest rev seen here
  window_s INTEGER NOT NULL,      -- how long the server remembers, in seconds; 0: not heard
  last_push INTEGER NOT NULL,     -- the id of the last push made here; 0: none
  sent_push INTEGER NOT NULL,     -- the greatest id sent from here
  forked_after INTEGER,           -- the log's last id of this device here, where it said that they are not ours
  fork_probe INTEGER NOT NULL,    -- the empty push that asks what the log's last id is by now; 0: none
  partial INTEGER NOT NULL,       -- 1: what `tail` left out is missing, so sums cannot be compared
  synced_ms INTEGER NOT NULL,     -- by the wall clock, when the copy was last whole; 0: never
  closed TEXT                     -- the code under which the server closed it; NULL: it did not
);

CREATE TABLE documents (
  doc INTEGER PRIMARY KEY,
  space INTEGER NOT NULL REFERENCES spaces(id),
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  rev INTEGER NOT NULL,           -- the server's; 0: the server has not told of it
  born INTEGER NOT NULL,          -- the rev that added it, in `append` collections; else 0
  time INTEGER NOT NULL,          -- of the server's last change
  user TEXT,                      -- who made it
  body TEXT,                      -- as the app sees it; NULL: deleted, or not there
  pending INTEGER NOT NULL,       -- pushes in the outbox that touch it
  server TEXT,                    -- while any are pending: the body as the server has it; NULL: deleted, or unknown
  contains INTEGER NOT NULL,      -- the server's body holds this device's pushes up to this id
  ahead INTEGER NOT NULL,         -- 1: brought by a `result` or `history`, ahead of the cursor
  run INTEGER NOT NULL,           -- the last run of pages from nothing that named it
  seq INTEGER NOT NULL,           -- the number of its last change: greater than all before
  added_seq INTEGER NOT NULL,     -- the number of the change that made it appear
  changed_ms INTEGER NOT NULL,    -- by the wall clock, when that last change came to this device
  UNIQUE (space, collection, id)
);
CREATE INDEX documents_seq ON documents(seq);
CREATE INDEX documents_gone ON documents(space, changed_ms) WHERE body IS NULL AND pending = 0; -- what is to be forgotten one day
CREATE INDEX documents_ahead ON documents(space, collection) WHERE ahead = 1;

CREATE TABLE sums (               -- what the server's `sum` is compared with
  space INTEGER NOT NULL REFERENCES spaces(id),
  collection TEXT NOT NULL,
  sum INTEGER NOT NULL,           -- 64 bits, signed here
  live INTEGER NOT NULL,          -- documents that the server has, not deleted
  PRIMARY KEY (space, collection)
) WITHOUT ROWID;

CREATE TABLE outbox (             -- pushes without an outcome, in the order in which they were made
  id INTEGER PRIMARY KEY,
  space INTEGER NOT NULL REFERENCES spaces(id),
  previous INTEGER NOT NULL,      -- the push made before it in the same space; 0: none
  after INTEGER NOT NULL,         -- what it is to name as `after`
  ops TEXT NOT NULL,              -- as on the wire, without `age` and `base`
  bases TEXT NOT NULL,            -- the base of each, a JSON array
  origins TEXT,                   -- in `manual` collections, what each was made on: {"collection/id": body}
  made_boot TEXT NOT NULL,        -- the boot during which it was made,
  made_boot_ms INTEGER NOT NULL,  -- the boot clock's time then,
  made_wall_ms INTEGER NOT NULL,  -- the wall clock's,
  made_server_ms INTEGER NOT NULL, -- and the server's as far as it was known; 0: not known
  sent_ms INTEGER,                -- the server's time when it was first sent; NULL: never sent
  sent_log TEXT,                  -- the log that it was sent to
  checked INTEGER NOT NULL,       -- 1: when it was sent the log was known to hold nothing of this device's that this file does not know of,
                                  -- so that `pushed` speaks of it; else it is sent again until its own outcome comes
  answered INTEGER NOT NULL       -- 1: its outcome is known, its effect not yet in the copy
);
CREATE INDEX outbox_space ON outbox(space, id);

CREATE TABLE outbox_documents (
  doc INTEGER NOT NULL REFERENCES documents(doc),
  push INTEGER NOT NULL REFERENCES outbox(id),
  PRIMARY KEY (doc, push)
) WITHOUT ROWID;
CREATE INDEX outbox_documents_push ON outbox_documents(push);

CREATE TABLE refused (            -- pushes that took no effect, until the app settles them
  id INTEGER PRIMARY KEY,         -- never used again
  space INTEGER NOT NULL REFERENCES spaces(id),
  push INTEGER NOT NULL,          -- its id then,
  device TEXT NOT NULL,           -- of this device id
  code TEXT NOT NULL,             -- the protocol's
  message TEXT NOT NULL,
  ops TEXT NOT NULL,              -- what was tried
  origins TEXT,                   -- as in the outbox
  server TEXT,                    -- the documents as the server sent them with the refusal, a JSON array
  made_ms INTEGER NOT NULL,       -- by the wall clock, when the app made it
  refused_ms INTEGER NOT NULL,    -- and when the refusal came
  asked INTEGER NOT NULL          -- 1: the app's resolver has left it to the user
);

CREATE TABLE indexes (            -- declared by the app; each is an index of SQLite too
  name TEXT PRIMARY KEY,
  collection TEXT NOT NULL,
  field TEXT NOT NULL
) WITHOUT ROWID;

CREATE VIEW shown AS              -- what the app sees, by names
  SELECT spaces.name AS space, collection, documents.id AS id, body, rev, born, time, documents.user AS user, pending, seq, added_seq, changed_ms
  FROM documents JOIN spaces ON spaces.id = documents.space WHERE body IS NOT NULL;

-- SINCE VERSION 2

CREATE TABLE work (               -- background work, until it is over
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order in which it was asked for; never used again, so that what takes a row's place is not taken for it
  name TEXT NOT NULL,             -- of several rows with one name each waits for those before it
  kind INTEGER NOT NULL,          -- 0: sync, 1: push only, 2: pull only, 3: the app's own
  input TEXT NOT NULL,            -- handed to the app
  every_ms INTEGER NOT NULL,      -- its period; 0: once
  flex_ms INTEGER NOT NULL,       -- the last part of the period, in which it runs
  network INTEGER NOT NULL,       -- 0: none is needed, 1: any, 2: one that is not metered
  charging INTEGER NOT NULL,      -- 1: only while charging,
  battery INTEGER NOT NULL,       -- while the battery is not low,
  storage INTEGER NOT NULL,       -- while there is room on the disk
  linear INTEGER NOT NULL,        -- 1: the backoff grows by itself each time; 0: it doubles
  backoff_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL,      -- runs in a row that were not well, one under way included
  since_boot TEXT NOT NULL,       -- it waits since this moment, by the boot clock,
  since_boot_ms INTEGER NOT NULL,
  since_wall_ms INTEGER NOT NULL, -- the wall clock,
  since_server_ms INTEGER NOT NULL, -- and the server's; 0: not known
  wait_ms INTEGER NOT NULL,       -- for so long,
  end_ms INTEGER NOT NULL,        -- and its period ends so long after that moment
  why TEXT NOT NULL,              -- what it waited for when that was last looked at; '': it was due
  looked_ms INTEGER NOT NULL      -- by the wall clock, when `why` was written
);
CREATE INDEX work_name ON work(name, id);

CREATE TABLE work_runs (          -- the last 20 runs
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  began_ms INTEGER NOT NULL,      -- by the wall clock
  took_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL,          -- `running`, `killed`, `well`, `more` (its time was over, or a constraint went), `retry`, `failed`
  reason TEXT NOT NULL
);

ALTER TABLE documents ADD COLUMN sealed TEXT;  -- the server's body as it came, where it is encrypted end to end (or should be); NULL: as it is shown
ALTER TABLE documents ADD COLUMN seal INTEGER NOT NULL DEFAULT 0; -- 0: not encrypted, 1: opened, 2: its key is not there, 3: does not open, 4: in the clear
CREATE INDEX documents_closed ON documents(doc) WHERE seal > 1;
ALTER TABLE outbox ADD COLUMN plain TEXT;      -- `ops` with their bodies open; NULL: none of them is sealed
ALTER TABLE refused ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0; -- 1: it was sent sealed; `ops` are open here, and go out sealed again or not at all

-- SINCE VERSION 3

-- What is closed, by the key that would open it: keys that are not there are asked for once, and not for each document. What is in the clear
-- is the app's own, and so is its `key`; what is broken may have anything there: '' where it is no key's id.
DROP INDEX documents_closed;
CREATE INDEX documents_closed ON documents(seal, space, collection,
  CASE WHEN seal = 4 OR NOT json_valid(sealed) THEN '' WHEN json_type(sealed, '$.key') IS NOT 'text' OR length(json_extract(sealed, '$.key')) > 64 THEN ''
  WHEN json_extract(sealed, '$.key') GLOB '*[^A-Za-z0-9._-]*' THEN '' ELSE json_extract(sealed, '$.key') END) WHERE seal > 1;
