-- When each stream was last heard of: by a batch, or by an empty one that only says where the device stands.
create table heard (
    stream text primary key references streams (id),
    at integer not null
) strict, without rowid;
insert into heard (stream, at) select stream, max(received_at) from items group by stream;

-- What a stream tells of itself, and what is known to be missing from it.
create index items_told on items (stream, id)
    where hole is not null or type glob 'dev.countersign.trail.*' or type glob 'dev.countersign.capture.*';
