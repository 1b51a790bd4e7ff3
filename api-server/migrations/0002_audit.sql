-- What happened to accounts and sessions: who did what, when, from where, and
-- with what result. Rows hold identifiers, never names, so that they may stay
-- when a user goes; hence no foreign key either.

CREATE TABLE authstack.audit (
    -- A UUID v7, so that the order of the keys is the order of events.
    id             uuid        PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT now(),
    action         text        NOT NULL,
    result         text        NOT NULL CHECK (result IN ('success', 'failure')),
    -- Who did it: absent where nobody was logged in.
    actor_id       uuid,
    -- Whom it was done to: absent where the account is unknown.
    user_id        uuid,
    session_id     uuid,
    client_address inet,
    user_agent     text,
    request_id     text,
    -- What else there is to say, such as which fields changed; no values.
    detail         jsonb
);

CREATE INDEX audit_user_id ON authstack.audit (user_id, id);
-- For the search by time, and for the removal of what is old.
CREATE INDEX audit_at ON authstack.audit (at);
