-- When a session last moved to another mode, and the refresh tokens that were given up with the one before.
ALTER TABLE sessions ADD COLUMN moved_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN refresh_floor BIGINT NOT NULL DEFAULT 0;
