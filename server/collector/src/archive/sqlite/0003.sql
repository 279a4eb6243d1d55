-- How devices come and stay: one-time codes, tokens that take each other's place, and whose pseudonyms are whose.
create table codes (
    digest blob primary key check (length(digest) = 32),
    subject text not null,
    issued_at integer not null,
    expires_at integer not null,
    used_at integer,
    stream text
) strict, without rowid;

-- The one stream a device's token is good for; others are good for any.
alter table tokens add column stream text;
-- Both are good until the new one is seen.
alter table tokens add column replaces blob;
-- A token that ended is told apart from one that never was.
alter table tokens add column ended_at integer;

-- A row may go: without it a pseudonym is nobody's again.
create table persons (
    stream text not null,
    person text not null,
    subject text not null,
    linked_at integer not null,
    primary key (stream, person)
) strict, without rowid;
