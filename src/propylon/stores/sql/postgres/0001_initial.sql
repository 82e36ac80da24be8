-- Times are whole epoch seconds. No row holds a usable credential: a session's secrets are derived from its
-- salt and a key that is not in here; passwords are hashes; private keys are sealed.
-- All of it lies in the schema "propylon", which every connection looks into: an app may share the database.
-- COLLATE "C": names compare byte by byte, in the same order on every machine.

CREATE TABLE users (
    id               TEXT COLLATE "C" PRIMARY KEY,
    email            TEXT NOT NULL,
    email_key        TEXT COLLATE "C" NOT NULL UNIQUE,
    name             TEXT NOT NULL,     -- JSON string: text holds no NUL here
    password_hash    TEXT NOT NULL,
    roles            TEXT NOT NULL,     -- JSON array of names
    created_at       BIGINT NOT NULL,
    disabled_at      BIGINT,
    security_version BIGINT NOT NULL
);

CREATE TABLE sessions (
    seq                BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,     -- the order of opening
    id                 TEXT COLLATE "C" NOT NULL UNIQUE,
    user_id            TEXT COLLATE "C" NOT NULL,   -- no foreign key: users may live in another store
    salt               BYTEA NOT NULL,
    key_id             TEXT NOT NULL,
    mode               TEXT NOT NULL,
    remember           BOOLEAN NOT NULL,
    created_at         BIGINT NOT NULL,
    auth_time          BIGINT NOT NULL,
    expires_at         BIGINT NOT NULL,
    idle_ttl_s         BIGINT NOT NULL,
    last_seen_at       BIGINT NOT NULL,
    device_browser     TEXT NOT NULL,
    device_os          TEXT NOT NULL,
    device_kind        TEXT NOT NULL,
    ip                 TEXT NOT NULL,
    sign_in_method     TEXT NOT NULL,
    cookie_generation  BIGINT NOT NULL,
    cookie_rotated_at  BIGINT NOT NULL,
    earlier_auth_time  BIGINT NOT NULL,
    refresh_generation BIGINT NOT NULL,
    refresh_rotated_at BIGINT NOT NULL,
    refresh_origin     TEXT NOT NULL,
    late_generation    BIGINT NOT NULL,
    ended_reason       TEXT,
    ended_at           BIGINT,
    ended_by_browser   TEXT,
    ended_by_os        TEXT,
    ended_by_kind      TEXT
);
CREATE INDEX sessions_not_ended_of_user ON sessions (user_id, seq) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_deadline ON sessions (least(expires_at, last_seen_at + idle_ttl_s)) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_ending ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE session_data (
    session_id TEXT COLLATE "C" PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    value      BYTEA NOT NULL,          -- JSON object
    version    BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kid         TEXT COLLATE "C" NOT NULL UNIQUE,
    alg         TEXT NOT NULL,
    sealed      BYTEA NOT NULL,
    sealed_with TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT
);
-- Of two nodes that publish a key at once, the second fails here whatever their code believes.
CREATE UNIQUE INDEX signing_keys_one_signs ON signing_keys ((retired_at IS NULL)) WHERE retired_at IS NULL;

CREATE TABLE settings (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE tallies (
    key        TEXT COLLATE "C" PRIMARY KEY,
    failures   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tallies_by_expiry ON tallies (expires_at);

-- The feed. A verb adds a row in the transaction of what it announces; at the commit the row gets its position.
CREATE TABLE feed (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- the order within a transaction
    position     BIGINT UNIQUE,                 -- never NULL for anybody but the transaction itself
    subject      TEXT NOT NULL,
    id           TEXT NOT NULL,
    reason       TEXT NOT NULL,
    expires_at   BIGINT NOT NULL,
    announced_ms BIGINT,                        -- by this server's clock; the lag is measured by it
    tag          BIGINT NOT NULL DEFAULT floor(random() * 9007199254740992)     -- tells one history from another
);
CREATE INDEX feed_by_expiry ON feed (expires_at);
CREATE SEQUENCE feed_positions;

-- Two transactions that are numbered while they run may commit in the other order, and a reader that has seen the
-- larger number would never look for the smaller one. So rows are numbered at the very end of their transaction,
-- under a lock that is held until it has committed: positions become visible in their order. No client is waited
-- for meanwhile, since the trigger runs inside the commit; and commits that NOTIFY take turns in any case.
CREATE FUNCTION give_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1886547824, 2);
    UPDATE propylon.feed
    SET position = nextval('propylon.feed_positions'), announced_ms = extract(epoch FROM clock_timestamp()) * 1000
    WHERE seq = NEW.seq;
    PERFORM pg_notify('propylon_feed', '');
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER feed_gets_position AFTER INSERT ON feed
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION give_position();

-- Changes of accounts whose sessions are kept in another store, written in the transaction of the change and
-- removed when the other store has applied them.
CREATE TABLE outbox (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change   TEXT NOT NULL     -- JSON, propylon.ports.AccountChange
);

-- One row, written to prove that the store can be written to.
CREATE TABLE heartbeat (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    beats BIGINT NOT NULL
);
INSERT INTO heartbeat VALUES (1, 0);
