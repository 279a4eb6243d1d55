-- An event that comes again under another address is known by its id.
create index items_by_event on items (event_id) where event_id is not null;
