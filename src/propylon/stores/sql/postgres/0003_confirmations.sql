-- The network that the last confirmation of a bearer session came from, whose refresh token went on.
ALTER TABLE sessions ADD COLUMN confirmed_from TEXT NOT NULL DEFAULT '';
