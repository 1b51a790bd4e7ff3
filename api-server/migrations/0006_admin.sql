-- For the lists that administrators ask for.

-- Who has a role. Most users have none, and cost this index nothing.
CREATE INDEX users_roles ON authstack.users USING gin (roles) WHERE roles <> '{}';
CREATE INDEX users_disabled ON authstack.users (id) WHERE disabled_at IS NOT NULL;

-- Searches by the beginning of a name or an address, byte by byte: the unique
-- indexes are in the order of the database's collation, which is of no use.
CREATE INDEX users_username_prefix ON authstack.users (username_key text_pattern_ops);
CREATE INDEX users_email_prefix ON authstack.users (email_key text_pattern_ops);

-- What happened, of one kind.
CREATE INDEX audit_action ON authstack.audit (action, id);
