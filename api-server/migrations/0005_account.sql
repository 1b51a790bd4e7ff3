-- What somebody did to others' accounts, for the export of their own. What
-- people do is nearly always to themselves, and found by `user_id` already; so
-- this index holds administrators' deeds only.
CREATE INDEX audit_actor_id ON authstack.audit (actor_id, id)
    WHERE actor_id IS DISTINCT FROM user_id;
