-- What was let go, and which `trail.trimmed` event says so.

-- `trimmed` is the id of the event that names this text among those let go. Where the event that held the
-- text was let go too, `event` is empty, and `name` is the text's leaf in that event's digest.
ALTER TABLE contents ADD COLUMN trimmed TEXT;
-- Texts of sensitive paths go last.
ALTER TABLE contents ADD COLUMN sensitive INTEGER NOT NULL DEFAULT 0;
UPDATE contents SET sensitive = 1
    WHERE EXISTS (SELECT 1 FROM events WHERE id = contents.event AND instr(bytes, ':"sensitive"') > 0);
CREATE INDEX contents_here ON contents (sensitive) WHERE state = 'ok';
CREATE INDEX contents_by_trimmed ON contents (trimmed) WHERE trimmed IS NOT NULL;

-- Of an event that is gone from here: the chain's hash after it, and the event that says so.
ALTER TABLE holes ADD COLUMN hash BLOB;
ALTER TABLE holes ADD COLUMN trimmed TEXT;

CREATE INDEX snapshots_by_whole_text ON snapshots (text) WHERE text IS NOT NULL;
