-- The first schema. Never edited: what comes later is a file of its own.

-- An epoch is one unbroken chain. `barrier_seq` is the last event known to survive power loss.
CREATE TABLE epochs (
    ordinal     INTEGER PRIMARY KEY,
    epoch       TEXT NOT NULL UNIQUE,
    stream      TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    opened_at   TEXT NOT NULL,
    reason      TEXT NOT NULL,
    barrier_seq INTEGER NOT NULL DEFAULT 0,
    set_aside   TEXT
);

-- The trail. `bytes` are the exact bytes of the event; the other columns repeat them for looking up.
CREATE TABLE events (
    rowid   INTEGER PRIMARY KEY,
    stream  TEXT NOT NULL,
    epoch   TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    id      TEXT NOT NULL UNIQUE,
    type    TEXT NOT NULL,
    time    TEXT NOT NULL,
    subject TEXT,
    bytes   TEXT NOT NULL,
    UNIQUE (epoch, seq)
);
CREATE INDEX events_by_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE INDEX events_by_type ON events (type);

-- Events that do not travel: `sha256` of their bytes stands in their place.
CREATE TABLE holes (
    epoch  TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    sha256 BLOB,
    reason TEXT NOT NULL,
    PRIMARY KEY (epoch, seq)
) WITHOUT ROWID;

-- Signed heads; the same stand in the side file.
CREATE TABLE heads (
    rowid INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL,
    seq   INTEGER NOT NULL,
    json  TEXT NOT NULL
);
CREATE INDEX heads_by_place ON heads (epoch, seq);

-- Sealed texts. A content without key has been erased or shed, and `state` says which.
CREATE TABLE contents (
    rowid       INTEGER PRIMARY KEY,
    event       TEXT NOT NULL,
    name        TEXT NOT NULL,
    kept        TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'ok',
    bytes       INTEGER NOT NULL,
    wrapped_key BLOB,
    sealed      BLOB,
    UNIQUE (event, name)
);
CREATE INDEX contents_by_kept ON contents (kept);

-- What each collector has.
CREATE TABLE cursors (
    target        TEXT NOT NULL,
    epoch         TEXT NOT NULL,
    acked_through INTEGER NOT NULL,
    PRIMARY KEY (target, epoch)
) WITHOUT ROWID;

-- Contents up to `through` need nothing more; `contents_sent` holds those above it that were sent.
CREATE TABLE content_cursors (
    target  TEXT NOT NULL PRIMARY KEY,
    through INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE contents_sent (
    target  TEXT NOT NULL,
    content INTEGER NOT NULL,
    PRIMARY KEY (target, content)
) WITHOUT ROWID;

-- Texts with their spans, sealed. `text_key` is a keyed digest of the text's id.
CREATE TABLE snapshots (
    rowid           INTEGER PRIMARY KEY,
    path            TEXT NOT NULL,
    repository_path TEXT,
    text_key        BLOB NOT NULL,
    time            TEXT NOT NULL,
    wrapped_key     BLOB NOT NULL,
    sealed          BLOB NOT NULL
);
CREATE INDEX snapshots_by_path ON snapshots (path, rowid);
CREATE INDEX snapshots_by_text ON snapshots (text_key);
