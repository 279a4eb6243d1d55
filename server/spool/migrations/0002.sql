-- What observers saw of a file, with what git's small files said at that moment. Each text is kept once.

-- Whole texts, sealed. `text_key` is a keyed digest of the text's id.
CREATE TABLE texts (
    rowid       INTEGER PRIMARY KEY,
    text_key    BLOB NOT NULL UNIQUE,
    wrapped_key BLOB NOT NULL,
    sealed      BLOB NOT NULL
);

-- `kind` is empty in rows of the first schema: those hold text and spans together in `sealed`. In the
-- others `sealed` holds the spans alone, and `text` is empty where there was no file.
-- `blob_key` is a keyed digest of git's name of the text.
ALTER TABLE snapshots ADD COLUMN kind TEXT;
ALTER TABLE snapshots ADD COLUMN worktree TEXT;
ALTER TABLE snapshots ADD COLUMN common_dir TEXT;
ALTER TABLE snapshots ADD COLUMN text INTEGER;
ALTER TABLE snapshots ADD COLUMN blob_key BLOB;
ALTER TABLE snapshots ADD COLUMN contribution TEXT;
ALTER TABLE snapshots ADD COLUMN call TEXT;
ALTER TABLE snapshots ADD COLUMN session TEXT;
ALTER TABLE snapshots ADD COLUMN git TEXT;
ALTER TABLE snapshots ADD COLUMN hunks TEXT;
CREATE INDEX snapshots_by_repository ON snapshots (common_dir, repository_path, rowid) WHERE common_dir IS NOT NULL;
