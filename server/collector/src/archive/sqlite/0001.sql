-- The trail. Rows are appended, never changed, never removed; the triggers below hold it.
create table streams (
    id text primary key,
    public_key blob not null check (length(public_key) = 32),
    subject text not null,
    bound_at integer not null
) strict, without rowid;

create table items (
    id integer primary key autoincrement,
    stream text not null references streams (id),
    epoch text not null,
    seq integer not null check (seq > 0),
    hash blob not null check (length(hash) = 32),
    bytes text,
    hole text,
    event_id text,
    type text,
    time integer,
    repository text,
    path text,
    person text,
    received_at integer not null,
    check ((bytes is null) <> (hole is null)),
    unique (stream, epoch, seq)
) strict;
create index items_by_place on items (path, repository) where path is not null;

create table cursors (
    stream text not null references streams (id),
    epoch text not null,
    acked_through integer not null,
    hash blob not null check (length(hash) = 32),
    primary key (stream, epoch)
) strict, without rowid;

create table heads (
    stream text not null references streams (id),
    epoch text not null,
    seq integer not null,
    hash blob not null,
    json text not null,
    received_at integer not null,
    primary key (stream, epoch, seq, hash)
) strict, without rowid;

create table forks (
    id integer primary key,
    stream text not null,
    epoch text not null,
    seq integer not null,
    ours blob,
    theirs blob not null,
    bytes text,
    head text not null,
    received_at integer not null,
    unique (stream, epoch, seq, theirs)
) strict;

-- What events are found by.
create table mentions (
    contribution text not null,
    item integer not null references items (id),
    primary key (contribution, item)
) strict, without rowid;

create table commitments (
    kept text primary key,
    item integer not null references items (id)
) strict, without rowid;

-- Texts, apart from the trail: sealed, and gone with their key.
create table content_keys (
    id integer primary key autoincrement,
    person text not null,
    repository text not null,
    wrapped blob not null,
    unique (person, repository)
) strict;

create table contents (
    kept text primary key,
    event text not null,
    key integer not null,
    sealed blob not null,
    received_at integer not null
) strict, without rowid;

create table tokens (
    digest blob primary key check (length(digest) = 32),
    role text not null,
    subject text not null,
    issued_at integer not null
) strict, without rowid;

-- The collector's own stream: who read what.
create table records (
    seq integer primary key,
    hash blob not null check (length(hash) = 32),
    bytes text not null,
    recorded_at integer not null
) strict;

create trigger streams_stay before update on streams begin select raise(abort, 'append only'); end;
create trigger streams_remain before delete on streams begin select raise(abort, 'append only'); end;
create trigger items_stay before update on items begin select raise(abort, 'append only'); end;
create trigger items_remain before delete on items begin select raise(abort, 'append only'); end;
create trigger heads_stay before update on heads begin select raise(abort, 'append only'); end;
create trigger heads_remain before delete on heads begin select raise(abort, 'append only'); end;
create trigger forks_stay before update on forks begin select raise(abort, 'append only'); end;
create trigger forks_remain before delete on forks begin select raise(abort, 'append only'); end;
create trigger contents_stay before update on contents begin select raise(abort, 'append only'); end;
create trigger contents_remain before delete on contents begin select raise(abort, 'append only'); end;
create trigger records_stay before update on records begin select raise(abort, 'append only'); end;
create trigger records_remain before delete on records begin select raise(abort, 'append only'); end;
create trigger cursors_advance before update on cursors
when new.acked_through <= old.acked_through or new.stream <> old.stream or new.epoch <> old.epoch
begin select raise(abort, 'a cursor only moves forward'); end;
create trigger cursors_remain before delete on cursors begin select raise(abort, 'append only'); end;
