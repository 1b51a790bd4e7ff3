-- Users and their sessions. Everything lives in the schema `authstack`, which
-- the migrator has made before this runs, so that a database shared with an
-- older service keeps its own `public.users` untouched.

CREATE TABLE authstack.users (
    id            uuid        PRIMARY KEY,
    -- As typed, for display; the keys are what is unique.
    username      text        NOT NULL,
    username_key  text        NOT NULL CONSTRAINT users_username_key UNIQUE,
    email         text        NOT NULL,
    email_key     text        NOT NULL CONSTRAINT users_email_key UNIQUE,
    -- A PHC string, which names its own algorithm and parameters.
    password_hash text        NOT NULL,
    roles         text[]      NOT NULL DEFAULT '{}',
    disabled_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- One row per session. Tokens are not stored: the refresh token in force is
-- derived from `secret`, `counter` and `rotated_at`, so that presenting the
-- previous one again within its grace gives the same successor.
CREATE TABLE authstack.sessions (
    id             uuid        PRIMARY KEY,
    user_id        uuid        NOT NULL REFERENCES authstack.users (id) ON DELETE CASCADE,
    secret         bytea       NOT NULL CHECK (octet_length(secret) = 32),
    counter        bigint      NOT NULL DEFAULT 0 CHECK (counter >= 0),
    rotated_at     timestamptz NOT NULL DEFAULT now(),
    created_at     timestamptz NOT NULL DEFAULT now(),
    -- Fixed at login: rotation does not prolong a session.
    expires_at     timestamptz NOT NULL,
    revoked_at     timestamptz,
    revoked_reason text,
    client_address inet,
    user_agent     text,
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) WITH (fillfactor = 80); -- leaves room for rotations to stay on their page

CREATE INDEX sessions_user_id ON authstack.sessions (user_id);
