-- Which accounts were brought from where, so that an import that is run again
-- skips them. A table and not a column of `users`, without a foreign key: an
-- account that its user has deleted must not come back with the next run. Like
-- the audit log it holds identifiers only.
CREATE TABLE authstack.imported_users (
    -- What the operator called the service that the account comes from.
    source      text        NOT NULL,
    -- The account's identifier there.
    imported_id text        NOT NULL,
    -- The account's identifier here.
    user_id     uuid        NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, imported_id)
);
