-- Times are whole epoch seconds. No row holds a usable credential: a session's secrets are derived from its
-- salt and a key that is not in here; passwords are hashes; private keys are sealed.

CREATE TABLE users (
    id               TEXT PRIMARY KEY NOT NULL,
    email            TEXT NOT NULL,
    email_key        TEXT NOT NULL UNIQUE,
    name             TEXT NOT NULL,
    password_hash    TEXT NOT NULL,
    roles            TEXT NOT NULL,     -- JSON array of names
    created_at       INTEGER NOT NULL,
    disabled_at      INTEGER,
    security_version INTEGER NOT NULL
);

CREATE TABLE sessions (
    seq                INTEGER PRIMARY KEY,     -- the order of opening; created_at is too coarse for it
    id                 TEXT NOT NULL UNIQUE,
    user_id            TEXT NOT NULL,           -- no foreign key: users may live in another store
    salt               BLOB NOT NULL,
    key_id             TEXT NOT NULL,
    mode               TEXT NOT NULL,
    remember           INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    auth_time          INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    idle_ttl_s         INTEGER NOT NULL,
    last_seen_at       INTEGER NOT NULL,
    device_browser     TEXT NOT NULL,
    device_os          TEXT NOT NULL,
    device_kind        TEXT NOT NULL,
    ip                 TEXT NOT NULL,
    sign_in_method     TEXT NOT NULL,
    cookie_generation  INTEGER NOT NULL,
    cookie_rotated_at  INTEGER NOT NULL,
    earlier_auth_time  INTEGER NOT NULL,
    refresh_generation INTEGER NOT NULL,
    refresh_rotated_at INTEGER NOT NULL,
    refresh_origin     TEXT NOT NULL,
    late_generation    INTEGER NOT NULL,
    ended_reason       TEXT,
    ended_at           INTEGER,
    ended_by_browser   TEXT,
    ended_by_os        TEXT,
    ended_by_kind      TEXT
);
CREATE INDEX sessions_not_ended_of_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_deadline ON sessions (min(expires_at, last_seen_at + idle_ttl_s)) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_ending ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE session_data (
    session_id TEXT PRIMARY KEY NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    value      BLOB NOT NULL,           -- JSON object
    version    INTEGER NOT NULL
);

CREATE TABLE signing_keys (
    seq         INTEGER PRIMARY KEY,
    kid         TEXT NOT NULL UNIQUE,
    alg         TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    sealed_with TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    retired_at  INTEGER
);
-- Of two nodes that publish a key at once, the second fails here whatever their code believes.
CREATE UNIQUE INDEX signing_keys_one_signs ON signing_keys (retired_at IS NULL) WHERE retired_at IS NULL;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

CREATE TABLE tallies (
    key        TEXT PRIMARY KEY NOT NULL,
    failures   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX tallies_by_expiry ON tallies (expires_at);

-- AUTOINCREMENT: a position is never used twice, also after its row is gone.
CREATE TABLE feed (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    subject    TEXT NOT NULL,
    id         TEXT NOT NULL,
    reason     TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX feed_by_expiry ON feed (expires_at);

-- One row, written to prove that the store can be written to.
CREATE TABLE heartbeat (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    beats INTEGER NOT NULL
);
INSERT INTO heartbeat VALUES (1, 0);
