-- What the clock said at the epoch's last FULL commit: milliseconds since 1970, then how many milliseconds
-- the machine had run, and which run of it that was.
ALTER TABLE epochs ADD COLUMN clock TEXT;
