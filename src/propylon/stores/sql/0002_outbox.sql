-- Changes of accounts whose sessions are kept in another store, written in the transaction of the change and
-- removed when the other store has applied them. AUTOINCREMENT: a position is never used twice.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    change   TEXT NOT NULL     -- JSON, propylon.ports.AccountChange
);

-- By the clock of the machine that wrote the entry; the lag is measured by it and nothing decided.
ALTER TABLE feed ADD COLUMN announced_ms INTEGER NOT NULL DEFAULT 0;
